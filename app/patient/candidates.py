"""Candidates: who may be the same person as somebody.

Spec: MAT-10, MAT-21, MAT-22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.patient.keys import POSTING_CAP, Selection, select
from app.patient.vector import NORM_VERSION, MatchVector, from_document
from app.store.facts import Facts

# What of a record matching reads.
COMPARED = ("derived.mv", "derived.state", "derived.replacedBy", "beside.feed")


@dataclass(frozen=True, slots=True)
class Compared:
    """A record as matching reads it.

    Attributes:
        state: `active`, `merged` or `inactive`.
        system: the domain under which a source feeds it; empty when none does.
        replaced_by: the record that it was merged into; empty when it was not.
    """

    id: str
    vector: MatchVector
    state: str
    system: str = ""
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who may be the same person as somebody.

    Attributes:
        is_cut: some keys name so many records that they were left out, or not read to the end (MAT-22).
    """

    records: tuple[Compared, ...]
    is_cut: bool = False


def compared(document: Mapping[str, Any]) -> Compared:
    """Return a record of the store, read with the fields that matching needs."""
    derived, feed = document["derived"], document.get("beside", {}).get("feed", {})
    vector, survivor = from_document(derived["mv"]), derived.get("replacedBy", "")
    return Compared(document["_id"], vector, derived["state"], feed.get("system", ""), survivor)


async def candidates(facts: Facts, keys: Sequence[int]) -> Candidates:
    """Return the records that share one of `keys`, merged ones among them (MAT-21, MAT-22)."""
    chosen = Selection(tuple(keys), cut=False)
    found = await facts.having(
        "Patient", "derived.keys", chosen.keys, fields=COMPARED, limit=min(chosen.limit, POSTING_CAP) + 1
    )
    if len(found) > POSTING_CAP:
        sizes = {key: await facts.count("Patient", "derived.keys", key, POSTING_CAP + 1) for key in keys}
        chosen = select(keys, sizes)
        found = await facts.having("Patient", "derived.keys", chosen.keys, fields=COMPARED, limit=chosen.limit)
        return Candidates(readable(found), is_cut=chosen.cut or len(chosen.keys) < len(keys))
    return Candidates(readable(found))


def readable(found: Iterable[Mapping[str, Any]]) -> tuple[Compared, ...]:
    """Return the records whose vectors these rules made; the others wait for `patients rebuild-keys` (MAT-10)."""
    current = (one for one in found if one.get("derived", {}).get("mv", {}).get("norm_version") == NORM_VERSION)
    return tuple(map(compared, current))
