"""How a request that failed is told: how serious it is, in which words, and whether somebody was turned away.

Spec: AUD-09, AUD-71; FHIR R4 valueset-audit-event-outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.audit.entities import OUTCOME
from app.fhir.resource import Resource
from app.transaction import ResponseMessage

SUCCESS, MINOR, SERIOUS, MAJOR = "0", "4", "8", "12"

# Issues of those who are turned away: without a valid token it is a slip, with a forged or foreign one it is not.
_REFUSALS = {"login": MINOR, "expired": MINOR, "security": SERIOUS, "forbidden": MINOR}

# What an issue of 503 says when the service as a whole cannot work, and not one request.
_UNUSABLE = frozenset({"transient", "timeout", "exception"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed.

    Attributes:
        outcome: `4`, `8` or `12`.
        description: status, issue code and diagnostics.
        contained: the OperationOutcome that was sent; None when that is not what was sent.
    """

    outcome: str
    description: str
    contained: Resource | None = None


def failure_of(response: ResponseMessage) -> Failure | None:
    """Return why the request of `response` failed; None when it did not (AUD-09)."""
    if response.status < 400:
        return None
    issue = _issue(response)
    outcome = MINOR if response.status < 500 else SERIOUS
    if response.status == 503 and issue.get("code") in _UNUSABLE and "details" not in issue:
        outcome = MAJOR
    return Failure(outcome, _description(response, issue), _contained(response))


def refusal_of(response: ResponseMessage) -> Failure | None:
    """Return why somebody was turned away; None when nobody was (AUD-71)."""
    issue = _issue(response)
    code = str(issue.get("code", ""))
    is_told = response.status in (401, 403) and code in _REFUSALS
    is_concealed = response.about.is_refusal and 400 <= response.status < 500
    if not (is_told or is_concealed):
        return None
    return Failure(_REFUSALS.get(code, MINOR), _description(response, issue))


def _issue(response: ResponseMessage) -> Resource:
    body = response.body
    issues = body.get("issue") if isinstance(body, dict) else None
    found = [one for one in issues if isinstance(one, dict)] if isinstance(issues, list) else []
    return next((one for one in found if one.get("severity") in ("error", "fatal")), found[0] if found else {})


def _description(response: ResponseMessage, issue: Resource) -> str:
    """Return status, code and diagnostics; of an OAuth error its code and description."""
    body = response.body if isinstance(response.body, dict) else {}
    code = issue.get("code") or body.get("error", "")
    text = issue.get("diagnostics") or body.get("error_description", "")
    return f"{response.status} {code}: {text}" if text else f"{response.status} {code}".strip()


def _contained(response: ResponseMessage) -> Resource | None:
    body = response.body
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return None
    return {"resourceType": "OperationOutcome", "id": OUTCOME} | {name: body[name] for name in body if name != "id"}
