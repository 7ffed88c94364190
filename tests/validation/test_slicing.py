"""Slicing: which item is in which slice, how many there may be, and what each must satisfy.

Spec: FHIR R4 profiling.html#slicing, #discriminator, #reslicing; elementdefinition.html#ElementDefinition.slicing.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.fhir.resource import Resource
from tests.validation.conftest import ValidatorOf, element, errors, profile, sliced_by, url_of

HOME = "http://example.org/fhir/StructureDefinition/"


def patient(**elements: Any) -> Resource:
    return {"resourceType": "Patient", **elements}


def check(validator_of: ValidatorOf, elements: list[Resource], resource: Resource, *more: Resource) -> list[Any]:
    """Return the errors of a resource against a profile `p` of the given elements."""
    validator = validator_of(profile("p", resource["resourceType"], *elements), *more)
    found = errors(validator.validate(resource, url_of("p")))
    assert validator.problems == ()
    return found


BY_SYSTEM = [
    element("Patient.telecom", slicing=sliced_by("value", "system")),
    element("Patient.telecom:phone", min=1, max="1"),
    element("Patient.telecom:phone.system", min=1, fixedCode="phone"),
    element("Patient.telecom:phone.use", min=1),
    element("Patient.telecom:mail", max="1"),
    element("Patient.telecom:mail.system", min=1, patternCode="email"),
]
PHONE = {"system": "phone", "value": "1", "use": "home"}
MAIL = {"system": "email", "value": "2"}
FAX = {"system": "fax", "value": "3"}


@pytest.mark.parametrize(
    ("telecom", "expected"),
    [
        ([PHONE], []),
        ([PHONE, MAIL, FAX], []),
        ([MAIL], [("required", "Patient")]),
        (None, [("required", "Patient")]),
        ([PHONE, PHONE], [("structure", "Patient.telecom[1]")]),
        ([FAX, {"system": "phone", "value": "1"}], [("required", "Patient.telecom[1]")]),
    ],
)
def test_slices_by_value(validator_of: ValidatorOf, telecom: Any, expected: list[Any]) -> None:
    """profiling.html#slicing: each slice has its own cardinality and its own constraints."""
    resource = patient(telecom=telecom) if telecom else patient(active=True)
    assert check(validator_of, BY_SYSTEM, resource) == expected


@pytest.mark.parametrize(
    ("rules", "ordered", "telecom", "expected"),
    [
        ("closed", False, [PHONE, FAX], [("structure", "Patient.telecom[1]")]),
        ("closed", False, [MAIL, PHONE], []),
        ("open", True, [MAIL, PHONE], [("structure", "Patient.telecom[1]")]),
        ("open", True, [PHONE, FAX, MAIL], []),
        ("openAtEnd", False, [PHONE, MAIL, FAX], []),
        ("openAtEnd", False, [FAX, PHONE], [("structure", "Patient.telecom[1]")]),
    ],
)
def test_slicing_rules(
    validator_of: ValidatorOf, rules: str, ordered: bool, telecom: list[Any], expected: list[Any]
) -> None:
    """elementdefinition.html: rules closed, open, openAtEnd; ordered."""
    elements = [
        element("Patient.telecom", slicing=sliced_by("value", "system", rules, ordered=ordered)),
        *BY_SYSTEM[1:],
    ]
    assert check(validator_of, elements, patient(telecom=telecom)) == expected


def test_closed_slicing_names_what_is_allowed_and_the_nearest(validator_of: ValidatorOf) -> None:
    """profiling.html#slicing: an item outside a closed slicing is told which slices there are."""
    elements = [
        element("Parameters.parameter", slicing=sliced_by("value", "name", "closed")),
        element("Parameters.parameter:source"),
        element("Parameters.parameter:source.name", fixedString="sourceIdentifier"),
    ]
    validator = validator_of(profile("p", "Parameters", *elements))
    resource = {"resourceType": "Parameters", "parameter": [{"name": "sourceIdentifer", "valueString": "x"}]}
    (issue,) = validator.validate(resource, url_of("p"))
    assert (issue.code, issue.expression) == ("structure", "Parameters.parameter[0]")
    assert "`source` (`sourceIdentifier`)" in issue.diagnostics
    assert issue.diagnostics.endswith("Did you mean `sourceIdentifier`?")


