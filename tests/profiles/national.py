"""A national profile package as an operator would drop it: built here, published form, no line of Python in it."""

from __future__ import annotations

import copy
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.fhir.resource import Resource
from tests.submissions import SD, concept, document_reference

CANONICAL = "https://health.example.org/fhir"
NAME = "org.example.documents"
PROFILE = f"{CANONICAL}/StructureDefinition/national-document"
ARCHIVED = f"{CANONICAL}/StructureDefinition/is-archived"
SETTINGS = f"{CANONICAL}/ValueSet/practice-settings"
SETTING_CODES = f"{CANONICAL}/CodeSystem/practice-settings"
LABELS = f"{CANONICAL}/CodeSystem/national-labels"


def national_document(url: str = "http://example.org/document", *, archived: bool = True, **elements: Any) -> Resource:
    """Return a DocumentReference that meets the national profile and claims it."""
    document = document_reference(url)
    document["meta"] = {"profile": [PROFILE]}
    document["extension"] = [{"url": ARCHIVED, "valueBoolean": archived}]
    document["context"]["practiceSetting"] = concept(SETTING_CODES, "cardiology")
    document["securityLabel"].append(concept(LABELS, "national"))
    return document | elements


def lacking(name: str) -> Resource:
    """Return a national document with one mistake: its `extension`, its `slice`, or a `code` of its own value set."""
    document = copy.deepcopy(national_document())
    if name == "extension":
        del document["extension"]
    elif name == "slice":
        document["securityLabel"] = document["securityLabel"][:1]
    else:
        document["context"]["practiceSetting"] = concept(SETTING_CODES, "astrology")
    return document


def package(folder: Path, version: str = "1.0.0", **dependencies: str) -> Path:
    """Write the package as a published .tgz into `folder`; return its path."""
    manifest = {
        "name": NAME,
        "version": version,
        "canonical": CANONICAL,
        "fhirVersions": ["4.0.1"],
        "dependencies": {"hl7.fhir.r4.core": "4.0.1", "ihe.iti.mhd": "4.2.4", **dependencies},
    }
    examples = {"valid.json": national_document(), "also-valid.json": national_document(archived=False)}
    files: dict[str, Mapping[str, Any]] = {"package/package.json": manifest}
    files |= {f"package/{each['resourceType']}-{each['id']}.json": each for each in definitions(version)}
    files |= {f"package/example/{name}": each for name, each in examples.items()}
    path = folder / f"{NAME}-{version}.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            body = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


def definitions(version: str) -> tuple[Resource, ...]:
    """Return what the package defines; from version 2.0.0 on a document needs a description too."""
    return (_document_profile(version), _extension(version), *_value_set(version), _search_parameter(version))


def _structure(name: str, version: str, kind: str, of: str, base: str, *elements: Resource) -> Resource:
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": f"{CANONICAL}/StructureDefinition/{name}",
        "version": version,
        "name": name.title().replace("-", ""),
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": kind,
        "abstract": False,
        "type": of,
        "baseDefinition": base,
        "derivation": "constraint",
        "differential": {"element": list(elements)},
    }


def _document_profile(version: str) -> Resource:
    label = {"coding": [{"system": LABELS, "code": "national"}]}
    of = "DocumentReference"
    elements: list[Resource] = [
        {"id": of, "path": of},
        {
            "id": f"{of}.extension:archived", "path": f"{of}.extension", "sliceName": "archived", "min": 1, "max": "1",
            "type": [{"code": "Extension", "profile": [ARCHIVED]}],
        },
        {
            "id": f"{of}.securityLabel", "path": f"{of}.securityLabel",
            "slicing": {"discriminator": [{"type": "value", "path": "$this"}], "rules": "open"},
        },
        {
            "id": f"{of}.securityLabel:national", "path": f"{of}.securityLabel", "sliceName": "national", "min": 1,
            "max": "1", "patternCodeableConcept": label,
        },
        {
            "id": f"{of}.context.practiceSetting", "path": f"{of}.context.practiceSetting",
            "binding": {"strength": "required", "valueSet": f"{SETTINGS}|{version}"},
        },
    ]  # fmt: skip
    if version >= "2":
        elements.insert(1, {"id": f"{of}.description", "path": f"{of}.description", "min": 1})
    base = f"{SD}/IHE.MHD.Comprehensive.DocumentReference"
    return _structure("national-document", version, "resource", of, base, *elements)


def _extension(version: str) -> Resource:
    elements: tuple[Resource, ...] = (
        {"id": "Extension", "path": "Extension"},
        {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
        {"id": "Extension.url", "path": "Extension.url", "fixedUri": ARCHIVED},
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": [{"code": "boolean"}]},
    )
    base = "http://hl7.org/fhir/StructureDefinition/Extension"
    made = _structure("is-archived", version, "complex-type", "Extension", base, *elements)
    return made | {"context": [{"type": "element", "expression": "DocumentReference"}]}


def _value_set(version: str) -> tuple[Resource, Resource]:
    concepts = [{"code": "cardiology"}, {"code": "oncology"}]
    shared = {"version": version, "status": "active", "id": "practice-settings"}
    codes = {"resourceType": "CodeSystem", "url": SETTING_CODES, "content": "complete", "concept": concepts}
    chosen = {"resourceType": "ValueSet", "url": SETTINGS, "compose": {"include": [{"system": SETTING_CODES}]}}
    return codes | shared, chosen | shared


def _search_parameter(version: str) -> Resource:
    return {
        "resourceType": "SearchParameter",
        "id": "isArchived",
        "url": f"{CANONICAL}/SearchParameter/isArchived",
        "version": version,
        "name": "IsArchived",
        "status": "active",
        "description": "Whether a document is in the archive.",
        "code": "isArchived",
        "base": ["DocumentReference"],
        "type": "token",
        "expression": f"DocumentReference.extension.where(url = '{ARCHIVED}').value.ofType(boolean)",
    }
