"""Patient Demographics Match [ITI-119]: the Patient Demographics Supplier's side, Match Operation Option.

A Patient Demographics Consumer describes a person; the answer is a searchset Bundle of those who may be meant, best
first, each with a score and a grade.

An extra: with `Prefer: explain` in the request, each match shows in `search.extension`, under `EXPLANATION`, what every
field said: its level, its bits, and the weight that they sum up to.

Spec: IHE ITI TF-2:3.119 (https://profiles.ihe.net/ITI/PDQm/ITI-119.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.fhir.outcome import FhirError, operation_outcome
from app.fhir.resource import Resource, fill_in_base, parse_json, to_json
from app.patient.copies import copies
from app.patient.match import Matched, MatchRequest, MatchResult, explanation, match, readable
from app.search.criteria import Terms
from app.search.query import Query
from app.transaction import About, Context, FhirJson, RequestMessage, ResponseMessage, Transaction, operation

PDQM = "https://profiles.ihe.net/ITI/PDQm"
OPERATION = f"{PDQM}/OperationDefinition/PDQmMatch"

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
# Own extension; its parts: `part` (`field`, `level`, `bits`), `weight`, `parameters`, `population`.
EXPLANATION = "urn:uuid:5c9c3f0e-6a0b-4a86-9d5e-2f4b7c1d8e60"

_PARAMETERS = ("resource", "onlyCertainMatches", "count")


async def patient_demographics_match(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer `$match` (2:3.119.4.1.3 Expected Actions).

    Args:
        message: the body is a Parameters resource, or a Patient alone.

    Returns:
        200 and a Bundle of type searchset (2:3.119.4.2.2); empty when nobody is found.

    Raises:
        FhirError: `required`, `invalid`, `structure`, `value`, `extension` (400).
    """
    asked = request_of(message, context)
    result = await match(asked, context)
    about = About(tuple({"reference": f"Patient/{one.id}"} for one in result.matches))
    body = FhirJson(await _bundle(asked, result, context))
    return ResponseMessage(200, body, {"Cache-Control": "no-store"}, about)


def request_of(message: RequestMessage, context: Context) -> MatchRequest:
    """Return what is asked, once its form is right (PDQM-119-02 to PDQM-119-07, PDQM-119-10).

    Raises:
        FhirError: as `patient_demographics_match`.
    """
    body = message.resource
    if body is None or body.get("resourceType") not in ("Parameters", "Patient"):
        raise FhirError("invalid", "The body must be a Parameters resource or a Patient.")
    given: Resource = {"resource": body} if body["resourceType"] == "Patient" else _parameters(body)
    patient = given.get("resource")
    if not isinstance(patient, dict):
        raise FhirError(
            "required", "The parameter `resource` is missing: a Patient.", expression="Parameters.parameter"
        )
    if patient.get("resourceType") != "Patient":
        raise FhirError("invalid", "The parameter `resource` is not a Patient.", expression="Parameters.parameter")
    _refuse_modifiers(patient)
    known, warnings = readable(patient, context.validator.validate(patient))
    explained = "explain" in message.headers.get("prefer", "")
    return MatchRequest(known, bool(given.get("onlyCertainMatches")), given.get("count"), explained, warnings)


def _parameters(body: Resource) -> Resource:
    """Return the parameters by name; there are three, each once, of one type each (PDQM-119-03)."""
    found: Resource = {}
    sent = body.get("parameter") or []
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise FhirError("structure", "`parameter` must be an array of objects.", expression="Parameters.parameter")
    for at, one in enumerate(sent):
        name, place = str(one.get("name", "")), f"Parameters.parameter[{at}]"
        if name not in _PARAMETERS:
            raise FhirError("invalid", f"`$match` has no parameter `{name[:64]}`.", expression=place)
        if name in found:
            raise FhirError("invalid", f"The parameter `{name}` may be given once.", expression=place)
        found[name] = _value(name, one, place)
    if "count" in found and found["count"] < 0:
        raise FhirError("value", "The parameter `count` must be 0 or more.", expression="Parameters.parameter")
    return found


def _value(name: str, parameter: Resource, place: str) -> object:
    element = {"resource": "resource", "onlyCertainMatches": "valueBoolean", "count": "valueInteger"}[name]
    if set(parameter) - {"name", "id", element} or element not in parameter:
        raise FhirError("invalid", f"The parameter `{name}` must be given as `{element}`.", expression=place)
    value: object = parameter[element]
    expected = {"resource": dict, "onlyCertainMatches": bool, "count": int}[name]
    if not isinstance(value, expected) or (name == "count" and isinstance(value, bool)):
        raise FhirError("invalid", f"The parameter `{name}` is not of the type `{element}`.", expression=place)
    return value


def _refuse_modifiers(patient: Resource) -> None:
    """Refuse what could turn the meaning of the description around (PDQM-119-04, PDQM-119-05)."""
    for at, extension in enumerate(patient.get("modifierExtension") or ()):
        url = str(extension.get("url", ""))[:200] if isinstance(extension, dict) else ""
        place = f"Patient.modifierExtension[{at}]"
        raise FhirError("extension", f"modifierExtension {url} is not understood", status=400, expression=place)
    if "implicitRules" in patient:
        raise FhirError("invalid", "implicitRules is not allowed", expression="Patient.implicitRules")


async def _bundle(asked: MatchRequest, result: MatchResult, context: Context) -> bytes:
    """Return the searchset as JSON (PDQM-119-20 to PDQM-119-26, PDQM-119-38)."""
    entries = await _entries(result.matches, context, explained=asked.explained)
    if result.warnings:
        outcome, name = operation_outcome(result.warnings), f"urn:uuid:{UUID(context.new_id())}"
        entries.append({"fullUrl": name, "resource": outcome, "search": {"mode": "outcome"}})
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": result.total,
        "link": [{"relation": "self", "url": f"{context.base_url}/Patient/$match"}],
    }
    return fill_in_base(to_json({**bundle, "entry": entries} if entries else bundle), context.base_url)


async def _entries(matches: Sequence[Matched], context: Context, *, explained: bool) -> list[Resource]:
    ids = tuple(one.id for one in matches)
    if not ids:
        return []
    page = await context.store.search(Query("Patient", Terms("_id", ids), count=len(ids), total="none"))
    records = {one.id: parse_json(one.json) for one in await copies(page.entries, context)}
    return [_entry(one, records[one.id], context, explained=explained) for one in matches if one.id in records]


def _entry(matched: Matched, patient: Resource, context: Context, *, explained: bool) -> Resource:
    extensions: list[Resource] = [{"url": GRADE, "valueCode": matched.scored.grade}]
    if explained:
        extensions.append(explanation(matched.scored, EXPLANATION))
    search = {"extension": extensions, "mode": "match", "score": round(matched.scored.score, 6)}
    return {"fullUrl": f"{context.base_url}/Patient/{matched.id}", "resource": patient, "search": search}


ITI119 = Transaction(
    code="ITI-119",
    name="Patient Demographics Match",
    client="Patient Demographics Consumer",
    server="Patient Demographics Supplier",
    interactions=operation("Patient", "match", OPERATION, patient_demographics_match, "ITI-119"),
    supported_profiles={"Patient": (f"{PDQM}/StructureDefinition/IHE.PDQm.Patient",)},
    instantiates=(f"{PDQM}/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplierMatch",),
    audit_profile=f"{PDQM}/StructureDefinition/IHE.PDQm.Match.Audit.Supplier",
    documentation="With `Prefer: explain` each match shows in `search.extension` how its weight came about.",
)
