"""Which records are the same person: what the store knows of it, read.

A person is a set of active records, and has the id of the oldest of them. A record that is in no such set is a person
by itself. A record that was merged away belongs to whoever replaced it, as often as that was.

Spec: PIXM-XREF-01 to PIXM-XREF-07, PIXM-104-31; MAT-62.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.store.facts import Facts
from app.store.merged import MOST_MERGES, survivors_of

__all__ = ["everybody", "followers_of", "persons_of", "survivors_of", "together"]


async def persons_of(facts: Facts, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each of `ids` the active records of its person, oldest first; alone, only itself."""
    wanted = tuple(dict.fromkeys(ids))
    found = await facts.having("person", "members", wanted, fields=("members",))
    by_member = {member: tuple(person["members"]) for person in found for member in person["members"]}
    return {each: by_member.get(each, (each,)) for each in wanted}


async def followers_of(facts: Facts, ids: Iterable[str]) -> dict[str, str]:
    """Return the records that were merged into one of `ids`, and into these again: each with whom it went into."""
    found: dict[str, str] = {}
    wave = set(ids)
    for _ in range(MOST_MERGES):
        merged = await facts.having("Patient", "derived.replacedBy", wave, fields=("derived.replacedBy",))
        new = {one["_id"]: one["derived"]["replacedBy"] for one in merged if one["_id"] not in found}
        found |= new
        wave = set(new)
        if not wave:
            break
    return found


async def everybody(facts: Facts, ids: Iterable[str]) -> tuple[str, ...]:
    """Return every record of the persons of `ids`: active ones, and those that were merged into them (PIXM-104-31)."""
    given = tuple(ids)
    ends = await survivors_of(facts, given)
    persons = await persons_of(facts, (ends.get(each, each) for each in given))
    active = dict.fromkeys(record for members in persons.values() for record in members)
    merged = await followers_of(facts, active)
    return tuple(dict.fromkeys((*given, *active, *merged)))


def together(persons: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether all of `persons`, as `persons_of` returned them, are one."""
    return len(set(persons.values())) <= 1
