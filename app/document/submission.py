"""What the entries of a submission must satisfy together; what one resource must look like stands in the profiles.

Spec: ITI-65, 2:3.65.4.1.2 and 2:3.65.4.1.3; MHD-65-07..16, 50, 51, 97, 100, 113, 116; MHD-OPT-31.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.document.content import attachment_of, check_content, fingerprint, with_content
from app.document.elsewhere import documents_elsewhere
from app.document.entry import Entry, Submission
from app.document.fhir_document import check_fhir_document, fingerprint_of
from app.document.identifier import of_kind, unique_id
from app.document.vocabulary import METADATA_ERROR, MISSING_DOCUMENT, UNIQUE_ID, UNKNOWN_PATIENT
from app.fhir.bundle import Links
from app.fhir.outcome import FhirError, Issue
from app.store.content import StagedContent
from app.switches import Switches

TWICE_IN_MESSAGE = "XDSRepositoryDuplicateUniqueIdInMessage"


def refuse(issues: Iterable[Issue]) -> None:
    """Raise FhirError with all `issues` when one of them is an error (MHD-ERR-04, 06).

    The status is that of the first; what cannot be found, and a uniqueId twice in one message, is the
    message's own fault: 400.
    """
    found = list(issues)
    first = next((issue for issue in found if issue.is_error), None)
    if first is None:
        return
    own_fault = first.code == "not-found" or first.details == TWICE_IN_MESSAGE
    raise FhirError.of(found, status=400 if own_fault else None)


def check_submission(submission: Submission, links: Links, switches: Switches) -> Iterator[Issue]:
    """What can be told from the entries alone, before any document is looked at."""
    yield from check_requests(submission)
    yield from check_documents_are_there(submission)
    if switches.require_submissionset_unique_id:
        yield from check_unique_id_is_there(submission)
    if not switches.lenient_submission_links:
        yield from check_members(submission, links)
    yield from check_same_unique_id(submission)
    yield from check_documents(submission, links, switches)
    yield from check_fhir_documents(submission, links)


def require_option(submission: Submission, switches: Switches) -> None:
    """Refuse FHIR documents as entries of their own when that option is off (MHD-OPT-31).

    Raises:
        FhirError: `not-supported` (422, as the error table has it), `FHIRDocumentNotSupported`.
    """
    if switches.fhir_documents or not submission.fhir_documents:
        return
    text = "A FHIR document is not taken as a Bundle entry here; send it as a Binary."
    issues = [entry.issue("not-supported", text, "", "FHIRDocumentNotSupported") for entry in submission.fhir_documents]
    raise FhirError.of(issues, status=422)


def check_requests(submission: Submission) -> Iterator[Issue]:
    """A POST goes to the type of its resource (MHD-65-07)."""
    for entry in submission.entries:
        resource_type = entry.resource["resourceType"]
        if entry.method == "POST" and entry.url.rstrip("/") != resource_type:
            text = f"A POST goes to the type of its resource. Came: `{entry.url[:64]}`, expected: `{resource_type}`."
            yield Issue("value", text, f"Bundle.entry[{entry.index}].request.url", details=METADATA_ERROR)
        if entry.if_none_exist and resource_type != "Patient":
            text = "Only a Patient can be created conditionally; documents are told apart by their uniqueId."
            yield Issue("not-supported", text, f"Bundle.entry[{entry.index}].request.ifNoneExist")


def check_documents_are_there(submission: Submission) -> Iterator[Issue]:
    """A submission brings documents, or at least changes a Folder (MHD-65-12); each enters as current (MHD-65-16)."""
    if not submission.documents and not submission.folders:
        yield submission.submission_set.issue("required", "A submission has one DocumentReference or more; none came.")
    for entry in submission.documents:
        if entry.resource["status"] != "current":
            text = f"A new DocumentReference is `current`. Came: `{entry.resource['status']}`."
            yield entry.issue("business-rule", text, "status")


def require_subject(submission: Submission) -> None:
    """Refuse a document whose patient is not named at all: outside of ITI-65 nothing waits for one (MHD-105-05).

    Raises:
        FhirError: `not-found` (400), `XDSUnknownPatientId`.
    """
    for entry in submission.documents:
        subject = entry.resource.get("subject") or {}
        if not subject.get("reference") and not subject.get("identifier"):
            text = "`subject` names no patient: neither by reference nor by identifier."
            raise entry.error("not-found", text, "subject", UNKNOWN_PATIENT, status=400)


def check_unique_id_is_there(submission: Submission) -> Iterator[Issue]:
    """The SubmissionSet has a uniqueId, where the deployment does not assign one (MHD-65-116, A-02)."""
    owner = submission.submission_set
    if unique_id(owner.resource) is None:
        yield owner.issue("required", "The SubmissionSet has no `identifier` of type `uniqueId`.", "identifier")


def check_members(submission: Submission, links: Links) -> Iterator[Issue]:
    """Every new DocumentReference and Folder of the submission is listed in its SubmissionSet (MHD-65-97, 100)."""
    for entry in missing_members(submission, links):
        text = f"The SubmissionSet lists every new DocumentReference and Folder; entry {entry.index} is missing."
        yield submission.submission_set.issue("business-rule", text, "entry")


def missing_members(submission: Submission, links: Links) -> Iterator[Entry]:
    """Yield the new DocumentReferences and Folders that the SubmissionSet does not list."""
    owner = submission.submission_set
    items = [item["item"].get("reference", "") for item in owner.resource.get("entry", ())]
    listed = {links.new_name(item, owner.full_url) for item in items}
    for entry in (*submission.documents, *(one for one in submission.folders if one.method == "POST")):
        if links.new_name(entry.full_url, "") not in listed:
            yield entry


def check_same_unique_id(submission: Submission) -> Iterator[Issue]:
    """An `identifier` of type uniqueId on a DocumentReference equals its masterIdentifier (MHD-PR-04)."""
    for entry in submission.documents:
        second, master = of_kind(entry.resource, UNIQUE_ID), entry.resource["masterIdentifier"]
        if second and (second.get("system"), second.get("value")) != (master.get("system"), master.get("value")):
            yield entry.issue("value", "`identifier` of type `uniqueId` differs from `masterIdentifier`.", "identifier")


def check_documents(submission: Submission, links: Links, switches: Switches) -> Iterator[Issue]:
    """Each document has its DocumentReference, and each DocumentReference its document (MHD-65-50, 51)."""
    meant = set()
    for entry in submission.documents:
        if holder := content_of(entry, submission, links):
            meant.add(holder.index)
        else:
            yield from _check_elsewhere(entry, str(attachment_of(entry.resource)["url"]), switches)
    for holder in (*submission.binaries, *submission.fhir_documents):
        if holder.index not in meant:
            text = "No DocumentReference of this Bundle points to this document."
            yield holder.issue("business-rule", text, "", "XDSMissingDocumentMetadata")


def check_fhir_documents(submission: Submission, links: Links) -> Iterator[Issue]:
    """Each Bundle is a FHIR document, and its DocumentReference says so (MHD-OPT-30, 32)."""
    for entry in submission.documents:
        holder = content_of(entry, submission, links)
        if holder and holder in submission.fhir_documents:
            yield from check_fhir_document(entry, holder)


def _check_elsewhere(entry: Entry, url: str, switches: Switches) -> Iterator[Issue]:
    """A document that is not in the Bundle lies on a host that this deployment allows (MHD-65-58).

    A document that is stored here has its DocumentReference already, and nobody attaches it to another (MHD-65-59).
    """
    if documents_elsewhere(switches).is_listed(url):
        return
    allowed = " or lies on an allowed host" if switches.external_documents else ""
    text = f"`{url[:200]}` is no document of this Bundle. A document is an entry, named by its `fullUrl`{allowed}."
    yield entry.issue("not-found", text, "content[0].attachment.url", MISSING_DOCUMENT)


def check_contents(
    submission: Submission, links: Links, contents: Mapping[int, StagedContent], switches: Switches
) -> Iterator[Issue]:
    """What a DocumentReference says of its document is true of it, and no uniqueId names two things.

    Args:
        contents: index of the entry that holds a document -> the document.
    """
    fingerprints = {submission.submission_set.index: "SubmissionSet"}
    fingerprints |= {folder.index: f"Folder {folder.index}" for folder in submission.folders}
    for entry in submission.documents:
        holder = content_of(entry, submission, links)
        if holder is None:
            fingerprints[entry.index] = fingerprint(entry.resource)
        elif holder in submission.fhir_documents:
            fingerprints[entry.index] = fingerprint_of(holder.resource)
        else:
            yield from check_content(entry, holder, contents[holder.index])
            fingerprints[entry.index] = fingerprint(with_content(entry.resource, contents[holder.index]))
    if switches.unique_id_conflict == "reject":
        yield from check_unique_ids(submission, fingerprints)


def check_unique_ids(submission: Submission, fingerprints: Mapping[int, str]) -> Iterator[Issue]:
    """One uniqueId names one object, except that identical documents may share it (MHD-65-113).

    Args:
        fingerprints: index of an entry -> what its content is; equal content, equal fingerprint.
    """
    seen: dict[tuple[str, str], Entry] = {}
    for entry in (submission.submission_set, *submission.documents, *submission.folders):
        identifier = unique_id(entry.resource)
        if identifier is None:
            continue
        key = (str(identifier.get("system", "")), str(identifier.get("value", "")))
        first = seen.setdefault(key, entry)
        if fingerprints[first.index] != fingerprints[entry.index]:
            element = "masterIdentifier" if "masterIdentifier" in entry.resource else "identifier"
            text = f"The uniqueId `{key[1]}` stands in entry {first.index} already."
            yield entry.issue("duplicate", text, element, TWICE_IN_MESSAGE)


def content_of(document: Entry, submission: Submission, links: Links) -> Entry | None:
    """Return the entry, a Binary or a FHIR document, that the attachment of `document` means."""
    name = links.new_name(str(attachment_of(document.resource)["url"]), document.full_url)
    if name is None:
        return None
    holders = (*submission.binaries, *submission.fhir_documents)
    return next((one for one in holders if links.new_name(one.full_url, "") == name), None)


def owner_of(holder: Entry, submission: Submission, links: Links) -> Entry:
    """Return the first DocumentReference whose document is in the entry `holder`; `check_submission` made sure."""
    return next(one for one in submission.documents if content_of(one, submission, links) is holder)
