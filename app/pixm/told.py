"""What the audit is told of a feed: the record, a merge, and whose persons changed.

Spec: AUD-33 to AUD-38.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.fhir.resource import Resource
from app.interaction import versioned
from app.patient.cross_reference import Moved
from app.patient.feed import Fed, Removed
from app.patient.record_key import RecordKey
from app.transaction import About


def about_fed(fed: Fed, key: RecordKey) -> About:
    """Return what is told of a record that was added, revised or merged."""
    return About(
        _identified(key.system, key.value),
        (versioned(fed.kept),),
        "create" if fed.created else "update",
        also=(*_merged(fed), *_moved(fed.moved)),
    )


def about_removed(removed: Removed, key: RecordKey) -> About:
    """Return what is told of a removal; without a record the condition itself is told (AUD-36)."""
    data = ({"reference": f"Patient/{removed.id}"},) if removed.id else ()
    return About(_identified(key.system, key.value), data, also=tuple(_moved(removed.moved)))


def _merged(fed: Fed) -> Iterator[About]:
    """Yield what happened to the record that survives a merge (AUD-37)."""
    if fed.survivor:
        data = {"reference": f"Patient/{fed.survivor}"}
        details = (("merged-from", f"Patient/{fed.kept.id}"),)
        yield About(_identified(*fed.survivor_key), (data,), "update", details=details)


def _moved(moved: Moved) -> Iterator[About]:
    """Yield what happened to each cluster that changed (AUD-38)."""
    for group in moved:
        yield About(data=tuple({"reference": f"Patient/{each}"} for each in group), interaction="update")


def _identified(system: str, value: str) -> tuple[Resource, ...]:
    return ({"identifier": {"system": system, "value": value}},) if value else ()
