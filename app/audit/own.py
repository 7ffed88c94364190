"""What the server tells of itself and its operators: start, stop, commands, retention, writes that were recovered.

Spec: AUD-02; DICOM PS3.15 A.5.3.1 (Application Activity) for start and stop; docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.audit import agents, codes, entities
from app.audit.settings import AuditSettings
from app.fhir.resource import Resource, instant
from app.store.written import Written

AUDIT_LOG_USED = codes.coding(codes.DCM, "110101", "Audit Log Used")
PRUNED = codes.coding(codes.LIFECYCLE, "destroy", "Destroy/Delete Record Lifecycle Event")

SUCCESS = "0"


def started(settings: AuditSettings, now: datetime, worker: str) -> Resource:
    """Return the event of the start of a process."""
    return _own(settings, now, codes.APPLICATION_ACTIVITY, codes.APPLICATION_START, _process(worker))


def stopped(settings: AuditSettings, now: datetime, worker: str) -> Resource:
    """Return the event of the end of a process that ends in order."""
    return _own(settings, now, codes.APPLICATION_ACTIVITY, codes.APPLICATION_STOP, _process(worker))


def pruned(settings: AuditSettings, now: datetime, number: int, before: datetime) -> Resource:
    """Return the event of the removal of `number` events that were older than a moment."""
    details = (("removed", str(number)), ("before", instant(before)))
    what = {"display": "audit log"}
    return _own(settings, now, AUDIT_LOG_USED, PRUNED, [entities.data(what, codes.JOB, details)], action="D")


@dataclass(frozen=True, slots=True)
class Command:
    """A command on the command line.

    Attributes:
        words: without what it was told: `patients link`.
        by: account of the operator.
        reason: as the operator gave it.
        data: names of the records that it changed, `DocumentReference/1`.
        patients: names of the Patients whose records these are.
    """

    words: str
    by: str
    reason: str = ""
    data: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()


def administered(settings: AuditSettings, now: datetime, command: Command) -> Resource:
    """Return the event of a command on the command line."""
    details = (("command", command.words), *((("reason", command.reason),) if command.reason else ()))
    found = [entities.data({"reference": each}, codes.DOMAIN_RESOURCE, details) for each in command.data]
    found = found or [entities.data({"display": command.words}, codes.JOB, details)]
    found += [entities.patient({"reference": each}) for each in command.patients]
    subtype = codes.coding(codes.INTERACTION, "update", "update")
    made = _own(settings, now, codes.APPLICATION_ACTIVITY, subtype, found, action="U")
    operator = {"type": codes.concept(codes.AUTHOR), "who": {"identifier": {"value": command.by}}, "requestor": True}
    return {**made, "agent": [operator, *made["agent"]]}


def recovered(settings: AuditSettings, written: Written) -> Resource:
    """Return the event of a write whose own event was lost with the process that would have told of it.

    Who wrote is not known any more; what was written is, and when.
    """
    done, action = _done(written)
    subtype = codes.coding(codes.INTERACTION, done, done)
    found = [entities.patient({"reference": each}) for each in written.patients]
    found.append(entities.data({"reference": written.reference}, codes.DOMAIN_RESOURCE))
    made = _own(settings, written.updated, codes.REST, subtype, found, action=action)
    return {**made, "outcomeDesc": "The process ended before it could tell who wrote this; it was found afterwards."}


def _done(written: Written) -> tuple[str, str]:
    if written.is_deletion:
        return "delete", "D"
    return ("create", "C") if written.version == 1 else ("update", "U")


def _own(
    settings: AuditSettings,
    now: datetime,
    kind: Resource,
    subtype: Resource,
    found: Sequence[Resource],
    *,
    action: str = "E",
) -> Resource:
    source = {"observer": agents.observer(settings), "type": [codes.APPLICATION_SERVER]}
    return {
        "resourceType": "AuditEvent",
        "type": kind,
        "subtype": [subtype],
        "action": action,
        "recorded": instant(now),
        "outcome": SUCCESS,
        "agent": [agents.server(settings, codes.APPLICATION)],
        "source": {"site": settings.site, **source} if settings.site else source,
        "entity": list(found),
    }


def _process(worker: str) -> list[Resource]:
    return [entities.data({"identifier": {"value": worker}}, codes.JOB)]
