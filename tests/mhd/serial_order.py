"""The referee of concurrent submissions: is there an order in which, one by one, they would have done the same?

A model of the few rules that make submissions collide, and of nothing else. What it knows only grows (a uniqueId that
is taken stays taken, a document that is superseded stays so), so that whoever was refused may stand at the end of the
order. The order of those that were accepted is read from the versions that they left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise

DUPLICATE, OTHER_HASH = "XDSDuplicateUniqueIdInRegistry", "XDSNonIdenticalHash"
DEPRECATED, METADATA = "XDSRegistryDeprecatedDocumentError", "XDSRepositoryMetadataError"


@dataclass(frozen=True)
class Plan:
    """What one client publishes.

    Attributes:
        number: which one it is; names its DocumentReference.
        set_id, unique_id: uniqueIds of SubmissionSet and document.
        content: the bytes.
        patient: id of a stored patient, or the identifier of one that the submission brings.
        relation, target: `replaces` or `appends`, and the name of a document; both empty for none.
        folder: the Folder that the document is filed in, and what the client knows to be in it; None for none.
    """

    number: int
    set_id: str
    unique_id: str
    content: bytes
    patient: str
    is_new_patient: bool = False
    relation: str = ""
    target: str = ""
    folder: tuple[str, frozenset[str]] | None = None

    @property
    def name(self) -> str:
        """What its DocumentReference is called in the model."""
        return f"document {self.number}"


@dataclass
class State:
    """What is stored, by the names of the model.

    Attributes:
        documents: uniqueId -> the bytes that it stands for.
        superseded: names of documents.
        folders: name -> members.
        patients: identifiers of patients that submissions brought.
        appendices: name of a document -> names of those that append to it, which are superseded with it.
    """

    sets: set[str] = field(default_factory=set)
    documents: dict[str, bytes] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    folders: dict[str, set[str]] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)
    appendices: dict[str, set[str]] = field(default_factory=dict)

    def refusals(self, plan: Plan) -> set[str]:
        """Return the codes with which `plan` may be refused now; empty when it must be accepted."""
        found = set()
        if plan.set_id in self.sets:
            found.add(DUPLICATE)
        if self.documents.get(plan.unique_id, plan.content) != plan.content:
            found.add(OTHER_HASH)
        if plan.target in self.superseded:
            found.add(DEPRECATED)
        if plan.folder and not self.folders[plan.folder[0]] <= plan.folder[1]:
            found.add(METADATA)
        return found

    def publish(self, plan: Plan) -> None:
        """Do what an accepted submission does."""
        self.sets.add(plan.set_id)
        self.documents[plan.unique_id] = plan.content
        if plan.is_new_patient:
            self.patients.add(plan.patient)
        if plan.relation == "replaces":
            self.superseded |= {plan.target, *self.appendices.get(plan.target, ())}
            for members in self.folders.values():
                if plan.target in members:
                    members.add(plan.name)
        if plan.relation == "appends":
            self.appendices.setdefault(plan.target, set()).add(plan.name)
        if plan.folder:
            self.folders[plan.folder[0]] |= {*plan.folder[1], plan.name}


def order_of(accepted: Iterable[Plan], added: Mapping[str, list[str]]) -> list[Plan]:
    """Return an order of the `accepted` that their traces allow; fails when they contradict each other.

    Args:
        added: Folder -> names of the documents that it gained, in the order of its versions.
    """
    by_name = {plan.name: plan for plan in accepted}
    before: dict[str, set[str]] = {name: set() for name in by_name}
    replacer = {plan.target: plan.name for plan in by_name.values() if plan.relation == "replaces"}
    for plan in by_name.values():
        if plan.relation == "appends" and plan.target in replacer:
            before[replacer[plan.target]].add(plan.name)
    for gained in added.values():
        for earlier, later in pairwise(gained):
            before[later].add(earlier)
    return [by_name[name] for name in TopologicalSorter(before).static_order()]