def test_pattern_on_the_slice_itself_discriminates_below(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: what the slice prescribes as a whole counts for every path in it."""
    elements = [
        element("Patient.identifier", slicing=sliced_by("pattern", "type.coding.code")),
        element("Patient.identifier:mr", max="1"),
        element("Patient.identifier:mr.type", patternCodeableConcept={"coding": [{"code": "MR"}]}),
        element("Patient.identifier:mr.value", min=1),
    ]
    numbered = {"type": {"coding": [{"code": "X"}, {"code": "MR"}]}, "system": "http://x"}
    assert check(validator_of, elements, patient(identifier=[numbered])) == [("required", "Patient.identifier[0]")]


def test_slices_by_this(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: `$this` is the item."""
    elements = [
        element("Patient.name.given", slicing=sliced_by("value", "$this")),
        element("Patient.name.given:first", min=1, max="1", patternString="Ada"),
    ]
    validator = validator_of(profile("p", "Patient", *elements))
    good, bad = patient(name=[{"given": ["B", "Ada"]}]), patient(name=[{"given": ["B"]}])
    assert errors(validator.validate(good, url_of("p"))) == []
    assert errors(validator.validate(bad, url_of("p"))) == [("required", "Patient.name[0]")]


def test_slices_by_existence(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: exists."""
    elements = [
        element("Patient.contact", slicing=sliced_by("exists", "organization")),
        element("Patient.contact:firm"),
        element("Patient.contact:firm.organization", min=1),
        element("Patient.contact:firm.name", max="0"),
        element("Patient.contact:person"),
        element("Patient.contact:person.organization", max="0"),
        element("Patient.contact:person.name", min=1),
    ]
    contacts = [
        {"organization": {"display": "O"}},
        {"name": {"family": "F"}},
        {"organization": {"display": "O"}, "name": {"family": "F"}},
        {"telecom": [{"system": "phone", "value": "1"}]},
    ]
    expected = [("structure", "Patient.contact[2].name"), ("required", "Patient.contact[3]")]
    assert check(validator_of, elements, patient(contact=contacts)) == expected


def bundle(*resources: Resource, kind: str = "collection") -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": each} for each in resources]}


def test_slices_by_type_of_a_resource(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: type."""
    elements = [
        element("Bundle.entry", slicing=sliced_by("type", "resource", "closed")),
        element("Bundle.entry:patient", min=1, max="1"),
        element("Bundle.entry:patient.resource", min=1, type=[{"code": "Patient"}]),
        element("Bundle.entry:list"),
        element("Bundle.entry:list.resource", min=1, type=[{"code": "List"}, {"code": "Basic"}]),
    ]
    basic = {"resourceType": "Basic", "code": {"text": "x"}}
    group = {"resourceType": "Group", "type": "person", "actual": True}
    validator = validator_of(profile("p", "Bundle", *elements))
    assert errors(validator.validate(bundle(patient(active=True), basic), url_of("p"))) == []
    found = errors(validator.validate(bundle(basic, group), url_of("p")))
    assert found == [("required", "Bundle"), ("structure", "Bundle.entry[1]")]


TYPED = [
    element("Observation.value[x]", slicing=sliced_by("type", "$this")),
    element("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}], min=0),
    element("Observation.value[x]:valueQuantity.code", min=1),
]


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        ({"valueQuantity": {"value": 1, "code": "g", "system": "u:x"}}, [], []),
        ({"valueQuantity": {"value": 1}}, [], [("required", "Observation.value")]),
        ({"valueString": "x"}, [], []),
        ({"valueString": "x"}, [element("Observation.value[x]:valueQuantity", min=1)], [("required", "Observation")]),
        (
            {"valueString": "x"},
            [element("Observation.value[x]", type=[{"code": "Quantity"}])],
            [("structure", "Observation.value")],
        ),
        ({}, [element("Observation.value[x]", min=1)], [("required", "Observation")]),
        (
            {"_valueString": {"extension": [{"url": "u:x", "valueCode": "c"}]}},
            [element("Observation.value[x]", min=1)],
            [],
        ),
        (
            {"valueQuantity": {"value": 1, "unit": "g"}},
            [element("Observation.value[x].unit", max="0")],
            [("required", "Observation.value"), ("structure", "Observation.value.unit")],
        ),
        ({"valueString": "x"}, [element("Observation.valueString", fixedString="y")], [("value", "Observation.value")]),
    ],
)
def test_slices_of_a_choice(validator_of: ValidatorOf, value: Resource, more: list[Any], expected: list[Any]) -> None:
    """profiling.html#slicing, formats.html#choice: the slices of value[x] are its types."""
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **value}
    assert check(validator_of, [*TYPED, *more], resource) == expected


