"""`python -m app.patient` explains the score of two Patients, and learns weights from a file; without a server.

    python -m app.patient score A.json B.json --population 1000000
    python -m app.patient estimate PATIENTS.ndjson --trusted http://example.org/national=sk.rc > set.json

What is learned is printed, never activated (MAT-43).
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import orjson

from app.fhir.resource import Resource
from app.patient.estimate import (
    LABELLED_PAIRS,
    RANDOM_PAIRS,
    grade_changes,
    labelled_pairs,
    learn_unlabelled,
    observe,
    parameters_from,
    random_pairs,
)
from app.patient.matching import score
from app.patient.parameters import CURRENT, load
from app.patient.vector import Conventions, match_vector


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (OSError, ValueError) as error:
        print(f"app.patient: {error}", file=sys.stderr)
        return 1


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m app.patient", description="Patient matching without a server.")
    parser.add_argument("--home-country", default="", help="country of telephone numbers without a country code")
    parser.add_argument("--trusted", action="append", default=[], metavar="SYSTEM=SCHEME", help="trusted person number")
    parser.add_argument("--parameters", default=CURRENT, help="version of the parameter set")
    words = parser.add_subparsers(required=True)
    pair = words.add_parser("score", help="explain the score of two Patients, field by field")
    pair.add_argument("patients", nargs=2, type=Path, metavar="PATIENT.json")
    pair.add_argument("--population", type=int, default=10_000, help="active records in the index")
    pair.set_defaults(run=_score)
    learn = words.add_parser("estimate", help="learn weights from Patients, one a line")
    learn.add_argument("file", type=Path, metavar="PATIENTS.ndjson")
    learn.add_argument("--version", default="learned", help="name of the new set")
    learn.add_argument("--random-pairs", type=int, default=RANDOM_PAIRS)
    learn.set_defaults(run=_estimate)
    return parser


def _score(options: Namespace) -> int:
    conventions = _conventions(options)
    a, b = (match_vector(orjson.loads(path.read_bytes()), conventions) for path in options.patients)
    scored = score(a, b, load(options.parameters).for_population(options.population))
    _print({**scored.explanation(), "probability": round(scored.probability, 6), "score": round(scored.score, 6)})
    return 0


def _estimate(options: Namespace) -> int:
    """Print the learned set; tell on standard error what it was learned from and which grades would change."""
    conventions, base = _conventions(options), load(options.parameters)
    patients = list(_patients(options.file))
    vectors = [match_vector(patient, conventions) for patient in patients]
    if len(vectors) < 2:
        raise ValueError(f"`{options.file}` has {len(vectors)} Patients; at least 2 are needed.")
    u = observe(random_pairs(vectors, options.random_pairs))
    labelled = labelled_pairs(vectors, [_source(patient) for patient in patients])
    enough = len(labelled) >= LABELLED_PAIRS
    m = observe(labelled) if enough else learn_unlabelled([vector._replace(numbers=()) for vector in vectors], u)
    origin = (
        f"{len(labelled)} pairs with a shared trusted number" if enough else "EM within equal birth dates and names"
    )
    learned = parameters_from(m, u, base, options.version, f"{origin}; {u.pairs} random pairs")
    _print(learned.as_document())
    sized = len(vectors)
    for (old, new), count in sorted(
        grade_changes(labelled, base.for_population(sized), learned.for_population(sized)).items()
    ):
        print(f"labelled pairs {old} -> {new}: {count}", file=sys.stderr)
    print(f"Learned from {origin}; u from {u.pairs} random pairs. Not active.", file=sys.stderr)
    return 0


def _patients(file: Path) -> Iterator[Resource]:
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            resource = orjson.loads(line) if line.strip() else {}
        except orjson.JSONDecodeError as error:
            raise ValueError(f"`{file}`, line {number}: {error}.") from error
        if isinstance(resource, dict) and resource.get("resourceType") == "Patient":
            yield resource


def _source(patient: Resource) -> str:
    """Return who fed a record: `meta.source`, else the domain of its first identifier."""
    identifiers = patient.get("identifier") or [{}]
    return str((patient.get("meta") or {}).get("source") or identifiers[0].get("system", ""))


def _conventions(options: Namespace) -> Conventions:
    pairs = (text.rpartition("=") for text in options.trusted)
    return Conventions(
        options.home_country, {system or scheme: scheme if system else "" for system, _, scheme in pairs}
    )


def _print(document: object) -> None:
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    sys.exit(main())
