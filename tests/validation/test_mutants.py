"""Mutants of the guides' own examples: each mistake is reported where it was made.

The examples are IHE's and no part of this repository; the tests are skipped where they are not at hand. Which
elements a profile demands, prescribes or binds is read from the published snapshots, not from our own trees.

Spec: MHD-PR-01, 10, 11, 20, 30 to 35; the profiles of PIXm, PDQm and BALP; issue 3.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.fhir.resource import Resource, parse_json
from app.fhir.structure import Structures
from app.validation.validator import Validator
from tests.validation.conftest import REPOSITORY

IHE = REPOSITORY.parent / "shared" / "ihe"
GUIDES = ("mhd", "pixm", "pdqm", "balp")
SEED = 20240301
SHARE = 0.08
LEAST_MUTANTS = 1500
FORMATS = {
    "code": " x ", "uri": "a b", "url": "a b", "canonical": "a b", "date": "2020-02-30", "dateTime": "2020-13",
    "instant": "2020-01-01", "id": "a b", "oid": "1.2", "uuid": "x", "base64Binary": "a$", "time": "25:00",
    "boolean": "true", "integer": "1", "unsignedInt": -1, "positiveInt": 0, "decimal": "1", "string": "", "markdown": "",
}  # fmt: skip

pytestmark = pytest.mark.skipif(not IHE.is_dir(), reason="the guides' examples are not at hand")


class Spot(NamedTuple):
    """A value in a resource: where it hangs, its type, its FHIRPath, and the published constraints on it."""

    container: Any
    key: Any
    value: Any
    code: str
    path: str
    constraints: Resource


def spots(structures: Structures, resource: Resource, published: dict[str, Resource]) -> Iterator[Spot]:
    def walk(value: Any, kind: str, path: str) -> Iterator[Spot]:
        kind = value.get("resourceType", kind)
        for key in [key for key in value if key != "resourceType" and key[0] != "_"]:
            element, code, below = structures.child(kind, key) or pytest.fail(f"{kind}.{key}")
            here = f"{path}.{element.name}"
            constraints = published.get(re.sub(r"\[\d+\]", "", here), {})
            item = value[key]
            many = item if isinstance(item, list) else [item]
            for index, each in enumerate(many):
                where = f"{here}[{index}]" if item is many else here
                yield Spot(*((many, index) if item is many else (value, key)), each, code, where, constraints)
                if isinstance(each, dict):
                    yield from walk(each, below, where)

    yield from walk(resource, "", resource["resourceType"])


def unknown_element(spot: Spot) -> str:
    if not isinstance(spot.value, dict):
        return ""
    spot.value["fooBar"] = "x"
    return f"{spot.path}.fooBar"


def bad_format(spot: Spot) -> str:
    if spot.code not in FORMATS or isinstance(spot.value, dict):
        return ""
    spot.container[spot.key] = FORMATS[spot.code]
    return spot.path


def null(spot: Spot) -> str:
    spot.container[spot.key] = None
    return spot.path


def empty_object(spot: Spot) -> str:
    spot.container[spot.key] = {}
    return spot.path


def nested_array(spot: Spot) -> str:
    spot.container[spot.key] = [spot.value]
    return spot.path


def wrong_kind(spot: Spot) -> str:
    spot.container[spot.key] = 5 if isinstance(spot.value, (str, dict)) else "x"
    return spot.path


def removed(spot: Spot) -> str:
    if not spot.constraints.get("min") or not isinstance(spot.container, dict):
        return ""
    del spot.container[spot.key]
    return spot.path.rpartition(".")[0]


def other_value(spot: Spot) -> str:
    prescribed = any(name.startswith(("fixed", "pattern")) for name in spot.constraints)
    if not prescribed or not isinstance(spot.value, str):
        return ""
    spot.container[spot.key] = "zz"
    return spot.path


def other_code(spot: Spot) -> str:
    strength = spot.constraints.get("binding", {}).get("strength")
    if strength != "required" or spot.code != "code":
        return ""
    spot.container[spot.key] = "zz"
    return spot.path


def repeated(spot: Spot) -> str:
    if spot.constraints.get("max") != "1" or not isinstance(spot.container, list) or spot.path.count(".") > 1:
        return ""
    spot.container.append(copy.deepcopy(spot.value))
    return spot.path.rpartition("[")[0]


def two_equal_ids(spot: Spot) -> str:
    if not isinstance(spot.value, dict) or not isinstance(spot.container, list) or "resourceType" in spot.value:
        return ""
    spot.value["id"] = "same"
    spot.container.append({**copy.deepcopy(spot.value)})
    return f"{spot.path.rpartition('[')[0]}[{len(spot.container) - 1}].id"


MUTATIONS: tuple[Callable[[Spot], str], ...] = (
    unknown_element, bad_format, null, empty_object, nested_array, wrong_kind, removed, other_value, other_code,
    repeated, two_equal_ids,
)  # fmt: skip
# The rarer the place for a mutation, the more of its mutants are made.
ALWAYS = (removed, other_value, other_code, repeated)


def examples() -> list[tuple[Path, str]]:
    if not IHE.is_dir():
        return []
    listed = json.loads((IHE / "index.json").read_bytes())["examples"]
    return [
        (IHE / each["file"], url)
        for each in listed
        for url in each["profile"] or [""]
        if each["valid"] and each["file"].partition("/")[0] in GUIDES
    ]


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, Resource]]:
    """Canonical URL -> path -> the element of the published snapshot, slices left out."""
    found = {}
    for path in (path for guide in GUIDES for path in (IHE / guide / "snapshot").glob("*.json")):
        definition = json.loads(path.read_bytes())
        elements = definition["snapshot"]["element"]
        found[definition["url"]] = {each["id"].replace("[x]", ""): each for each in elements if ":" not in each["id"]}
    return found


def mutants(
    structures: Structures, original: Resource, elements: dict[str, Resource]
) -> Iterator[tuple[str, str, Resource]]:
    """Yield name of the mutation, the expression it should be reported at, and the mutant."""
    chance = random.Random(SEED)  # noqa: S311 - a repeatable choice, nothing secret
    for number, _ in enumerate(list(spots(structures, original, elements))):
        for mutation in MUTATIONS:
            if mutation not in ALWAYS and chance.random() > SHARE:
                continue
            mutant = copy.deepcopy(original)
            spot = list(spots(structures, mutant, elements))[number]
            if where := mutation(spot):
                yield mutation.__name__, where, mutant


def test_every_mutant_is_caught_where_it_was_made(
    validator: Validator, published: dict[str, dict[str, Resource]]
) -> None:
    """Issue 3: at least 1,500 mutants; each is reported with the expression of the mutation."""
    structures = validator._compiler.structures
    made, missed = 0, []
    for path, url in examples():
        for name, where, mutant in mutants(structures, parse_json(path.read_bytes()), published.get(url, {})):
            made += 1
            found = [issue.expression for issue in validator.validate(mutant, url) if issue.is_error]
            if not any(expression.startswith(where) for expression in found):
                missed.append(f"{path.name} {url.rpartition('/')[2]}: {name} at {where}, found {found[:3]}")
    assert missed == []
    assert made >= LEAST_MUTANTS