def test_slices_by_profile(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: profile; in an open slicing what does not conform is simply in no slice."""
    named = profile("named", "Patient", element("Patient.name", min=1))
    elements = [
        element("Bundle.entry", slicing=sliced_by("profile", "resource")),
        element("Bundle.entry:named", min=1, max="1"),
        element("Bundle.entry:named.fullUrl", min=1),
        element("Bundle.entry:named.resource", type=[{"code": "Patient", "profile": [url_of("named")]}]),
    ]
    validator = validator_of(profile("p", "Bundle", *elements), named)
    conforming = bundle(patient(name=[{"family": "F"}]), patient(active=True))
    assert errors(validator.validate(conforming, url_of("p"))) == [("required", "Bundle.entry[0]")]
    assert errors(validator.validate(bundle(patient(active=True)), url_of("p"))) == [("required", "Bundle")]


@pytest.mark.parametrize(("kind", "expected"), [("value", []), ("profile", [])])
def test_slices_through_resolve(validator_of: ValidatorOf, kind: str, expected: list[Any]) -> None:
    """profiling.html#discriminator: resolve() follows a reference into `contained` or the Bundle."""
    coded = profile("coded", "Practitioner", element("Practitioner.active", min=1, fixedBoolean=True))
    path = "resolve().active" if kind == "value" else "resolve()"
    elements = [
        element("Patient.generalPractitioner", slicing=sliced_by(kind, path)),
        element(
            "Patient.generalPractitioner:active",
            min=1,
            max="1",
            type=[{"code": "Reference", "targetProfile": [url_of("coded")]}],
        ),
        element("Patient.generalPractitioner:active.display", min=1),
    ]
    doctor = {"resourceType": "Practitioner", "id": "d", "active": True}
    resource = patient(contained=[doctor], generalPractitioner=[{"reference": "#d", "display": "D"}])
    validator = validator_of(profile("p", "Patient", *elements), coded)
    if kind == "value":
        assert errors(validator.validate(resource, url_of("p"))) == expected
        doctor["active"] = False
        assert ("required", "Patient") in errors(validator.validate(resource, url_of("p")))


def extension(name: str, *elements: Resource) -> Resource:
    fixed = element("Extension.url", fixedUri=f"{HOME}{name}")
    return profile(name, "Extension", *elements, fixed)


def test_extension_slices(validator_of: ValidatorOf) -> None:
    """extensibility.html, profiling.html#slicing: extensions are told apart by url, also without a slicing."""
    elements = [
        element("Patient.extension:tribe", min=1, max="1", type=[{"code": "Extension", "profile": [HOME + "tribe"]}])
    ]
    definition = extension("tribe", element("Extension.value[x]", min=1, type=[{"code": "code"}]))
    validator = validator_of(profile("p", "Patient", *elements), definition)

    def found(*extensions: Resource) -> list[Any]:
        return errors(validator.validate(patient(extension=list(extensions)), url_of("p")))

    assert found({"url": HOME + "tribe", "valueCode": "a"}) == []
    assert found({"url": "http://other", "valueCode": "a"}) == [("required", "Patient")]
    assert found({"url": HOME + "tribe", "valueString": "a"}) == [("structure", "Patient.extension[0].value")]
    twice = found({"url": HOME + "tribe", "valueCode": "a"}, {"url": HOME + "tribe", "valueCode": "b"})
    assert twice == [("structure", "Patient.extension[1]")]


def test_a_known_extension_is_held_to_its_definition_anywhere(validator_of: ValidatorOf) -> None:
    """extensibility.html: an extension whose definition is known must meet it; unknown ones may be anything."""
    definition = extension("tribe", element("Extension.value[x]", min=1, type=[{"code": "code"}]))
    validator = validator_of(definition)
    wrong = patient(name=[{"family": "F", "extension": [{"url": HOME + "tribe", "valueString": "x"}]}])
    assert errors(validator.validate(wrong)) == [("structure", "Patient.name[0].extension[0].value")]
    unknown = patient(extension=[{"url": "http://nobody.knows/this", "valueString": "x"}])
    assert validator.validate(unknown) == []


def test_discriminator_extension(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: extension(url) as a step."""
    elements = [
        element("Patient.address", slicing=sliced_by("value", f"extension('{HOME}kind').value")),
        element("Patient.address:home", max="1"),
        element("Patient.address:home.extension:kind", min=1, type=[{"code": "Extension", "profile": [HOME + "kind"]}]),
        element("Patient.address:home.extension:kind.value[x]", fixedCode="home"),
        element("Patient.address:home.city", min=1),
    ]
    definition = extension("kind", element("Extension.value[x]", min=1, type=[{"code": "code"}]))
    home = {"extension": [{"url": HOME + "kind", "valueCode": "home"}], "country": "C"}
    away = {"extension": [{"url": HOME + "kind", "valueCode": "away"}], "country": "C"}
    resource = patient(address=[away, home])
    assert check(validator_of, elements, resource, definition) == [("required", "Patient.address[1]")]


def test_reslices(validator_of: ValidatorOf) -> None:
    """profiling.html#reslicing: a slice of a slice, `phone/home`."""
    elements = [
        *BY_SYSTEM[:2],
        element("Patient.telecom:phone", max="*", slicing=sliced_by("value", "use")),
        *BY_SYSTEM[2:4],
        element("Patient.telecom:phone/home", max="1", min=1),
        element("Patient.telecom:phone/home.use", fixedCode="home"),
        element("Patient.telecom:phone/home.value", min=1),
    ]
    work = {"system": "phone", "value": "9", "use": "work"}
    validator = validator_of(profile("p", "Patient", *elements))

    def found(*telecom: Resource) -> list[Any]:
        return errors(validator.validate(patient(telecom=list(telecom)), url_of("p")))

    assert found(PHONE, work) == []
    assert found(work) == [("required", "Patient")]
    assert found(PHONE, PHONE) == [("structure", "Patient.telecom[1]")]


def test_nested_slices(validator_of: ValidatorOf) -> None:
    """profiling.html#slicing: slices within slices, as in Parameters."""
    elements = [
        element("Parameters.parameter", slicing=sliced_by("value", "name")),
        element("Parameters.parameter:operation", min=1, max="1"),
        element("Parameters.parameter:operation.name", fixedString="operation"),
        element("Parameters.parameter:operation.part", slicing=sliced_by("value", "name")),
        element("Parameters.parameter:operation.part:path", min=1, max="1"),
        element("Parameters.parameter:operation.part:path.name", fixedString="path"),
        element("Parameters.parameter:operation.part:path.value[x]", min=1, patternString="Patient.active"),
    ]
    validator = validator_of(profile("p", "Parameters", *elements))

    def found(*parts: Resource) -> list[Any]:
        resource = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": list(parts)}]}
        return errors(validator.validate(resource, url_of("p")))

    assert found({"name": "path", "valueString": "Patient.active"}) == []
    assert found({"name": "type", "valueCode": "x"}) == [("required", "Parameters.parameter[0]")]
    assert found({"name": "path", "valueString": "x"}) == [("value", "Parameters.parameter[0].part[0].value")]


def test_derived_profile_constrains_all_slices_of_its_parent(validator_of: ValidatorOf) -> None:
    """profiling.html#slicing: what is said of the unsliced element holds in every slice."""
    parent = profile("parent", "Patient", *BY_SYSTEM)
    child = profile("p", "Patient", element("Patient.telecom.rank", min=1), base=url_of("parent"))
    validator = validator_of(parent, child)
    found = errors(validator.validate(patient(telecom=[PHONE, {**FAX, "rank": 1}]), url_of("p")))
    assert found == [("required", "Patient.telecom[0]")]


def test_slices_by_required_binding(validator_of: ValidatorOf) -> None:
    """profiling.html#discriminator: a required binding may tell slices apart."""
    codes = {
        "resourceType": "ValueSet",
        "id": "v",
        "url": "http://example.org/fhir/ValueSet/v",
        "status": "active",
        "compose": {"include": [{"system": "http://hl7.org/fhir/contact-point-system", "concept": [{"code": "fax"}]}]},
    }
    elements = [
        element("Patient.telecom", slicing=sliced_by("value", "system")),
        element("Patient.telecom:old", max="0"),
        element("Patient.telecom:old.system", min=1, binding={"strength": "required", "valueSet": codes["url"]}),
    ]
    assert check(validator_of, elements, patient(telecom=[PHONE, FAX]), codes) == [("structure", "Patient.telecom[1]")]


def test_a_slice_without_a_discriminator_is_a_problem(validator_of: ValidatorOf) -> None:
    """Architecture decision 6: what cannot be evaluated is reported, never skipped in silence."""
    elements = [element("Patient.telecom", slicing=sliced_by("value", "rank")), element("Patient.telecom:odd", min=0)]
    validator = validator_of(profile("p", "Patient", *elements))
    assert errors(validator.validate(patient(telecom=[PHONE]), url_of("p"))) == []
    (problem,) = validator.problems
    assert "`odd`" in problem
