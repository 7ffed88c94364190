"""Validate files: `python -m app.validation FILE... [--profile URL] [--json]`. No server is needed.

Exit status: 0 when every file is valid, 1 when one is not, 2 when one cannot be read or a profile is not known.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

from app.fhir.media_type import JSON, XML
from app.fhir.outcome import FhirError, Issue, operation_outcome
from app.fhir.packages import Packages, load
from app.fhir.parser import parse_resource
from app.fhir.resource import Resource
from app.validation.report import report
from app.validation.validator import Validator

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
VALID, NOT_VALID, FAILED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate the files that `arguments` name (the command line's when None), print the report.

    Returns:
        the exit status, as above.
    """
    asked = _parser().parse_args(arguments)
    packages = load(asked.packages)
    validator = Validator(packages)
    unknown = [url for url in asked.profile if not validator.knows(url)]
    if unknown:
        print(f"No package in {asked.packages} has the profile {', '.join(unknown)}.", file=sys.stderr)
        return FAILED
    statuses = [_validate(path, asked, validator, packages) for path in asked.files]
    for problem in validator.survey() if asked.problems else ():
        print(f"Not checked: {problem}", file=sys.stderr)
    return max(statuses)


def _validate(path: Path, asked: argparse.Namespace, validator: Validator, packages: Packages) -> int:
    try:
        resource = _read(path, packages)
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return FAILED
    except FhirError as error:
        issues = list(error.issues)
    else:
        issues = _issues(resource, asked, validator)
    if asked.json:
        outcome = operation_outcome(issues or [Issue("informational", "No issues.", severity="information")])
        print(json.dumps({"file": str(path), "outcome": outcome}, ensure_ascii=False))
    else:
        print(report(str(path), issues, colour=asked.colour))
    return NOT_VALID if any(issue.is_error for issue in issues) else VALID


def _issues(resource: Resource, asked: argparse.Namespace, validator: Validator) -> list[Issue]:
    """Without a profile on the command line the claims in `meta.profile` count."""
    found = [
        issue for url in asked.profile or [""] for issue in validator.validate(resource, url, claims=not asked.profile)
    ]
    return list(dict.fromkeys(found))


def _read(path: Path, packages: Packages) -> Resource:
    body = path.read_bytes()
    is_xml = body.removeprefix(BOM_UTF8).lstrip()[:1] == b"<"
    return parse_resource(body, XML if is_xml else JSON, packages.structures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m app.validation", description="Validate FHIR R4 resources, JSON or XML.")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--profile", metavar="URL", action="append", default=[], help="canonical URL; may be repeated")
    parser.add_argument(
        "--packages", metavar="FOLDER", type=Path, default=PROFILES, help="where the profile packages are"
    )
    parser.add_argument("--json", action="store_true", help="an OperationOutcome a line, one line a file")
    parser.add_argument("--problems", action="store_true", help="name what the profiles ask for and is not checked")
    parser.add_argument("--colour", action=argparse.BooleanOptionalAction, default=sys.stdout.isatty())
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no further, `head` say, ends this program too
    sys.exit(main())
