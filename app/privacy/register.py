"""All restrictions that are in force, at hand for each request.

Each write of a Consent counts up a number in its own transaction. A request reads that number alone, and the Consents
only when it has changed: so a restriction is in force for the next request, in every worker. Whom the
cross-reference has come to link with a restricted patient is looked up anew now and then.

Spec: MHD-SEC-13; EHDS-110. Own choice: the number, and how often.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic

from app.fhir.resource import parse_json
from app.patient.persons import followers_of, persons_of, survivors_of
from app.privacy.restriction import restriction_of
from app.security.policy import Restriction
from app.store.atomic import Atomic
from app.store.change import Create, Update
from app.store.facts import Facts
from app.store.record import Kept
from app.store.resources import Store

STATE, NUMBER = "access_state", "consents"

# After so long it is looked up anew who is linked with whom.
LINKED_FOR_S = 5.0


class Register:
    """The restrictions that are in force, read again when one has changed."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._known: tuple[Restriction, ...] = ()
        self._number = -1
        self._until = 0.0

    async def restrictions(self) -> Sequence[Restriction]:
        """Return the restrictions of all patients as they are now."""
        number = await number_of(self._facts)
        if number != self._number or (self._known and monotonic() >= self._until):
            self._known = await in_force(self._facts)
            self._number, self._until = number, monotonic() + LINKED_FOR_S
        return self._known


async def in_force(facts: Facts) -> tuple[Restriction, ...]:
    """Return the restrictions of all Consents that are active, each for every record of its person."""
    found = await facts.having("Consent", "derived.active", [True], fields=("json",))
    said = [restriction_of(parse_json(one["json"])) for one in found]
    kin = await _linked({name.partition("/")[2] for one in said for name in one.patients}, facts)
    return tuple(
        replace(one, patients=tuple(f"Patient/{each}" for each in kin[one.patients[0].partition("/")[2]]))
        for one in said
    )


async def keep(change: Create | Update, store: Store, now: datetime) -> Kept:
    """Write a Consent, in force at once.

    Raises:
        FhirError: `forbidden` (403, 401) when the caller may not.
        VersionConflict: as `Store.commit`.
    """
    await store.permit([change], now)

    async def work(atomic: Atomic) -> Kept:
        (kept,) = await atomic.commit([change], now)
        await atomic.keep(STATE, [{"_id": NUMBER, "number": await number_of(atomic) + 1}])
        return kept

    return await store.atomically(work)


async def number_of(facts: Facts) -> int:
    """Return how often a Consent was written."""
    found = await facts.having(STATE, "_id", [NUMBER])
    return int(found[0]["number"]) if found else 0


async def _linked(ids: Collection[str], facts: Facts) -> dict[str, tuple[str, ...]]:
    """Return for each of `ids` all records of the same person, merged ones among them."""
    ends = await survivors_of(facts, ids)
    persons = await persons_of(facts, (ends.get(each, each) for each in ids))
    merged = await followers_of(facts, {member for members in persons.values() for member in members})
    followers: dict[str, list[str]] = {}
    for follower in merged:
        end = follower
        for _ in merged:
            end = merged.get(end, end)
        followers.setdefault(end, []).append(follower)
    return {each: _all(each, persons[ends.get(each, each)], followers) for each in ids}


def _all(given: str, members: Sequence[str], followers: dict[str, list[str]]) -> tuple[str, ...]:
    merged = (follower for member in members for follower in followers.get(member, ()))
    return tuple(dict.fromkeys((given, *members, *merged)))
