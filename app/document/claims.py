"""What the resources of a submission say of themselves: national profiles that they claim in `meta.profile`.

A claim of one of IHE's own profiles is soft (MHD-65-06): the level of the submission decides. Any other profile that a
package has counts as the operator of the package wants: `severity` off, warn or enforce.

Spec: national.md NAT-05; MHD-65-04, MHD-65-06; FHIR R4 resource.html#Meta.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from app.document.entry import Entry
from app.document.vocabulary import METADATA_ERROR
from app.fhir.outcome import FhirError, Issue
from app.transaction import Context

# Of IHE's profiles the transactions themselves know which count.
SOFT = "https://profiles.ihe.net/"

# Well-formed, and against the rules of somebody else than FHIR and IHE (NAT-05).
STATUS = 422


def broken_claims(entries: Iterable[Entry], context: Context) -> Iterator[tuple[Entry, list[Issue]]]:
    """Yield each entry whose resource is not all that it claims to be, with what it lacks."""
    for entry in entries:
        if "profile" in entry.resource.get("meta", ()):
            issues = context.validator.check_claims(entry.resource, root=entry.expression, soft=SOFT)
            if issues:
                yield entry, [replace(issue, details=METADATA_ERROR) for issue in issues]


def require_claims(broken: Iterable[tuple[Entry, list[Issue]]]) -> None:
    """Refuse claims that a package enforces.

    Raises:
        FhirError: 422 with all issues, when one of them is an error.
    """
    issues = [issue for _, found in broken for issue in found]
    if any(issue.is_error for issue in issues):
        raise FhirError.of(issues, status=STATUS)
