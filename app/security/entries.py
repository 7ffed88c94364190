"""Of a request that writes several records, each must be allowed: entry by entry, before anything is looked at.

Spec: EHDS-17, EHDS-22; IUA-30, IUA-32; MHD-SEC-05.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.security.access import Access
from app.security.refusal import insufficient
from app.security.scope import granting
from app.security.withholding import Withholding

# What an entry does -> the letter that it needs.
LETTERS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d", "GET": "r", "HEAD": "r"}


def require_granted(access: Access, transaction: str, scope: str) -> None:
    """Refuse what the scopes of the caller do not cover, where only the handler knows what that is.

    Args:
        scope: `Bundle.r`; of several, blank-separated, one suffices.

    Raises:
        RefusedError: `forbidden` (403, 401).
    """
    principal = access.principal
    if principal.means and not granting(principal.grants, transaction, scope):
        error = insufficient(principal, transaction, scope)
        error.access = access
        raise error


def require_entries(access: Access, transaction: str, bundle: Resource, base_url: str) -> None:
    """Refuse a Bundle when one of its entries is not allowed, or is about another patient than the caller's.

    Raises:
        RefusedError: `forbidden` (403, 401).
    """
    if access.principal.means:
        for scope in dict.fromkeys(_scopes(bundle)):
            require_granted(access, transaction, scope)
    require_own(access, _resources(bundle), base_url)


def require_own(access: Access, resources: Iterable[Resource], base_url: str) -> None:
    """Refuse resources whose subject is another Patient than the one the caller is bound to, be they known or not.

    Raises:
        RefusedError: `forbidden` (403, 401).
    """
    if access.patients is None:
        return
    for resource in resources:
        subject = resource.get("subject")
        text = subject.get("reference") if isinstance(subject, dict) else None
        reference = parse_reference(text if isinstance(text, str) else "", base_url)
        if (
            reference.kind == "literal"
            and reference.resource_type == "Patient"
            and reference.url not in access.patients
        ):
            raise Withholding(access).foreign()


def require_compartment(access: Access, patient: str) -> None:
    """Look at a question for what belongs to one patient, by id.

    Raises:
        RefusedError: `forbidden` (403, 401) when the caller is bound to another one.
    """
    Withholding(access).asked([(f"Patient/{patient}",)])


def _scopes(bundle: Resource) -> Iterator[str]:
    """Yield what each entry needs; what is no entry is refused by whoever reads it."""
    for entry in _entries(bundle):
        request, resource = entry.get("request"), entry.get("resource")
        method = str(request.get("method", "POST")) if isinstance(request, dict) else "POST"
        url = str(request.get("url", "")) if isinstance(request, dict) else ""
        posted = str(resource.get("resourceType", "")) if isinstance(resource, dict) else ""
        named = parse_reference(url).resource_type or url.partition("?")[0].partition("/")[0]
        kind = posted if posted and method in ("POST", "PUT") else named
        yield f"{kind}.{LETTERS.get(method, 'c')}"


def _resources(bundle: Resource) -> Iterator[Resource]:
    return (entry["resource"] for entry in _entries(bundle) if isinstance(entry.get("resource"), dict))


def _entries(bundle: Resource) -> Iterator[dict[str, Any]]:
    entries = bundle.get("entry")
    return (one for one in (entries if isinstance(entries, list) else ()) if isinstance(one, dict))
