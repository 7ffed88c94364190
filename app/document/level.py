"""The three metadata levels of ITI-65, and what a Bundle must look like at the one that it claims.

Spec: ITI-65, 2:3.65.4.1.2; MHD-65-02..06, 13, 110; MHD-PR-02, 21, 30; the error table of 2:3.65.4.1.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from app.document.claims import SOFT, STATUS
from app.document.entry import is_list_of
from app.document.identifier import with_types
from app.document.vocabulary import FOLDER, METADATA_ERROR, MISSING_DOCUMENT, STRUCTURE_DEFINITION, UNRESOLVED
from app.fhir.outcome import FhirError, Issue, require_none
from app.fhir.resource import Resource
from app.transaction import Context

MINIMAL = f"{STRUCTURE_DEFINITION}/IHE.MHD.Minimal.ProvideBundle"
UNCONTAINED = f"{STRUCTURE_DEFINITION}/IHE.MHD.UnContained.Comprehensive.ProvideBundle"
COMPREHENSIVE = f"{STRUCTURE_DEFINITION}/IHE.MHD.Comprehensive.ProvideBundle"

COMPREHENSIVE_FOLDER = f"{STRUCTURE_DEFINITION}/IHE.MHD.Comprehensive.Folder"

# Type of an entry that is too many, or of which no slice wants more -> code; of others no slice wants any.
_OUTSIDE = {"List": "required"} | dict.fromkeys(("Binary", "Bundle", "DocumentReference", "Patient"), "structure")
_ENTRY = re.compile(r"Bundle\.entry\[([0-9]+)\]")

# Strictest first: a Bundle that claims several is held to the first (MHD-65-04).
LEVELS = (COMPREHENSIVE, UNCONTAINED, MINIMAL)


def require_transaction_bundle(resource: Resource | None) -> Resource:
    """Return the Bundle of type `transaction` in a request to `[base]` (MHD-65-01, 02).

    Raises:
        FhirError: `structure` (400) for no resource at all, `not-supported` (400) for another one.
    """
    if resource is None:
        raise FhirError("structure", "`[base]` takes a Bundle of type `transaction`. Came: an empty body.")
    if (came := resource.get("resourceType")) != "Bundle":
        text = f"`[base]` takes a Bundle of type `transaction`. Came: `{str(came)[:64]}`."
        raise FhirError("not-supported", text, expression="resourceType")
    if (kind := resource.get("type")) != "transaction":
        came = f"`{str(kind)[:64]}`" if kind else "none"
        text = f"`[base]` takes a Bundle of type `transaction`. Came: {came}."
        raise FhirError("not-supported", text, expression="Bundle.type")
    return resource


def claimed_level(bundle: Resource) -> str:
    """Return the strictest ProvideBundle profile that `bundle` claims.

    A version suffix and the `http:` spelling of releases before 4.2 are tolerated (MHD-65-04).

    Raises:
        FhirError: `required` (400) when none is claimed, `value` (400) when only foreign ones are.
    """
    claims = _claims(bundle)
    known = {claim.split("|")[0].replace("http://", "https://", 1) for claim in claims}
    for level in LEVELS:
        if level in known:
            return level
    came = ", ".join(f"`{claim[:200]}`" for claim in claims[:5]) or "none"
    code = "value" if claims else "required"
    raise FhirError(
        code,
        f"`Bundle.meta.profile` names the metadata level. Came: {came}. Expected one of: "
        + ", ".join(f"`{level}`" for level in LEVELS),
        expression="Bundle.meta.profile",
        details=METADATA_ERROR,
    )


def _claims(bundle: Resource) -> list[str]:
    """Return what `meta.profile` lists; nothing is known yet of the shape of `bundle`."""
    meta = bundle.get("meta")
    urls = meta.get("profile") if isinstance(meta, dict) else None
    return [url for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def admissible(bundle: Resource, level: str, context: Context) -> Resource:
    """Return `bundle`, identifier types filled in, when it meets the profile `level`.

    Raises:
        FhirError: all issues at once, the status that of the first; 400 for everything a profile can say.
    """
    switches = context.switches
    if not switches.strict_identifier_type:
        bundle = _with_identifier_types(bundle)
    if level == MINIMAL and switches.metadata_level == "comprehensive":
        level = UNCONTAINED
    require_none(_check_methods(bundle), status=400)
    issues = context.validator.validate(bundle, level, is_strict=True)
    require_none([_told(issue, bundle) for issue in _tolerated(issues, level)], status=400)
    claims = context.validator.check_claims(bundle, soft=SOFT)
    require_none([_told(issue, bundle) for issue in claims], status=STATUS)
    if level != MINIMAL and not switches.minimal_folders:
        require_none([_told(issue, bundle) for issue in _check_new_folders(bundle, context)], status=400)
    return bundle


def _check_new_folders(bundle: Resource, context: Context) -> Iterator[Issue]:
    """A new Folder is comprehensive where the rest is: the Bundle's profile does not say so, 2:3.65 does (A-12)."""
    for index, entry in enumerate(bundle["entry"]):
        resource = entry["resource"]
        if entry["request"]["method"] == "POST" and is_list_of(resource, FOLDER):
            root = f"Bundle.entry[{index}].resource"
            yield from context.validator.validate(resource, COMPREHENSIVE_FOLDER, root=root, is_strict=True)


def _with_identifier_types(bundle: Resource) -> Resource:
    entries = bundle.get("entry")
    if not isinstance(entries, list):
        return bundle
    return {**bundle, "entry": [_entry_with_types(entry) for entry in entries]}


def _entry_with_types(entry: object) -> object:
    if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
        return entry
    return {**entry, "resource": with_types(entry["resource"])}


def _tolerated(issues: list[Issue], level: str) -> Iterator[Issue]:
    """Leave out what the narrative allows although the profile does not.

    Laxer: at the UnContained level sourcePatientInfo need not be there (MHD-OPT-12, A-16).
    """
    for issue in issues:
        if (
            level == UNCONTAINED
            and issue.code == "required"
            and "sourcePatientInfo" in issue.diagnostics + issue.expression
        ):
            continue
        yield issue


def _told(issue: Issue, bundle: Resource) -> Issue:
    """Return `issue` with the codes that the error table has for it."""
    if issue.code == "structure" and (match := _ENTRY.fullmatch(issue.expression)):
        return replace(
            issue, code=_OUTSIDE.get(_type_of(bundle["entry"][int(match[1])]), "not-supported"), details=METADATA_ERROR
        )
    if issue.code != "not-found":
        return replace(issue, details=METADATA_ERROR)
    return replace(issue, details=MISSING_DOCUMENT if issue.expression.endswith("attachment.url") else UNRESOLVED)


def _type_of(entry: Resource) -> str:
    resource = entry.get("resource")
    return str(resource.get("resourceType", "")) if isinstance(resource, dict) else ""


def _check_methods(bundle: Resource) -> Iterator[Issue]:
    """Nothing is deleted by a submission, nor done by other methods than those of the profiles (MHD-65-07)."""
    entries = bundle.get("entry")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        request = entry.get("request") if isinstance(entry, dict) else None
        method = request.get("method") if isinstance(request, dict) else None
        if method in ("DELETE", "HEAD"):
            text = f"`{method}` is not offered in a submission; `POST`, `PUT`, `PATCH` and `GET` are."
            yield Issue("not-supported", text, f"Bundle.entry[{index}].request.method", details=METADATA_ERROR)
