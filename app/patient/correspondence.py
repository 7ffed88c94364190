"""Corresponding identifiers: what else the person is called whose identifier somebody has.

Spec: PIXM-ACT-05; PIXM-83-04, PIXM-83-11 to PIXM-83-21, PIXM-83-35; PIXM-DOM-04 to PIXM-DOM-06.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.domains import Domain, Domains
from app.fhir.resource import Resource, parse_json
from app.patient.derived import OWN_FIELD, own_token, owns
from app.patient.persons import persons_of
from app.transaction import Context


@dataclass(frozen=True, slots=True)
class Asked:
    """A question for corresponding identifiers.

    Attributes:
        value: of an identifier of `source`; `Patient/<id>` in the domain of a FHIR server.
        targets: only identifiers of these domains; empty for all.
    """

    source: Domain
    value: str
    targets: tuple[Domain, ...] = ()


@dataclass(frozen=True, slots=True)
class Correspondence:
    """What else the person is called.

    Attributes:
        identifiers: FHIR Identifiers of other domains.
        references: absolute URLs of Patients.
        is_deprecated: the identifier that was asked by was merged away or deactivated; nothing is told then.
    """

    identifiers: tuple[Resource, ...] = ()
    references: tuple[str, ...] = ()
    is_deprecated: bool = False


@dataclass(frozen=True, slots=True)
class _Record:
    id: str
    state: str
    source: str
    patient: Resource


async def correspondence(asked: Asked, context: Context) -> Correspondence | None:
    """Return what the person is called to whom the asked identifier belongs; None when it belongs to nobody.

    A record that the caller may not see is nobody's.
    """
    owners = await _seen(await _owners(asked, context), context)
    if not owners:
        return None
    active = [one for one in owners if one.state == "active"]
    if not active:
        return Correspondence(is_deprecated=True)
    persons = await persons_of(context.store.facts, (one.id for one in active))
    ids = dict.fromkeys(each for members in persons.values() for each in members)
    known = {one.id: one for one in active}
    others = await _seen(await _records("_id", [each for each in ids if each not in known], context), context)
    records = [one for one in (*active, *others) if one.state == "active"]
    numbers = _person_numbers(asked, persons.values(), {one.id for one in records}, context.domains)
    identifiers = (*_identifiers(asked, records, context), *numbers)
    return Correspondence(identifiers, tuple(_references(asked, records, set(known), context)))


async def _owners(asked: Asked, context: Context) -> list[_Record]:
    """Return the records that own the asked identifier; that of our own `[base]` is an id (PIXM-DOM-05)."""
    if asked.source.kind == "person":
        return await _of_person(asked.value, context)
    if asked.source is not context.domains.own:
        return await _records(OWN_FIELD, [own_token(asked.source.system, asked.value)], context)
    kind, _, name = asked.value.partition("/")
    return await _records("_id", [name], context) if kind == "Patient" else []


async def _records(field: str, values: Sequence[str], context: Context) -> list[_Record]:
    fields = ("json", "derived.state", "beside.feed")
    found = await context.store.facts.having("Patient", field, values, fields=fields)
    return [
        _Record(
            one["_id"],
            one.get("derived", {}).get("state", "active"),
            one.get("beside", {}).get("feed", {}).get("source", ""),
            parse_json(one["json"]),
        )
        for one in found
    ]


async def _of_person(number: str, context: Context) -> list[_Record]:
    """Return the records of the person that has `number`: the id of the oldest of them."""
    members = (await persons_of(context.store.facts, [number]))[number]
    return await _records("_id", members, context) if members[0] == number else []


def _person_numbers(
    asked: Asked, persons: Iterable[Sequence[str]], told: Collection[str], domains: Domains
) -> Iterator[Resource]:
    """Yield the index's own number of the person, where a domain for it is configured (PIXM-ACT-05).

    It is the id of the person's oldest record; a caller who may not see that record is not told its id.
    """
    wanted = [one for one in asked.targets or domains.all() if one.kind == "person" and one.revealed]
    for domain in wanted:
        numbers = dict.fromkeys(members[0] for members in persons if members[0] in told)
        yield from (_as_told({"value": one}, domain) for one in numbers if domain is not asked.source)


async def _seen(records: list[_Record], context: Context) -> list[_Record]:
    if context.store.is_whole:
        return records
    seen = await context.store.seen("Patient", [one.id for one in records])
    return [one for one in records if one.id in seen]


def _identifiers(asked: Asked, records: Iterable[_Record], context: Context) -> Iterator[Resource]:
    """Yield each business identifier once, but never the one that was asked by (PIXM-83-11, PIXM-83-13)."""
    seen = {(asked.source.system, asked.value)}
    for domain, identifier in _told(asked, records, context.domains):
        name = (domain.system, identifier["value"])
        if domain.kind == "business" and name not in seen:
            seen.add(name)
            yield _as_told(identifier, domain)


def _told(asked: Asked, records: Iterable[_Record], domains: Domains) -> Iterator[tuple[Domain, Resource]]:
    """Yield the identifiers that records own, of recognised domains that are asked for and may be revealed."""
    for record in records:
        for identifier in record.patient.get("identifier", ()):
            domain = domains.find(identifier.get("system", ""))
            if domain is None or not domain.revealed or not identifier.get("value"):
                continue
            if owns(identifier, record.source, domains) and (not asked.targets or domain in asked.targets):
                yield domain, identifier


def _as_told(identifier: Resource, domain: Domain) -> Resource:
    kept: Resource = {name: identifier[name] for name in ("use", "type") if name in identifier}
    told: Resource = {**kept, "system": domain.system, "value": identifier["value"]}
    if "period" in identifier:
        told["period"] = identifier["period"]
    return {**told, "assigner": {"display": domain.name}} if domain.name else told


def _references(asked: Asked, records: Sequence[_Record], owners: set[str], context: Context) -> Iterator[str]:
    """Yield the Patients of the person, those of other FHIR servers last (PIXM-83-12, PIXM-83-15, PIXM-83-16)."""
    told = dict.fromkeys(
        f"{context.base_url}/Patient/{one.id}" for one in records if _is_referred_to(asked, one, owners, context)
    )
    for domain, identifier in _told(asked, records, context.domains):
        name = identifier["value"]
        if domain.kind == "fhir-server" and (domain, name) != (asked.source, asked.value):
            told[f"{domain.system}/{name}"] = None
    yield from told


def _is_referred_to(asked: Asked, record: _Record, owners: set[str], context: Context) -> bool:
    """Tell whether a record is among those that are asked for: others than the one that owns the asked identifier."""
    by_id = asked.source is context.domains.own
    if context.domains.own in asked.targets:
        return not (by_id and record.id in owners)
    if record.id in owners and (by_id or record.source in ("", asked.source.source)):
        return False
    return not asked.targets or any(_owns_one_of(record, domain, context.domains) for domain in asked.targets)


def _owns_one_of(record: _Record, domain: Domain, domains: Domains) -> bool:
    if record.source and record.source != domain.source:
        return False
    return any(domains.find(one.get("system", "")) is domain for one in record.patient.get("identifier", ()))
