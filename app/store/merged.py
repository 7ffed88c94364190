"""Patients that were merged: who replaced whom, and under whom their documents are found.

A merge moves no document (docs/decisions/0022): the record of one that is filed under a merged Patient keeps, beside
the resource, who replaced that Patient (`beside.heirs`), and has their terms besides its own. So a search for the
survivor finds it at no cost, and undoing the merge takes the terms away again.

Spec: PIXM-104-31, PIXM-104-34; MHD-XDS-04, MHD-MHDS-05; mhd.md section 21, 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.fhir.resource import Resource
from app.store.driver import Document
from app.store.facts import Facts

# The types that are filed under a Patient, and the parameters by which they are found there.
FILED = ("DocumentReference", "List")
_PARAMETERS = ("patient", "subject")

# So many merges in a row are followed; more are a mistake that nobody's feed can make (PIXM-104-34).
MOST_MERGES = 32


async def survivors_of(facts: Facts, ids: Iterable[str]) -> dict[str, str]:
    """Return for each of `ids` that was merged away the id of the record that replaced it in the end."""
    chains = {each: each for each in ids}
    for _ in range(MOST_MERGES):
        ends = set(chains.values())
        found = await facts.having("Patient", "_id", ends, fields=("derived.replacedBy",))
        onward = {one["_id"]: target for one in found if (target := one.get("derived", {}).get("replacedBy"))}
        if not onward:
            break
        chains = {each: onward.get(end, end) for each, end in chains.items()}
    return {each: end for each, end in chains.items() if each != end}


async def heirs_of(facts: Facts, survivor: str) -> list[str]:
    """Return `survivor`, who replaced it, who replaced that one, and so on; nobody for an empty id."""
    heirs: list[str] = []
    while survivor and len(heirs) < MOST_MERGES:
        heirs.append(survivor)
        found = await facts.having("Patient", "_id", [survivor], fields=("derived.replacedBy",))
        survivor = found[0].get("derived", {}).get("replacedBy", "") if found else ""
    return heirs


def filed_under(resource: Resource, beside: Mapping[str, Any]) -> Document:
    """Return the terms of those who replaced the Patient of `resource`; what the store derives for `FILED`."""
    names = [f"Patient/{each}" for each in beside.get("heirs", ())]
    return {"index": {parameter: list(names) for parameter in _PARAMETERS}} if names else {}


async def refile(facts: Facts, patient: str, before: Sequence[str], after: Sequence[str]) -> None:
    """Let all that is filed under `patient` be found under its heirs `after`, and no longer under those `before`."""
    for resource_type in FILED:
        await facts.amend(resource_type, "index.patient", f"Patient/{patient}", _lists(before), _lists(after))


def _lists(heirs: Sequence[str]) -> dict[str, list[str]]:
    names = [f"Patient/{each}" for each in heirs]
    return {"beside.heirs": list(heirs), **{f"index.{parameter}": names for parameter in _PARAMETERS}}
