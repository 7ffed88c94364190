"""The Patient that a source feeds: what it must satisfy, and how it is kept.

400: it is not legal FHIR. 422: it is, and breaks the PIXm profile or a rule of the patient index.

Spec: PIXM-104-10, 11, 19, 23 to 25, 33, 40; PIXM-DAT-01, PIXM-HTTP-16.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from app.domains import Domains
from app.fhir.bundle import Links
from app.fhir.outcome import FhirError, Issue
from app.fhir.packages import Packages
from app.fhir.resource import Resource, parse_json, to_json
from app.patient.derived import replaced_by
from app.patient.record_key import RecordKey, told
from app.switches import Switches
from app.validation.validator import Validator

PROFILE = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient"

MAX_BYTES = 1024 * 1024

# What the server says of a record, and a client cannot.
_OF_THE_SERVER = ("versionId", "lastUpdated", "source")


class Rules(Protocol):
    """What a fed Patient is checked with: the part of `Context` that needs no database."""

    @property
    def validator(self) -> Validator: ...  # noqa: D102
    @property
    def packages(self) -> Packages: ...  # noqa: D102
    @property
    def base_url(self) -> str: ...  # noqa: D102
    @property
    def switches(self) -> Switches: ...  # noqa: D102
    @property
    def domains(self) -> Domains: ...  # noqa: D102


def require_patient(resource: Resource | None) -> Resource:
    """Return the body, once it is a Patient of legal FHIR and of a size that people have.

    Raises:
        FhirError: `required`, `invalid`, `structure`, `value` (400); `too-long` (413).
    """
    if resource is None:
        raise told("required", "the body is missing; a Patient was expected")
    if resource.get("resourceType") != "Patient":
        raise told("invalid", "the body is not a Patient")
    if len(to_json(resource)) > MAX_BYTES:
        raise told("too-long", f"a Patient may have {MAX_BYTES} bytes")
    return resource


def prepared(patient: Resource, key: RecordKey, rules: Rules) -> Resource:
    """Return `patient` as it is kept under `key`, once it satisfies the profile and the rules of the index.

    Its state is said, the key is among its identifiers, what only the server knows is the server's.

    Raises:
        FhirError: 400 and 422, see above; all issues at once.
    """
    _refuse(rules.validator.validate(patient), status=400)
    _refuse([*_check_modifiers(patient), *_check_identifiers(patient, key, rules)], status=422)
    kept = _with_state(patient)
    if not any(_is_key(one, key, rules) for one in kept.get("identifier", ())):
        if "identifier" not in patient:
            raise told("required", "`identifier` is missing", status=422, expression="Patient.identifier")
        kept["identifier"] = [*kept["identifier"], {"system": key.system, "value": key.value}]
    for profile in filter(None, (PROFILE, rules.switches.required_profile)):
        _refuse(rules.validator.validate(kept, profile, is_strict=True), status=422)
    _refuse(rules.validator.check_claims(kept), status=422)
    meta = {name: value for name, value in kept.get("meta", {}).items() if name not in _OF_THE_SERVER}
    own = Links(rules.packages.structures, {}, rules.base_url)  # what is below our own base is kept without it
    return own.rewritten({**kept, "meta": {**meta, "source": key.system}}, "")


def is_same(patient: Resource, stored: bytes) -> bool:
    """Tell whether `patient` says what is `stored` already (PIXM-104-18)."""
    return _plain(patient) == _plain(parse_json(stored))


def _plain(patient: Resource) -> Resource:
    meta = {name: value for name, value in patient.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    return {**{name: value for name, value in patient.items() if name != "id"}, "meta": meta}


def _with_state(patient: Resource) -> Resource:
    """Return `patient` with `active`: never true for one that was replaced, true when nothing is said (PDQM-78-72)."""
    if replaced_by(patient):
        return {**patient, "active": False}
    return {"active": True, **patient}


def _is_key(identifier: Resource, key: RecordKey, rules: Rules) -> bool:
    return rules.domains.find(identifier.get("system", "")) is key.domain and identifier.get("value") == key.value


def _check_identifiers(patient: Resource, key: RecordKey, rules: Rules) -> Iterable[Issue]:
    """Yield an issue when the identifiers of the key's domain leave out the key (PIXM-104-11)."""
    own = [one for one in patient.get("identifier", ()) if rules.domains.find(one.get("system", "")) is key.domain]
    if own and not any(_is_key(one, key, rules) for one in own):
        text = f"the identifiers of {key.system} in the Patient do not include the one that the URL names"
        yield Issue("business-rule", text, "Patient.identifier")


def _check_modifiers(patient: Resource) -> Iterable[Issue]:
    for at, extension in enumerate(patient.get("modifierExtension", ())):
        text = f"modifierExtension {str(extension.get('url', ''))[:200]} is not understood"
        yield Issue("extension", text, f"Patient.modifierExtension[{at}]")
    if "implicitRules" in patient:
        yield Issue("business-rule", "implicitRules is not allowed", "Patient.implicitRules")


def _refuse(issues: Iterable[Issue], *, status: int) -> None:
    """Raise what is an error among `issues`, told twice; a wrong code is a value that cannot be read (PIXM-104-23)."""
    found = [
        replace(one, text=one.diagnostics, code="value" if (one.code, status) == ("code-invalid", 400) else one.code)
        for one in issues
    ]
    if any(one.is_error for one in found):
        raise FhirError.of(found, status=status)
