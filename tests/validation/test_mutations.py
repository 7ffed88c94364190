"""Every mistake is told, where it was made: mutants of the guides' examples and of our own.

A mistake in an element is told at the element or below it; a missing element or slice at the object that lacks it; a
mistake in what tells a slice also where that slice is missed. The referee, the guides' published snapshots and examples,
is no part of this repository; the tests are skipped where it is not at hand.

Spec: MHD-GEN-15; MHD-PR-01, 10, 11, 20 to 22, 30 to 35; PIXM-DAT-01; PDQM-DAT-01; the profiles of BALP.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from app.fhir.resource import Resource, parse_json
from app.validation.validator import Validator
from tests.validation.conftest import REPOSITORY
from tests.validation.invariant_breakers import ALONE, BREAKS, SYNTHETIC, WRONG_TEXTS
from tests.validation.mutants import edits
from tests.validation.published import GUIDES, Published

IHE = REPOSITORY.parent / "shared" / "ihe"

# At least so many, and not more than so many of a thousand may be missed.
LEAST_MUTANTS = 1500
MOST_MISSED_PER_MILLE = 5

# Kinds of mistakes that must have been made, or the generator is broken.
KINDS = {
    "array for one", "bad base64", "bad date", "bad format", "bad narrative", "code of a required binding",
    "dangling reference", "fixed value or pattern", "illegal whitespace", "misspelt element", "prohibited element",
    "reference not contained", "required element missing", "slice missing", "slice too often", "too many",
    "two contained with one id", "two elements with one id", "two types of a choice", "wrong extension of a primitive",
    "unknown element", "wrong reference target",
    "wrong resource", *(f"wrong JSON type, {kind}" for kind in ("array", "boolean", "null", "number", "object", "string")),
}  # fmt: skip

# Invariants that are broken by other means than their own.
OTHERWISE = {
    "dom-6": "a recommendation, of severity warning",
    "cpb-0": "a recommendation, of severity warning",
    "txt-1": "the kind `bad narrative`",
    "txt-2": "the kind `bad narrative`",
    **dict.fromkeys(("ppc-2", "ppc-3", "ppc-4", "ppc-5"), "asks for the system `something`, which nobody uses"),
}

# Mutants that are not caught, and why: (kind, example) -> reason.
MISSED: dict[tuple[str, str], str] = {}

pytestmark = pytest.mark.skipif(not IHE.is_dir(), reason="the guides' snapshots and examples are not at hand")


@cache
def published() -> Published:
    """The referee."""
    return Published(IHE)


def examples() -> Iterator[tuple[str, Resource, str]]:
    """Yield name, resource and profile of every valid example."""
    for each in json.loads((IHE / "index.json").read_bytes())["examples"]:
        if each["valid"] and each["file"].partition("/")[0] in GUIDES:
            for url in each["profile"] or [""]:
                yield each["file"], parse_json((IHE / each["file"]).read_bytes()), url
    for path in sorted((REPOSITORY / "profiles").glob("*/examples/valid/*.json")):
        resource = parse_json(path.read_bytes())
        for url in resource["meta"]["profile"]:
            yield path.name, resource, url
    for resource in SYNTHETIC:
        yield f"synthetic {resource['resourceType']}", resource, ""


def told(validator: Validator, resource: Resource, profile: str) -> list[str]:
    return [issue.expression for issue in validator.validate(resource, profile) if issue.is_error]


def test_no_valid_example_is_flagged(validator: Validator) -> None:
    """MHD-PR-10, MHD-PR-20, MHD-PR-30: what the mutants are made of has no error."""
    flagged = {name: told(validator, resource, url) for name, resource, url in examples()}
    assert {name: found for name, found in flagged.items() if found} == {}


@pytest.mark.slow
def test_every_mistake_is_told_where_it_was_made(validator: Validator) -> None:
    """MHD-GEN-15, MHD-PR-01, 10, 11, 20 to 22, 30 to 35: 99.5 % at least; those that are not are known, with a reason."""
    made: Counter[str] = Counter()
    missed: dict[tuple[str, str], list[object]] = {}
    seen = set()
    for name, resource, url in examples():
        for edit in edits(resource, url, published()):
            if (mark := (edit.kind, edit.at)) in seen:
                continue
            seen.add(mark)
            made[edit.kind] += 1
            found = told(validator, resource, url)
            if not edit.is_reported(found):
                missed.setdefault((edit.kind, name), []).append((url, edit.where, found[:5]))
    assert {mark: found for mark, found in missed.items() if mark not in MISSED} == {}
    assert sum(map(len, missed.values())) * 1000 <= made.total() * MOST_MISSED_PER_MILLE
    assert made.total() >= LEAST_MUTANTS
    assert sorted(KINDS - made.keys()) == []
    assert sorted(each for each in BREAKS if f"invariant {each}" not in made) == []


def test_every_invariant_has_a_way_to_break_it() -> None:
    """MHD-PR-32, MHD-PR-33: of R4's types and of the guides' profiles."""
    assert sorted(published().invariants() - {*BREAKS, *ALONE, *WRONG_TEXTS, *OTHERWISE}) == []
