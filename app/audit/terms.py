"""The terms by which an AuditEvent is found, taken from it directly.

Own choice: the expressions of the search parameters find the same (tests/audit/test_terms.py holds this to them), but
an event is written for every request, and this costs a fifth.

Spec: FHIR R4 auditevent.html#search; AUD-92 to AUD-94.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from app.fhir import reference
from app.fhir.resource import Resource
from app.search import token_type, uri_type
from app.search.definitions import SearchParameter
from app.search.reference_type import IDENTIFIER
from app.search.string_type import term

Terms = dict[str, list[Any]]

ACTION = "http://hl7.org/fhir/audit-event-action"
OUTCOME = "http://hl7.org/fhir/audit-event-outcome"

_CODING = SearchParameter("coding", "token", "")
_POLICY = SearchParameter("policy", "uri", "")
_PATIENT = "Patient/"


def terms_of(event: Resource, known: Mapping[str, Sequence[str]]) -> Terms:
    """Return the terms of `event`, as `app.search.index` would; the date is the record's own.

    Args:
        known: what is known now of the patients whom the event names (`patients_of`), by which it is found too:
            `Patient/id` -> the terms of their identifiers, `system|value` -> the Patients who have it.
    """
    agents, entities = event.get("agent", ()), event.get("entity", ())
    whos, whats = _named(agents, "who"), _named(entities, "what")
    source = event.get("source", {})
    observer = [source["observer"]] if "observer" in source else []
    patients = list(_patients(whos, entities))
    terms: Terms = {
        "type": _codings([event.get("type")]),
        "subtype": _codings(event.get("subtype", ())),
        "action": _code(ACTION, event.get("action")),
        "outcome": _code(OUTCOME, event.get("outcome")),
        "address": [term(each["network"]["address"]) for each in agents if "address" in each.get("network", ())],
        "agent": _references(whos),
        "agent-name": [term(each["name"]) for each in agents if "name" in each],
        "agent-role": _concepts(agents, "role"),
        "altid": _plain(each["altId"] for each in agents if "altId" in each),
        "policy": _policies(agents),
        "entity": _references(whats),
        "entity-name": [term(each["name"]) for each in entities if "name" in each],
        "entity-role": _codings([each.get("role") for each in entities]),
        "entity-type": _codings([each.get("type") for each in entities]),
        "site": _plain([source["site"]] if "site" in source else ()),
        "source": _references(observer),
        "patient": [*_references(patients), *_identified(patients, known)],
        "agent:target": _targets(whos),
        "entity:target": _targets(whats),
        "source:target": _targets(observer),
        "patient:target": [*_targets(patients), *_known(patients, known)],
    }
    if meta := event.get("meta"):
        terms |= _of_meta(meta)
    if "language" in event:
        terms["_language"] = _plain([event["language"]])
    return {name: found for name, found in terms.items() if found}


def patient_terms(event: Resource, known: Mapping[str, Sequence[str]]) -> Terms:
    """Return the part of the terms of `event` that depends on what is known."""
    patients = list(_patients(_named(event.get("agent", ()), "who"), event.get("entity", ())))
    terms: Terms = {
        "patient": [*_references(patients), *_identified(patients, known)],
        "patient:target": [*_targets(patients), *_known(patients, known)],
    }
    return {name: found for name, found in terms.items() if found}


def patients_of(event: Resource) -> Iterator[str]:
    """Yield the patients whom `event` names: those of this server as `Patient/id`, others as `system|value`."""
    for each in _patients(_named(event.get("agent", ()), "who"), event.get("entity", ())):
        if (name := _name(each.get("reference", ""))).startswith(_PATIENT):
            yield name
        elif key := _key(each):
            yield key


def _named(parts: Iterable[Resource], element: str) -> list[Resource]:
    return [each[element] for each in parts if element in each]


def _patients(whos: Iterable[Resource], entities: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the References to patients: by what they point to, or by the part that an entity plays."""
    for who in whos:
        if _is_patient(who):
            yield who
    for entity in entities:
        if what := entity.get("what"):
            is_person = entity.get("type", {}).get("code") == "1" and entity.get("role", {}).get("code") == "1"
            if _is_patient(what) or (is_person and "identifier" in what):
                yield what


def _is_patient(found: Resource) -> bool:
    return found.get("type") == "Patient" or _name(found.get("reference", "")).rpartition("/")[0].endswith("Patient")


def _references(found: Iterable[Resource]) -> list[Any]:
    names = [_name(each["reference"]) for each in found if "reference" in each]
    return list(dict.fromkeys(filter(None, names))) if names else names


def _targets(found: Iterable[Resource]) -> list[Any]:
    return [{"identifier": _identifier(each["identifier"])} for each in found if each.get("identifier")]


def _known(patients: Iterable[Resource], known: Mapping[str, Sequence[str]]) -> Iterator[Terms]:
    for name in dict.fromkeys(_name(each.get("reference", "")) for each in patients):
        if identifiers := known.get(name):
            yield {"identifier": list(identifiers)}


def _identified(patients: Iterable[Resource], known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for each in patients:
        if "reference" not in each:
            yield from known.get(_key(each), ())


def _key(patient: Resource) -> str:
    """Return the term of an identifier with its system; empty when there is none."""
    identifier = patient.get("identifier", {})
    return str(_identifier(identifier)[1]) if identifier.get("system") and identifier.get("value") else ""


def _codings(codings: Iterable[Resource | None]) -> list[Any]:
    found = [_pair(each.get("system"), each.get("code"), each.get("display")) for each in codings if each]
    return list(found[0]) if len(found) == 1 else list(dict.fromkeys(one for each in found for one in each))


def _concepts(parts: Iterable[Resource], element: str) -> list[Any]:
    return _codings(
        [coding for each in parts for concept in each.get(element, ()) for coding in concept.get("coding", ())]
    )


def _code(system: str, code: str | None) -> list[Any]:
    return list(_implied(system, code)) if code else []


def _plain(values: Iterable[str]) -> list[Any]:
    return list(dict.fromkeys(one for value in values for one in (value, f"|{value}")))


def _of_meta(meta: Resource) -> Terms:
    profiles, source = meta.get("profile", ()), meta.get("source")
    return {
        "_profile": list(_uris(tuple(profiles))),
        "_source": list(_uris((source,))) if source else [],
        "_tag": _codings(meta.get("tag", ())),
        "_security": _codings(meta.get("security", ())),
    }


@lru_cache(maxsize=256)
def _uris(uris: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(uri_type.index(_POLICY, list(uris))["policy"])


def _policies(agents: Iterable[Resource]) -> list[Any]:
    found = [policy for each in agents for policy in each.get("policy", ())]
    return uri_type.index(_POLICY, found)["policy"] if found else found


@lru_cache(maxsize=4_096)
def _name(text: str) -> str:
    found = reference.parse(text) if text else None
    return found.url if found and found.kind != "contained" else ""


@lru_cache(maxsize=4_096)
def _pair(system: str | None, code: str | None, display: str | None) -> tuple[str, ...]:
    coding = {"system": system, "code": code, "display": display}
    given = {name: value for name, value in coding.items() if value}
    return tuple(token_type.index(_CODING, [given])["coding"]) if {"code", "system"} & given.keys() else ()


@lru_cache(maxsize=64)
def _implied(system: str, code: str) -> tuple[str, ...]:
    parameter = SearchParameter("code", "token", "", systems={code: system})
    return tuple(token_type.index(parameter, [code])["code"])


def _identifier(identifier: Resource) -> list[Any]:
    return token_type.index(IDENTIFIER, [identifier])["identifier"]
