"""What happened, as AuditEvents: who did what to which record, where from, when and by what right.

The parts that are the same for all requests of a kind are made once and shared; only what varies is made anew.

Spec: audit.md sections 1 to 7; MHD section 14; IHE BALP 1.1.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from app.audit import agents, codes, entities
from app.audit.decided import decisions_of
from app.audit.failure import SUCCESS, Failure, failure_of, refusal_of
from app.audit.kinds import Kind, kind_of, profile_of
from app.audit.patterns import PATTERNS, Pattern
from app.audit.raw import clear_query_of, headers_of, query_of
from app.audit.settings import AuditSettings
from app.fhir.resource import Resource, instant
from app.security.principal import ANONYMOUS, Principal
from app.transaction import NOTHING_KNOWN, About, Occurrence


def events_of(occurrence: Occurrence, settings: AuditSettings) -> tuple[Resource, ...]:
    """Return the AuditEvents of `occurrence`: without `id`, and none when it is nothing to be told.

    They share constant parts with one another and with events of other requests: whoever adds an `id` makes a new
    dict, `{"resourceType": "AuditEvent", "id": …, **event}`, and changes nothing below.
    """
    if occurrence.access.decisions:
        return (*_requests(occurrence, settings), *decisions_of(occurrence, settings))
    return _requests(occurrence, settings)


def _requests(occurrence: Occurrence, settings: AuditSettings) -> tuple[Resource, ...]:
    """Return the events of a request and of what it brought about."""
    response = occurrence.response
    kind = kind_of(occurrence.transaction, occurrence.interaction, response.about)
    if kind is None:
        return ()
    headers = headers_of(occurrence.request)
    if response.status >= 400 and (refused := refusal_of(response)):
        kind = Kind("Refusal", kind.code, kind.display, body=kind.body)
        return tuple(_events(_Telling(occurrence, settings, headers, kind, NOTHING_KNOWN, NOTHING_KNOWN, refused)))
    asked = kind.asked(occurrence, settings.base_url)
    first = _Telling(occurrence, settings, headers, kind, response.about, asked, failure_of(response))
    if not response.about.also:
        return tuple(_events(first))
    others = (_beside(first, one) for one in response.about.also)
    return tuple(event for telling in (first, *others) for event in _events(telling))


@dataclass(frozen=True, slots=True)
class _Telling:
    """What one or more events are made of: those of the request itself, or of something that it brought about.

    Attributes:
        about: what the handler knows of it.
        asked: what the request says of it.
    """

    occurrence: Occurrence
    settings: AuditSettings
    headers: Mapping[str, str]
    kind: Kind
    about: About
    asked: About
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class _Shape:
    """What all events of a kind have in common, on one server."""

    pattern: Pattern
    subtype: list[Resource]
    client: Resource
    server: Resource
    source: Resource


def _beside(first: _Telling, about: About) -> _Telling:
    happened = first.occurrence
    kind = kind_of(happened.transaction, happened.interaction, about) or first.kind
    return _Telling(happened, first.settings, first.headers, kind, about, NOTHING_KNOWN, None)


def _events(telling: _Telling) -> Iterator[Resource]:
    """Yield an event for each patient, or one when there is none (AUD-08)."""
    kind, patients = telling.kind, _patients(telling)
    records = telling.about.data or telling.asked.data
    frame, common = _frame(telling), _common(telling, records)
    for patient in patients or (None,):
        found = [entities.patient(patient), *common] if patient else common
        profile = "" if telling.failure else profile_of(kind, has_patient=patient is not None, data=len(records))
        head: Resource = {"resourceType": "AuditEvent"}
        if profile and "network" in frame["agent"][0]:
            head["meta"] = {"profile": [profile]}
        yield head | frame | ({"entity": found} if found else {})


def _patients(telling: _Telling) -> tuple[Resource, ...]:
    """Return whom the events are about: who was found or changed, else whom the request names (AUD-51, AUD-52)."""
    if telling.settings.patients == "named" and PATTERNS[telling.kind.pattern].has_query:
        return telling.asked.patients
    return telling.about.patients or telling.asked.patients


def _frame(telling: _Telling) -> Resource:
    """Return all of the event but its entities."""
    happened, kind, failure = telling.occurrence, telling.kind, telling.failure
    interaction = telling.about.interaction or happened.interaction.code
    shape = _shape(kind.pattern, kind.code, kind.display, interaction, _told_by(telling))
    made: Resource = {
        "type": shape.pattern.type,
        "subtype": shape.subtype,
        "action": shape.pattern.action,
        "recorded": instant(happened.ended),
        "outcome": SUCCESS if failure is None else failure.outcome,
        "agent": _agents(telling, shape, telling.about.client or telling.asked.client),
        "source": shape.source,
    }
    if failure is None:
        return made
    made["outcomeDesc"] = failure.description
    return {"contained": [failure.contained], **made} if failure.contained else made


def _told_by(telling: _Telling) -> AuditSettings:
    """Return the settings of the recorder; an authorization server goes by the name of its issuer (AUD-70)."""
    issuer = telling.about.principal.issuer if telling.kind.pattern == "Token" else ""
    return replace(telling.settings, base_url=issuer) if issuer else telling.settings


def _agents(telling: _Telling, shape: _Shape, client_id: str) -> list[Resource]:
    """Return client and server, then whom the token speaks of; a closed profile has room for a person alone."""
    principal, style, kind = _principal(telling), telling.settings.claims, shape.client
    if style == "comprehensive":
        kind = agents.client_type(shape.pattern, principal, style)
    asks = not principal.is_person
    client = agents.client(kind, client_id or principal.client, telling.occurrence.request.peer, asks=asks)
    if not (principal.client or principal.subject or principal.token_tail):
        return [client, shape.server]
    found = agents.of_token(shape.pattern, principal, style)
    if telling.kind.is_closed:
        return [client, shape.server, *(one for one in found if shape.pattern.user in one["type"]["coding"])]
    return [client, shape.server, *found]


def _principal(telling: _Telling) -> Principal:
    found = telling.about.principal
    is_known = found is not ANONYMOUS and found != ANONYMOUS
    return found if is_known else telling.occurrence.access.principal


def _common(telling: _Telling, data: Sequence[Resource]) -> list[Resource]:
    """Return the entities that do not depend on the patient: what was asked, or which records; and connections."""
    kind, request, headers = telling.kind, telling.occurrence.request, telling.headers
    if PATTERNS[kind.pattern].has_query or not data:
        text = query_of(request, headers, kind.body)
        clear = clear_query_of(request, headers, telling.settings.base_url) if telling.settings.clear_query else ""
        made = [entities.query(text, clear)]
    else:
        made = [entities.data(one, kind.role, telling.about.details) for one in data]
    if kind.is_closed and telling.failure is None:
        return made
    made += entities.correlated(headers)
    if telling.settings.claims == "comprehensive":
        made += entities.consents(_principal(telling).claims)
    if telling.failure and telling.failure.contained:
        made.append(entities.outcome())
    return made


@lru_cache(maxsize=1024)
def _shape(name: str, code: str, display: str, interaction: str, settings: AuditSettings) -> _Shape:
    """Return what is the same for all requests of a kind; it is shared, and nobody changes it."""
    pattern = PATTERNS[name]
    done = interaction if pattern.interaction == "*" else pattern.interaction
    subtype = [codes.coding(codes.INTERACTION, done, done)] if done else []
    if code:
        subtype.append(codes.coding(codes.IHE_EVENT, code, display))
    subtype = subtype or [codes.coding(codes.INTERACTION, interaction, interaction)]
    server = agents.server(settings, pattern.server)
    source = {"observer": server["who"], "type": [pattern.source]}
    site = {"site": settings.site} if settings.site else {}
    return _Shape(pattern, subtype, codes.concept(pattern.client), server, {**site, **source})
