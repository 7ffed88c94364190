"""Failure in FHIR's words: issues, the exception that carries them, and the OperationOutcome they become.

Whoever needs a new issue code reads `HTTP_STATUS` first: a code stands for one status, and a
transaction overrides it only where its own section prescribes another.

Spec: FHIR R4 operationoutcome.html, http.html#Status-Codes; MHD error table, ITI TF-2:3.65.4.1.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.fhir.resource import Resource

# Issue code -> HTTP status -> when we use it. Source: FHIR R4 valueset-issue-type.html and MHD-ERR-06.
HTTP_STATUS: dict[str, int] = {
    "invalid": 400,  # a value that cannot be read, or content that contradicts its metadata
    "structure": 400,  # not JSON, not XML, not FHIR: unknown elements, wrong types, broken cardinality
    "required": 400,  # an element, parameter or entry that must be there is missing
    "value": 400,  # an element's value breaks a format, a fixed value or a pattern
    "invariant": 400,  # a constraint of a profile is false
    "code-invalid": 400,  # a code outside a required value set
    "security": 403,  # the connection or the caller is not trusted for this
    "login": 401,  # no token, or one that is not valid
    "expired": 401,  # a token that was valid
    "forbidden": 403,  # a valid token that does not allow this
    "not-supported": 400,  # understood, and not offered here
    "not-found": 404,  # nothing is known under this address
    "deleted": 410,  # it was here, and is gone
    "duplicate": 409,  # it is here already
    "multiple-matches": 412,  # a condition that should name one thing names several
    "conflict": 412,  # the version that the caller knew is no longer the current one
    "business-rule": 422,  # well-formed, and against a rule of Document Sharing
    "extension": 422,  # an extension that changes the meaning, and that this server does not know
    "too-long": 413,  # more bytes than this server takes
    "too-costly": 400,  # more work than this server does for one request
    "throttled": 429,  # more requests than this caller may send
    "transient": 503,  # try again later
    "timeout": 503,  # something this server needs did not answer in time
    "exception": 500,  # our fault
}

INTERNAL_ERROR = "The server failed at this request. The request id in the header `X-Request-Id` leads to its log."
MAX_ISSUES = 100

# No string of FHIR has these (FHIR R4 datatypes.html#string), and a value that is quoted may.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    Attributes:
        code: FHIR issue type.
        diagnostics: what came, what was expected, the way out; never health data.
        expression: FHIRPath of the element, empty when none.
        severity: fatal, error, warning or information.
        details: an IHE (Document Sharing) error code such as `XDSUnknownPatientId`, empty when none fits.
        text: a sentence for `details.text`; empty: the diagnostics, and only beside a code.
    """

    code: str
    diagnostics: str
    expression: str = ""
    severity: str = "error"
    details: str = ""
    text: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the issue ends the request."""
        return self.severity in ("error", "fatal")

    def below(self, expression: str) -> Issue:
        """Return the same issue, its expression prefixed: `resource.status` below `Bundle.entry[2]`."""
        return replace(self, expression=f"{expression}.{self.expression}" if self.expression else expression)


class FhirError(Exception):
    """The one exception for the client: one or more issues and the HTTP status they stand for."""

    def __init__(
        self, code: str, diagnostics: str, *, status: int | None = None, expression: str = "", details: str = ""
    ) -> None:
        super().__init__(diagnostics)
        self.issues: tuple[Issue, ...] = (Issue(code, diagnostics, expression, details=details),)
        self.status = status or HTTP_STATUS[code]
        self.headers: dict[str, str] = {}

    @classmethod
    def of(cls, issues: Iterable[Issue], *, status: int | None = None) -> FhirError:
        """Return one error for all `issues`; the status is that of the first one that is an error."""
        found = tuple(issues)
        first = next(issue for issue in found if issue.is_error)
        error = cls(first.code, first.diagnostics, status=status)
        error.issues = found
        return error


def require_none(issues: Iterable[Issue], *, status: int | None = None) -> None:
    """Raise FhirError with all `issues` when one of them is an error."""
    found = tuple(issues)
    if any(issue.is_error for issue in found):
        raise FhirError.of(found, status=status)


def outcome_of(error: Exception) -> tuple[int, Resource]:
    """Return status and OperationOutcome for `error`; of any other exception the client learns nothing."""
    if isinstance(error, FhirError):
        return error.status, operation_outcome(error.issues)
    return 500, operation_outcome([Issue("exception", INTERNAL_ERROR)])


def operation_outcome(issues: Iterable[Issue]) -> Resource:
    """Return the OperationOutcome that lists `issues`, the first `MAX_ISSUES` of them and how many more there are."""
    from fhir.resources.R4B.operationoutcome import OperationOutcome  # noqa: PLC0415 - 8 MB, and rarely needed

    found = list(dict.fromkeys(issues))
    if len(found) > MAX_ISSUES:
        rest = Issue("informational", f"{len(found) - MAX_ISSUES} more issues are not listed.", severity="information")
        found = [*found[:MAX_ISSUES], rest]
    outcome = OperationOutcome.model_validate({"issue": [_component(issue) for issue in found]})
    return {"resourceType": "OperationOutcome", **outcome.model_dump(mode="json", exclude_none=True)}


def _component(issue: Issue) -> Resource:
    component: Resource = {"severity": issue.severity, "code": issue.code}
    diagnostics = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", issue.diagnostics)
    if issue.details:
        component["details"] = {"coding": [{"code": issue.details}], "text": issue.text or diagnostics}
    elif issue.text:
        component["details"] = {"text": issue.text}
    component["diagnostics"] = diagnostics
    if issue.expression:
        component["expression"] = [issue.expression]
    return component
