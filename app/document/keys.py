"""What no two records may hold: entryUUIDs and uniqueIds (docs/decisions/0005).

Spec: ITI-42 2:3.42.4.1.3.3; MHD-65-112..115.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.document.content import fingerprint
from app.document.identifier import of_kind, unique_id
from app.document.vocabulary import ENTRY_UUID
from app.fhir.resource import Resource


@dataclass(frozen=True, slots=True)
class Keys:
    """What no other record may hold, and what only records with the same document may share."""

    unique: tuple[str, ...] = ()
    shared: tuple[tuple[str, str], ...] = ()


def keys_of(resource: Resource, identity: str = "", *, warn: bool) -> Keys:
    """Return the keys of `resource`: its entryUUID and its uniqueId (MHD-65-112..115).

    Two DocumentReferences may share a uniqueId when their documents are the same; a List shares its with nobody.

    Args:
        identity: what tells documents of one uniqueId apart; empty: hash and size.
        warn: uniqueIds need not be unique here.
    """
    entry_uuid, identifier = of_kind(resource, ENTRY_UUID), unique_id(resource)
    unique = [f"entryUUID {entry_uuid['value']}"] if entry_uuid else []
    if identifier is None or warn:
        return Keys(tuple(unique))
    key = f"uniqueId {identifier.get('system', '')}|{identifier['value']}"
    if resource["resourceType"] == "DocumentReference":
        return Keys(tuple(unique), ((key, identity or fingerprint(resource)),))
    return Keys((*unique, key))
