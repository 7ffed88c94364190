"""A submission: the entries of one ITI-65 Bundle, by what they are.

Spec: ITI-65, 2:3.65.4.1.2, the slices of the ProvideBundle profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.document.vocabulary import FOLDER, LIST_TYPES, METADATA_ERROR
from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import Resource


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a Bundle: its index, its request and its resource.

    Attributes:
        place: FHIRPath of the resource in a request that is no transaction.
    """

    index: int
    full_url: str
    method: str
    url: str
    resource: Resource
    if_match: str = ""
    if_none_exist: str = ""
    place: str = ""

    @property
    def expression(self) -> str:
        """FHIRPath of the entry's resource: where it stands when the request is no Bundle of entries."""
        return self.place or f"Bundle.entry[{self.index}].resource"

    def issue(self, code: str, diagnostics: str, element: str = "", details: str = METADATA_ERROR) -> Issue:
        """Return an issue at `element` of the entry's resource."""
        return Issue(code, diagnostics, f"{self.expression}.{element}" if element else self.expression, details=details)

    def error(self, code: str, diagnostics: str, element: str, details: str, *, status: int | None = None) -> FhirError:
        """Return the same as an error that ends the request."""
        return FhirError.of([self.issue(code, diagnostics, element, details)], status=status)


@dataclass(frozen=True, slots=True)
class Submission:
    """The entries of a Bundle that met its profile, by the slices of the profile.

    Attributes:
        level: canonical URL of the claimed Bundle profile.
        entries: all, in the order of the request.
    """

    level: str
    entries: tuple[Entry, ...]
    submission_set: Entry
    documents: tuple[Entry, ...]
    binaries: tuple[Entry, ...]
    folders: tuple[Entry, ...]
    patches: tuple[Entry, ...]
    fhir_documents: tuple[Entry, ...]
    patient: Entry | None

    @property
    def is_derived(self) -> bool:
        """Whether this server made the SubmissionSet, and no transaction Bundle came."""
        return bool(self.submission_set.place)

    def replaced(self, changed: Mapping[int, Entry]) -> Submission:
        """Return the same submission with the entries in `changed`, by index, in place of what they were."""

        def new(entry: Entry) -> Entry:
            return changed.get(entry.index, entry)

        return Submission(
            self.level,
            tuple(map(new, self.entries)),
            new(self.submission_set),
            tuple(map(new, self.documents)),
            tuple(map(new, self.binaries)),
            tuple(map(new, self.folders)),
            tuple(map(new, self.patches)),
            tuple(map(new, self.fhir_documents)),
            new(self.patient) if self.patient else None,
        )


def submission_of(bundle: Resource, level: str) -> Submission:
    """Return the submission in a `bundle` that is valid against `level`."""
    entries = tuple(_entry(index, entry) for index, entry in enumerate(bundle["entry"]))
    slices: dict[str, list[Entry]] = {}
    for entry in entries:
        slices.setdefault(_slice_of(entry), []).append(entry)
    return Submission(
        level=level,
        entries=entries,
        submission_set=slices["SubmissionSet"][0],
        documents=tuple(slices.get("DocumentReference", ())),
        binaries=tuple(slices.get("Binary", ())),
        folders=tuple(slices.get("Folder", ())),
        patches=tuple(slices.get("Parameters", ())),
        fhir_documents=tuple(slices.get("Bundle", ())),
        patient=next(iter(slices.get("Patient", ())), None),
    )


def _entry(index: int, entry: Resource) -> Entry:
    request = entry["request"]
    return Entry(
        index,
        entry.get("fullUrl", ""),
        request["method"],
        request["url"],
        entry["resource"],
        request.get("ifMatch", ""),
        request.get("ifNoneExist", ""),
    )


def _slice_of(entry: Entry) -> str:
    resource_type = str(entry.resource["resourceType"])
    if resource_type != "List":
        return resource_type
    return "Folder" if is_list_of(entry.resource, FOLDER) else "SubmissionSet"


def is_list_of(resource: Resource, code: str) -> bool:
    """Tell whether the List `resource` is of the MHD list type `code`."""
    codings = resource.get("code", {}).get("coding", ())
    return any(coding.get("system") == LIST_TYPES and coding.get("code") == code for coding in codings)
