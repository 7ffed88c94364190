"""Records that a submission names, as they are stored (docs/decisions/0004).

Spec: ITI-65, 2:3.65.4.1.3; MHD-65-91, 92.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.document.entry import Entry
from app.document.identifier import token
from app.document.vocabulary import FOLDER, LIST_TYPES, UNRESOLVED
from app.fhir.outcome import FhirError
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource, parse_json
from app.search.criteria import Criterion, Terms
from app.search.query import parse as parse_query
from app.transaction import Context

# From so many records on it is asked first which of them there are.
MANY = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored resource, parsed, the version that it was read at, and how often others required that version."""

    name: str
    version: int
    resource: Resource
    required: int = 0


async def stored(text: str, resource_type: str, context: Context) -> Stored | None:
    """Return the record of `resource_type` that the reference `text` names, None when there is none."""
    reference = parse_reference(text, context.base_url)
    if reference.kind != "literal" or reference.resource_type != resource_type:
        return None
    try:
        kept = await context.store.read(resource_type, reference.id)
    except FhirError as error:
        if error.status not in (404, 410):
            raise
        return None
    return Stored(f"{resource_type}/{kept.id}", kept.version, parse_json(kept.json), kept.required)


async def those_stored(texts: Collection[str], resource_type: str, context: Context) -> Collection[str]:
    """Return those of the references `texts` whose records may be there: many are looked up at once."""
    if len(texts) < MANY:
        return texts
    parsed = {text: parse_reference(text, context.base_url) for text in texts}
    ids = tuple({one.id for one in parsed.values() if one.kind == "literal" and one.resource_type == resource_type})
    found = set(await context.store.find_ids(resource_type, Terms("_id", ids), len(ids))) if ids else set()
    return {text for text, one in parsed.items() if one.id in found}


async def stored_folder(entry: Entry, context: Context) -> Stored:
    """Return the Folder that a PUT updates: by its URL, else by id, fullUrl or identifier (MHD-65-91, 92).

    Raises:
        FhirError: `not-found` (404) when there is none, `multiple-matches` (412) when there are several.
    """
    own_id = f"List/{entry.resource.get('id', '')}"
    for text in (entry.url, own_id, entry.full_url):
        if "?" not in text and (found := await stored(text, "List", context)):
            return found
    ids = await context.store.find_ids("List", _by_identifier(entry, context), 2)
    if len(ids) == 1 and (found := await stored(f"List/{ids[0]}", "List", context)):
        return found
    code = "multiple-matches" if ids else "not-found"
    named = "several Folders" if ids else "no Folder that is stored here"
    text = f"`{entry.url[:200]}` names {named}; PUT creates none."
    raise FhirError(code, text, expression=f"Bundle.entry[{entry.index}].request.url", details=UNRESOLVED)


def _by_identifier(entry: Entry, context: Context) -> Criterion:
    values = ",".join(token(identifier) for identifier in entry.resource.get("identifier", ()))
    asked = [("identifier", values or "|none"), ("code", f"{LIST_TYPES}|{FOLDER}")]
    return parse_query(context.definitions, "List", asked, base_url=context.base_url).criterion


def subject_of(resource: Resource) -> str:
    """Return the id of the patient who is the subject of a stored resource; "" when it has none."""
    return parse_reference(str(resource.get("subject", {}).get("reference", ""))).id
