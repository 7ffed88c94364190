"""Conditional create: a resource is created unless one that meets a condition is there.

Spec: FHIR R4 http.html#ccreate.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from app.fhir.outcome import FhirError
from app.search.query import parse
from app.store.resources import Kept
from app.transaction import Context, RequestMessage


@dataclass(frozen=True, slots=True)
class Condition:
    """What `If-None-Exist` found.

    Attributes:
        kept: the record that is there already.
        keys: what the new record claims, so that of several requests at the same instant one creates.
    """

    kept: Kept | None = None
    keys: tuple[str, ...] = ()


async def if_none_exist(message: RequestMessage, resource_type: str, context: Context) -> Condition:
    """Return what the header `If-None-Exist` of a create finds; nothing when it was not sent.

    Raises:
        FhirError: `invalid` (400) for what is no search, `multiple-matches` (412) when several records meet it.
    """
    text = message.headers.get("if-none-exist", "").rpartition("?")[2]
    if not text:
        return Condition()
    pairs = sorted(parse_qsl(text, keep_blank_values=True))
    query = parse(context.definitions, resource_type, pairs, base_url=context.base_url, strict=True)
    if not query.applied:
        raise FhirError("invalid", f"`If-None-Exist` is a search for a `{resource_type}`; no parameter came.")
    key = f"none exists {resource_type}?{urlencode(pairs)}"
    # Looked up before the search: a key that is held by now, and whose record the search misses, has lost its meaning.
    held = await context.store.holders([key])
    told = context.store.disclosing()  # what a caller may not be told of does not exist for the condition
    found = await told.find_ids(resource_type, query.criterion, 2)
    if len(found) > 1:
        raise FhirError("multiple-matches", f"`If-None-Exist` matches more than one `{resource_type}`.")
    if found:
        return Condition(await told.read(resource_type, found[0]))
    return Condition(keys=() if held else (key,))
