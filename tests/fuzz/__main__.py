"""A coverage-guided fuzzer over everything that reads what a client sends: JSON, XML, the validator, the XML writer.

It starts from the valid examples of `profiles/`, as JSON and as XML, and changes bytes and JSON values wherever that
leads to code not seen before. Nothing but an answer is right: an exception, or an input that takes more than ten seconds, is a finding.
How to run it: `README.md`.

Spec: MHD-SEC-08.
"""

from __future__ import annotations

import copy
import json
import random
import sys
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-untyped] # not a dependency of this project

with atheris.instrument_imports(include=["app"]):
    from app.fhir.media_type import JSON, XML
    from app.fhir.outcome import FhirError
    from app.fhir.packages import load
    from app.fhir.parser import parse_resource
    from app.fhir.xml import to_xml
    from app.search.definitions import Definitions
    from app.search.index import index
    from app.validation.validator import Validator

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
PACKAGES = load(PROFILES)
STRUCTURES = PACKAGES.structures
VALIDATOR = Validator(PACKAGES)
DEFINITIONS = Definitions(PACKAGES)
IHE = "https://profiles.ihe.net/ITI/"
NAMES = sorted(
    {name for kind in STRUCTURES.type_names() for each in STRUCTURES.elements(kind) for name in (kind, each.name)}
)
BY_TYPE = {
    "Bundle": f"{IHE}MHD/StructureDefinition/IHE.MHD.Comprehensive.ProvideBundle",
    "DocumentReference": f"{IHE}MHD/StructureDefinition/IHE.MHD.Comprehensive.DocumentReference",
    "List": f"{IHE}MHD/StructureDefinition/IHE.MHD.Comprehensive.SubmissionSet",
    "Patient": f"{IHE}PDQm/StructureDefinition/IHE.PDQm.Patient",
    "Parameters": f"{IHE}MHD/StructureDefinition/IHE.MHD.Patch.Parameters",
}


def read_and_validate(body: bytes) -> None:
    """Do with a body what the server does with it; what is valid is indexed, and comes back from XML as it was."""
    try:
        resource = parse_resource(body, XML if body[:1] == b"<" else JSON, STRUCTURES)
    except FhirError:
        return
    VALIDATOR.validate(resource, BY_TYPE.get(resource["resourceType"], ""))
    VALIDATOR.validate(resource, claims=True)
    if any(issue.is_error for issue in VALIDATOR.validate(resource)):
        return
    index(DEFINITIONS, resource)
    again = parse_resource(to_xml(resource, STRUCTURES), XML, STRUCTURES)
    if spelled(again) != spelled(resource):
        raise AssertionError("XML and back is another resource")


def mutate(body: bytes, max_size: int, seed: int) -> bytes:
    """Return a body near to `body`: half of the time one with other bytes, else one with a value in another place."""
    chance = random.Random(seed)
    try:
        value = json.loads(body) if chance.random() < STRUCTURED else None
    except (ValueError, RecursionError):
        value = None
    found = places(value)
    if not found:
        return bytes(atheris.Mutate(body, max_size))
    owner, key = chance.choice(found)
    other, name = chance.choice(found)
    chance.choice(MOVES)(owner, key, other[name], chance)
    return json.dumps(value).encode()[:max_size]


def places(value: object) -> list[tuple[Any, Any]]:
    """Return every (container, key) below a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for key, item in pairs for pair in ((value, key), *places(item))]


def replace(owner: Any, key: Any, other: Any, chance: random.Random) -> None:
    owner[key] = copy.deepcopy(other)


def remove(owner: Any, key: Any, other: Any, chance: random.Random) -> None:
    del owner[key]


def wrap(owner: Any, key: Any, other: Any, chance: random.Random) -> None:
    owner[key] = chance.choice(([owner[key]], {"extension": owner[key]}, None, True, -1, 1.5, "", "#", []))


def add(owner: Any, key: Any, other: Any, chance: random.Random) -> None:
    if isinstance(owner, list):
        owner.insert(key, copy.deepcopy(other))
    else:
        owner[chance.choice(NAMES)] = copy.deepcopy(other)


def rename(owner: Any, key: Any, other: Any, chance: random.Random) -> None:
    if isinstance(owner, dict):
        owner[chance.choice((f"_{key}", chance.choice(NAMES)))] = owner.pop(key)


MOVES = (replace, remove, wrap, add, rename)
STRUCTURED = 0.7


def spelled(value: object) -> str:
    """Return a resource as text, the same for the same names, values and decimals."""
    return json.dumps(value, sort_keys=True, default=lambda decimal: f"decimal {decimal.text}")


def seeds(folder: Path) -> None:
    """Write the valid examples into `folder`, as JSON and as XML."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in PROFILES.glob("*/examples/valid/*.json"):
        body = path.read_bytes()
        (folder / path.name).write_bytes(body)
        (folder / f"{path.stem}.xml").write_bytes(to_xml(parse_resource(body, JSON, STRUCTURES), STRUCTURES))


def words(file: Path) -> None:
    """Write the names of elements and types into `file`, so that they need not be guessed letter by letter."""
    file.write_text("".join(f'"{word}"\n' for word in NAMES))


if __name__ == "__main__":
    corpus = next((Path(each) for each in sys.argv[1:] if not each.startswith("-")), Path("corpus"))
    seeds(corpus)
    words(corpus.with_suffix(".dict"))
    atheris.Setup(
        [*sys.argv, f"-dict={corpus.with_suffix('.dict')}", "-timeout=10"], read_and_validate, custom_mutator=mutate
    )
    atheris.Fuzz()
