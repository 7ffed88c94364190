"""For each invariant of R4 and IHE a way to break it: a change to a valid object, or a datatype that is wrong by itself.

Spec: FHIR R4, Constraints of each type's page; MHD-PR-32, MHD-PR-33; PDQM-DAT-01; PIXM-DAT-01.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.fhir.resource import Resource

Change = Callable[[Resource], Resource]
Break = Callable[[Resource], Resource | None]

URN = "urn:uuid:00000000-0000-4000-8000-00000000000"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
UCUM = "http://unitsofmeasure.org"
LATER, EARLIER = "2024-05-02T10:00:00Z", "2024-05-01T10:00:00Z"
DOCUMENT: Resource = {"type": "document", "identifier": {"system": "urn:x", "value": "1"}, "timestamp": LATER}


def put(**members: Any) -> Change:
    """Return a break that sets members."""
    return lambda value: {**value, **members}


def without(*names: str, **members: Any) -> Break:
    """Return a break that takes members away and sets others; nothing when none of them is there."""

    def change(value: Resource) -> Resource | None:
        kept = {name: each for name, each in value.items() if name not in names}
        return {**kept, **members} if len(kept) < len(value) else None

    return change


def only(**members: Any) -> Break:
    """Return a break that replaces the object."""
    return lambda value: dict(members)


def bundle(kind: str, **members: Any) -> Break:
    """Return a break for a Bundle of one type."""
    return lambda value: {**value, **members} if value.get("type") == kind else None


def entries(kind: str, change: Break) -> Break:
    """Return a break of the first entry of Bundles of one type."""

    def broken(value: Resource) -> Resource | None:
        if value.get("type") != kind or not value.get("entry"):
            return None
        return {**value, "entry": [change(value["entry"][0]), *value["entry"][1:]]}

    return broken


def as_document(**members: Any) -> Break:
    """Return a break that makes a Bundle a document that lacks something."""
    entry = [{"resource": {"resourceType": "Basic", "code": {"text": "x"}}}]
    made = {"resourceType": "Bundle", **DOCUMENT, "entry": entry, **members}
    return lambda value: {name: each for name, each in made.items() if each is not None}


def contained(**members: Any) -> Break:
    """Return a break with one more contained resource, referred to."""
    patient = {"resourceType": "Patient", "id": "broken", **members}
    used = {"url": "http://example.org/used", "valueReference": {"reference": "#broken"}}

    def change(value: Resource) -> Resource | None:
        resources, extensions = [*value.get("contained", ()), patient], [*value.get("extension", ()), used]
        return {**value, "contained": resources, "extension": extensions}

    return change


def same_full_url(value: Resource) -> Resource | None:
    """Return the Bundle with the fullUrl of one entry on another."""
    found = [entry for entry in value.get("entry", ()) if "fullUrl" in entry]
    if len(found) < 2:
        return None
    again = {**found[1], "fullUrl": found[0]["fullUrl"]}
    return {**value, "entry": [again if entry is found[1] else entry for entry in value["entry"]]}


def observer(value: Resource) -> Resource | None:
    """Return an audit agent that is somebody else than the source."""
    return {**value, "who": {"display": "somebody else"}} if "who" in value else None


BREAKS: dict[str, tuple[Break, ...]] = {
    "ait-1": (without("clinicalStatus"),),
    "ait-2": (put(verificationStatus={"coding": [{"system": VERIFICATION, "code": "entered-in-error"}]}),),
    "att-1": (without("contentType", data="QUJD"),),
    "bdl-1": (bundle("transaction", total=1), bundle("collection", total=1)),
    "bdl-2": (entries("transaction", lambda entry: {**entry, "search": {"mode": "match"}}),),
    "bdl-3": (
        entries("searchset", put(request={"method": "GET", "url": "Patient"})),
        entries("transaction", without("request")),
    ),
    "bdl-4": (entries("searchset", put(response={"status": "200"})),),
    "bdl-5": (only(fullUrl=URN + "9"),),
    "bdl-7": (same_full_url,),
    "bdl-8": (put(fullUrl="http://example.org/fhir/Patient/1/_history/1"),),
    "bdl-9": (as_document(identifier={"value": "1"}),),
    "bdl-10": (as_document(timestamp=None),),
    "bdl-11": (as_document(),),
    "bdl-12": (as_document(type="message"),),
    "cpb-1": (without("rest"),),
    "cpb-2": (without("software"),),
    "cpb-3": (put(messaging=[{"endpoint": [{"protocol": {"code": "http"}, "address": "http://example.org"}]}]),),
    "cpb-7": (put(document=[{"mode": "consumer", "profile": "http://example.org/p"}] * 2),),
    "cpb-9": (put(resource=[{"type": "Patient"}] * 2),),
    "cpb-12": (put(searchParam=[{"name": "x", "type": "token"}] * 2),),
    "cpb-14": (put(kind="instance"),),
    "cpb-15": (put(implementation={"description": "x"}),),
    "cpb-16": (put(kind="requirements"),),
    "cmp-1": (only(title="x"),),
    "cmp-2": (put(emptyReason={"text": "x"}, entry=[{"display": "x"}]),),
    "cpt-2": (without("system", value="1"),),
    "dom-2": (contained(contained=[{"resourceType": "Patient", "id": "inner"}]),),
    "dom-3": (
        lambda value: {**value, "contained": [*value.get("contained", ()), {"resourceType": "Basic", "id": "z"}]},
    ),
    "dom-4": (contained(meta={"versionId": "1"}), contained(meta={"lastUpdated": LATER})),
    "dom-5": (contained(meta={"security": [{"code": "R"}]}),),
    "ele-1": (only(), only(id="x")),
    "ext-1": (put(valueString="x", extension=[{"url": "u:x", "valueCode": "x"}]), only(url="u:x")),
    "inv-1": (put(part=[{"name": "x", "valueCode": "x"}], valueString="x"), only(name="x")),
    "iti-pdqm-linkstatus": (without("active", link=[{"other": {"reference": "Patient/1"}, "type": "refer"}]),),
    "iti-pdqm-patname": (only(use="official"),),
    "lst-1": (lambda value: {**value, "emptyReason": {"text": "x"}} if value.get("entry") else None,),
    "lst-2": (put(mode="working", entry=[{"deleted": True, "item": {"display": "x"}}]),),
    "lst-3": (put(mode="snapshot", entry=[{"date": LATER, "item": {"display": "x"}}]),),
    "mrp-1": (put(type="data-collection", group=[{"code": {"text": "x"}}]),),
    "mrp-2": (put(type="summary", group=[{"stratifier": [{"stratum": [{}]}]}]),),
    "obs-3": (only(appliesTo=[{"text": "x"}]),),
    "obs-6": (lambda value: {**value, "dataAbsentReason": {"text": "x"}} if "valueQuantity" in value else None,),
    "obs-7": (lambda value: {**value, "valueString": "x", "component": [{"code": value["code"], "valueString": "x"}]},),
    "org-1": (without("identifier", "name"),),
    "org-2": (put(use="home"),),
    "org-3": (put(use="home"),),
    "pat-1": (only(gender="male"),),
    "per-1": (put(start=LATER, end=EARLIER),),
    "ppc-1": (without("policy", "policyRule"),),
    "qty-3": (without("system", code="mg", value=1),),
    "ref-1": (put(reference="#nowhere"),),
    "sev-1": (put(name="x", query="eA=="),),
    "val-audit-source": (observer,),
}

# The same for invariants of texts: key -> a text that breaks it.
WRONG_TEXTS = {"mhd-startswithoid": "1.2.3", "mhd-startswithuuid": "0d5e0c7a-0000-4000-8000-000000000000"}

# Datatypes that stand in hardly an example, wrong in the value of an extension: key -> (property, value).
ALONE: dict[str, tuple[str, Any]] = {
    "age-1": ("valueAge", {"value": 3}),
    "cnt-3": ("valueCount", {"value": 3, "system": UCUM, "code": "mg"}),
    "dis-1": ("valueDistance", {"value": 3}),
    "drq-1": ("valueDataRequirement", {"type": "Patient", "codeFilter": [{"path": "a", "searchParam": "b"}]}),
    "drq-2": ("valueDataRequirement", {"type": "Patient", "dateFilter": [{"path": "a", "searchParam": "b"}]}),
    "drt-1": ("valueDuration", {"code": "h", "system": "urn:other", "value": 3}),
    "exp-1": ("valueExpression", {"language": "text/fhirpath"}),
    "rat-1": ("valueRatio", {"numerator": {"value": 1}}),
    "rng-2": ("valueRange", {"low": {"value": 3}, "high": {"value": 2}}),
    "tim-1": ("valueTiming", {"repeat": {"duration": 1}}),
    "tim-2": ("valueTiming", {"repeat": {"period": 1}}),
    "tim-4": ("valueTiming", {"repeat": {"duration": -1, "durationUnit": "h"}}),
    "tim-5": ("valueTiming", {"repeat": {"period": -1, "periodUnit": "h"}}),
    "tim-6": ("valueTiming", {"repeat": {"periodMax": 1}}),
    "tim-7": ("valueTiming", {"repeat": {"durationMax": 1}}),
    "tim-8": ("valueTiming", {"repeat": {"countMax": 1}}),
    "tim-9": ("valueTiming", {"repeat": {"offset": 1}}),
    "tim-10": ("valueTiming", {"repeat": {"timeOfDay": ["10:00:00"], "when": ["MORN"]}}),
    "trd-1": (
        "valueTriggerDefinition",
        {"type": "periodic", "timingDate": "2024-01-01", "data": [{"type": "Patient"}]},
    ),
    "trd-2": (
        "valueTriggerDefinition",
        {"type": "named-event", "name": "x", "condition": {"language": "text/fhirpath", "expression": "true"}},
    ),
    "trd-3": ("valueTriggerDefinition", {"type": "named-event"}),
}

# Valid resources with what no example has.
SYNTHETIC: tuple[Resource, ...] = (
    {"resourceType": "Patient", "contact": [{"name": {"text": "x"}}]},
    {
        "resourceType": "CapabilityStatement", "status": "active", "date": "2024-05-01", "kind": "capability",
        "software": {"name": "x"}, "fhirVersion": "4.0.1", "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": [{"type": "Patient"}]}],
    },
    {
        "resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "urn:x", "code": "x"}]},
        "valueQuantity": {"value": 3, "system": UCUM, "code": "mg"}, "referenceRange": [{"text": "x"}],
    },
    {
        "resourceType": "Organization", "name": "x", "address": [{"city": "x"}],
        "telecom": [{"system": "phone", "value": "1"}],
    },
)  # fmt: skip
