"""Five requests that work by copy and paste, and the submissions that two of them send."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from app.examples.catalogue import DOCUMENTS
from app.examples.submission import submission_of
from app.fhir.resource import Resource


def fresh_submission() -> Resource:
    """Return a submission with identifiers that nobody has used, so that it can be published at once."""
    return submission_of(DOCUMENTS[1], f"urn:oid:2.25.{uuid.uuid4().int}")


def faulty_submission() -> Resource:
    """Return a submission with three mistakes: an unknown element, a missing one, and a code that is none."""
    submission = fresh_submission()
    document = submission["entry"][1]["resource"]
    document["staus"] = document.pop("status")
    del document["type"]
    submission["entry"][0]["resource"]["mode"] = "workin"
    return submission


def curl_lines(base_url: str, root_url: str) -> Iterator[tuple[str, str]]:
    """Yield pairs (what it shows, the command).

    Args:
        root_url: of the server's own pages, where `/examples/…` lie.
    """
    post = f"curl -s -H 'Content-Type: application/fhir+json' --data-binary @- '{base_url}?_pretty=true'"
    yield "Search a patient (ITI-78)", f"curl -s '{base_url}/Patient?family=muster&_pretty=true'"
    yield (
        "Find her documents (ITI-67)",
        f"curl -s '{base_url}/DocumentReference?patient=ida&status=current&_pretty=true'",
    )
    yield (
        "Fetch the letter, a PDF (ITI-68)",
        f"curl -s -o letter.pdf $(curl -s '{base_url}/DocumentReference?patient=ida&status=current&type=18842-5'"
        f" | grep -o '{base_url}/Binary/[^\"]*' | head -n 1) && ls -l letter.pdf",
    )
    yield "Publish a document (ITI-65)", f"curl -s {root_url}/examples/submission | {post}"
    yield "See a refusal that helps", f"curl -s {root_url}/examples/faulty-submission | {post}"
