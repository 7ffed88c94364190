"""What of a Patient an answer shows: copies, that leave the record as it is.

Identifiers of domains that were not asked for, or must not be told, are left out; a record without any identifier gets
its own address as one; records of one Bundle that are the same person say so.

Spec: PDQM-78-40, PDQM-78-41, PDQM-78-75, PDQM-DAT-02, PDQM-DAT-03; PIXM-DOM-01 (revealed).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from app.fhir.resource import BASE, Resource, parse_json, to_json
from app.patient.persons import persons_of
from app.store.record import Match
from app.transaction import Context

# An identifier that is a URI has this system: ITI TF-2 Appendix E.3.
URI_SYSTEM = "urn:ietf:rfc:3986"
_HAS_IDENTIFIER = b'"identifier"'


async def copies(
    found: Sequence[Match], context: Context, domains: Collection[str] = (), also: Sequence[Match] = ()
) -> tuple[Match, ...]:
    """Return `found` as the answer shows them.

    Args:
        domains: the systems whose identifiers are shown, every spelling; empty: all that may be told.
        also: what else is in the same Bundle.
    """
    links = await _links([one.id for one in (*found, *also)], context)
    hidden = context.domains.hidden
    return tuple(
        _copy(one, links.get(one.id, ()), domains, hidden)
        if domains or hidden or one.id in links or _HAS_IDENTIFIER not in one.json
        else one
        for one in found
    )


async def _links(ids: Sequence[str], context: Context) -> dict[str, list[str]]:
    """Return for each of `ids` the others of the same person among them."""
    if len(ids) < 2:
        return {}
    persons = await persons_of(context.store.facts, ids)
    return {
        one: others for one, all_of in persons.items() if (others := [x for x in all_of if x != one and x in persons])
    }


def _copy(match: Match, others: Iterable[str], domains: Collection[str], hidden: Collection[str]) -> Match:
    patient: Resource = parse_json(match.json)
    shown = [one for one in patient.get("identifier", ()) if _is_shown(one, domains, hidden)]
    patient = with_links({**patient, "identifier": shown or [own_address(match.id)]}, others)
    return Match(match.resource_type, match.id, to_json(patient))


def _is_shown(identifier: Mapping[str, object], domains: Collection[str], hidden: Collection[str]) -> bool:
    system = identifier.get("system", "")
    return system not in hidden and (not domains or system in domains)


def own_address(id: str) -> Resource:  # noqa: A002 - FHIR's word
    """Return the identifier of a record that has no other: where it is read."""
    return {"system": URI_SYSTEM, "value": f"{BASE}/Patient/{id}"}


def with_links(patient: Resource, others: Iterable[str]) -> Resource:
    """Return `patient` with a `seealso` to each of `others`, ids of records of the same person."""
    links = [{"other": {"reference": f"Patient/{each}"}, "type": "seealso"} for each in others]
    return {**patient, "link": [*patient.get("link", ()), *links]} if links else patient
