"""Withdrawal: a document that should not have been published, or whose time is over, is taken back by the operator.

Nobody can do it over HTTP: what was published is replaced there, not edited (MHD-GEN-10). There are two ways:

- withdrawn: the DocumentReference stays, `entered-in-error`, so that whoever holds a reference learns what became of
  it; its document is purged, and its URL answers 410.
- deleted: the DocumentReference is purged too, with its versions; SubmissionSet and Folders list it no more.

The functions await the store, since what hangs on a document are records (docs/decisions/0004).

Spec: MHD-68-11, MHD-GEN-10; FHIR R4 http.html#delete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from app.document.lifecycle import referring
from app.document.stored import Stored, stored
from app.fhir.outcome import FhirError
from app.fhir.reference import parse as parse_reference
from app.search.query import parse as parse_query
from app.store.change import Change, Purge, Update, VersionConflict
from app.transaction import Context

ENTERED_IN_ERROR = "entered-in-error"

# What a document may be kept as.
_HOLDERS = frozenset({"Binary", "Bundle"})

_ATTEMPTS = 5
_MOST = 1000
_NO_AGE = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What became of one DocumentReference.

    Attributes:
        name: `DocumentReference/id`.
        purged: names of what was purged.
        changed: names of the Lists that do not list it any more.
        related: names of the DocumentReferences that refer to it: a transformation holds what it was made from.
    """

    name: str
    purged: tuple[str, ...]
    changed: tuple[str, ...]
    related: tuple[str, ...]


async def withdraw(named: str, context: Context, *, is_deleted: bool = False) -> tuple[Withdrawn, ...]:
    """Withdraw the document that `named` means, and remove its bytes; return what became of it.

    Args:
        named: `DocumentReference/id`, an id, or a uniqueId, which several DocumentReferences may have (MHD-65-112).
        is_deleted: purge the DocumentReference too.

    Raises:
        FhirError: `not-found` (404); `business-rule` (422) for one that is to be deleted while another refers to it.
    """
    found = [document async for document in _meant(named, context)]
    if not found:
        raise FhirError("not-found", f"There is no DocumentReference with the id or uniqueId `{named[:200]}`.")
    done = tuple([await _withdraw(document.name, context, is_deleted=is_deleted) for document in found])
    await context.store.content.sweep(_NO_AGE)
    return done


async def _meant(named: str, context: Context) -> AsyncIterator[Stored]:
    name = named if named.startswith("DocumentReference/") else f"DocumentReference/{named}"
    if one := await stored(name, "DocumentReference", context):
        yield one
        return
    query = parse_query(context.definitions, "DocumentReference", [("identifier", named)], base_url="")
    for record_id in await context.store.find_ids("DocumentReference", query.criterion, _MOST):
        if one := await stored(f"DocumentReference/{record_id}", "DocumentReference", context):
            yield one


async def _withdraw(name: str, context: Context, *, is_deleted: bool) -> Withdrawn:
    """Withdraw one DocumentReference, anew when somebody changes what hangs on it meanwhile."""
    for _ in range(_ATTEMPTS):
        document = await stored(name, "DocumentReference", context)
        if document is None:
            raise FhirError("not-found", f"`{name}` is gone by now.")
        related = tuple([one.name async for one in referring("DocumentReference", "relatesto", name, context)])
        if related and is_deleted:
            text = f"`{name}` cannot be deleted while others refer to it: {', '.join(related)}."
            raise FhirError("business-rule", f"{text} Delete these first, or withdraw it without deleting it.")
        contents = _contents(document, context)
        changes: list[Change] = [Purge(*content.split("/")) for content in contents]
        lists = [one async for one in _unlisted(name, context)] if is_deleted else []
        changes += lists
        changes.append(_end(document, is_deleted=is_deleted))
        try:
            await context.store.commit(changes, context.now())
        except VersionConflict:
            continue
        changed = tuple(f"List/{one.resource['id']}" for one in lists)
        return Withdrawn(name, (*contents, *([name] if is_deleted else [])), changed, related)
    raise FhirError("transient", f"`{name}` is being changed by others all the time. Try again.")


def _end(document: Stored, *, is_deleted: bool) -> Change:
    if is_deleted:
        return Purge(*document.name.split("/"))
    return Update(document.resource | {"status": ENTERED_IN_ERROR}, if_version=document.version)


def _contents(document: Stored, context: Context) -> tuple[str, ...]:
    """Return the names of the records that hold the document."""
    urls = [str(one["attachment"].get("url", "")) for one in document.resource["content"]]
    held = [parse_reference(url, context.base_url) for url in urls]
    return tuple(dict.fromkeys(one.url for one in held if one.kind == "literal" and one.resource_type in _HOLDERS))


async def _unlisted(name: str, context: Context) -> AsyncIterator[Update]:
    """Yield the next versions of the Lists in which `name` is, without it."""
    async for one in referring("List", "item", name, context):
        entries = [entry for entry in one.resource["entry"] if not _means(entry["item"], name, context)]
        rest = {key: value for key, value in one.resource.items() if key != "entry"}
        yield Update(rest | ({"entry": entries} if entries else {}), if_version=one.version)


def _means(item: dict[str, str], name: str, context: Context) -> bool:
    return parse_reference(item.get("reference", ""), context.base_url).url == name
