"""The feed: how a source adds, revises, merges and removes its records.

One transaction finds the record that the key names, changes it, and cross-references it anew. Who feeds the same key or
the same person at the same instant is run again, and sees what the other did.

Spec: ITI-104, 2:3.104.4; PIXM-104-01 to PIXM-104-59.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.fhir.outcome import FhirError, Issue
from app.fhir.reference import parse as parse_reference
from app.fhir.resource import Resource
from app.patient.cross_reference import Moved, locks_of, locks_of_records, relink
from app.patient.derived import OWN, OWN_FIELD, conventions, own_token, replaced_by, survivor_of
from app.patient.documents import follow
from app.patient.fed_patient import is_same
from app.patient.keys import match_keys
from app.patient.record_key import RecordKey, told
from app.patient.vector import match_vector
from app.patient.weighing import parameters_now
from app.store.atomic import Atomic
from app.store.change import Create, Delete, Update
from app.store.record import Kept
from app.transaction import Context


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of a message of a source.

    Attributes:
        created: there was no such record before.
        survivor: id of the record that this one was merged into by the message; empty when it was not.
        survivor_key: system and value under which the survivor is fed; empty when it is not.
        moved: the records whose persons changed (AUD-38).
    """

    kept: Kept
    created: bool
    survivor: str = ""
    survivor_key: tuple[str, str] = ("", "")
    moved: Moved = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: the id of the record, empty when there was none, and those whose persons changed."""

    id: str = ""
    moved: Moved = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A record that a key names, as far as the feed must know it before it reads it."""

    id: str
    state: str
    keys: tuple[int, ...]
    replaced_by: str
    source: str


async def put(
    patient: Resource, key: RecordKey, context: Context, *, if_version: int | None = None, only_create: bool = False
) -> Fed:
    """Keep `patient`, prepared, as the record that `key` names: a new one, or the next version of it.

    Args:
        if_version: the version that the client knows (`If-Match`).
        only_create: leave a record that is there as it is (conditional create).

    Raises:
        FhirError: `multiple-matches`, `conflict` (412); `invalid` (400), `not-supported` (405) for the body's id;
            `not-found`, `business-rule` (422) for a merge; `business-rule` (405) for undoing one.
    """
    parameters = await parameters_now(context.store.facts)
    keys = match_keys(match_vector(patient, conventions(context.domains, context.switches.home_country)))
    new_id = context.new_id()

    names = locks_of_records([key.unique]) | locks_of(keys)

    async def work(atomic: Atomic) -> Fed:
        await atomic.lock(names)
        held = await _held(atomic, key)
        if held and only_create:
            return Fed(await _read(atomic, held.id), created=False)
        _require_id(patient, held, context)
        stored = await _read(atomic, held.id) if held else None
        _require_version(stored, if_version)
        merged = await _merged(atomic, patient, held, key, context)
        _require_no_undoing(merged, held, context)
        record = {**merged, "id": held.id if held else new_id}
        if stored and held and held.source and is_same(record, stored.json):
            return Fed(stored, created=False)
        await atomic.lock(locks_of(held.keys if held else ()))
        (kept,) = await atomic.commit([_change(record, held, key)], context.now())
        moved = await relink(atomic, [record["id"]], parameters, context.now())
        former, survivor = held.replaced_by if held else "", survivor_of(record)
        await follow(atomic, record["id"], former, survivor)
        if survivor == former:
            return Fed(kept, created=held is None, moved=moved)
        return Fed(kept, held is None, survivor, await _key_of(atomic, survivor), moved)

    return await context.store.atomically(work, names)


async def remove(key: RecordKey, context: Context) -> Removed:
    """Remove the record that `key` names, if there is one; persons that it held together fall apart.

    Raises:
        FhirError: `multiple-matches` (412).
    """
    parameters = await parameters_now(context.store.facts)

    names = locks_of_records([key.unique])

    async def work(atomic: Atomic) -> Removed:
        await atomic.lock(names)
        held = await _held(atomic, key)
        if held is None:
            return Removed()
        await atomic.lock(locks_of(held.keys))
        await atomic.commit([Delete("Patient", held.id)], context.now())
        return Removed(held.id, await relink(atomic, [held.id], parameters, context.now()))

    return await context.store.atomically(work, names)


async def _key_of(atomic: Atomic, id: str) -> tuple[str, str]:  # noqa: A002 - FHIR's word
    """Return system and value under which a record is fed; empty texts for one that is not, and for none."""
    found = await atomic.having("Patient", "_id", [id] if id else [], fields=("beside.feed",))
    feed = found[0].get("beside", {}).get("feed", {}) if found else {}
    return feed.get("system", ""), feed.get("value", "")


async def _held(atomic: Atomic, key: RecordKey) -> Held | None:
    """Return the record of the key's source that carries its identifier, or one with it that nobody fed yet.

    Raises:
        FhirError: `multiple-matches` (412).
    """
    token = own_token(key.system, key.value)
    fields = ("derived.keys", "derived.state", "derived.replacedBy", "beside.feed")
    found = [_of(one) for one in await atomic.having("Patient", OWN_FIELD, [token], fields=fields)]
    fed = [one for one in found if one.source == key.domain.source]
    named = fed or [one for one in found if not one.source]
    if len(named) > 1:
        raise told("multiple-matches", f"identifier matches {len(named)} records")
    return named[0] if named else None


def _of(document: Mapping[str, Any]) -> Held:
    derived = document["derived"]
    source = document.get("beside", {}).get("feed", {}).get("source", "")
    keys = tuple(derived.get("keys", ()))
    return Held(document["_id"], derived["state"], keys, derived.get("replacedBy", ""), source)


async def _read(atomic: Atomic, id: str) -> Kept:  # noqa: A002 - FHIR's word
    kept = await atomic.find("Patient", id)
    if kept is None:
        raise FhirError("exception", f"Patient/{id} is in the index and not in the store.")
    return kept


def _change(record: Resource, held: Held | None, key: RecordKey) -> Create | Update:
    feed = fed_under(key)
    if held is None:
        return Create(record, unique=(key.unique,), beside=feed)
    if held.source:
        return Update(record)
    return Update(record, unique=(key.unique,), beside=feed)


def fed_under(key: RecordKey) -> dict[str, Any]:
    """Return what is kept beside a record that a source feeds: who, and under which identifier."""
    return {"feed": {"source": key.domain.source, "system": key.system, "value": key.value}}


def _require_id(patient: Resource, held: Held | None, context: Context) -> None:
    """Refuse an `id` in the body that is not the record's (PIXM-104-10)."""
    sent = patient.get("id")
    if sent is None or context.switches.feed_client_id == "ignore":
        return
    if held is None:
        raise told("not-supported", "a client cannot choose the id of a new Patient; leave out `id`", status=405)
    if sent != held.id:
        raise told("invalid", "the id in the body is not that of the record that the identifier names")


def _require_version(stored: Kept | None, if_version: int | None) -> None:
    """Refuse when the client knows another version than the current one (PIXM-104-12)."""
    if if_version is not None and (stored is None or stored.version != if_version):
        raise told("conflict", "If-Match does not name the current version")


def _require_no_undoing(patient: Resource, held: Held | None, context: Context) -> None:
    """Refuse a merged record that comes without its link (PIXM-104-38)."""
    if held and held.state == "merged" and not replaced_by(patient) and not context.switches.allow_unmerge:
        raise told("business-rule", "a merge is not undone by feeding; the patient was replaced by another", status=405)


async def _merged(atomic: Atomic, patient: Resource, held: Held | None, key: RecordKey, context: Context) -> Resource:
    """Return `patient` with its link to the survivor resolved; one without such a link stays as it is.

    Raises:
        FhirError: `not-found`, `business-rule` (422).
    """
    links = [one for one in patient.get("link", ()) if one.get("type") == "replaced-by"]
    if not links:
        return patient
    if len(links) > 1:
        raise _no_merge("business-rule", "a Patient is replaced by one other at most")
    survivor = await _survivor(atomic, links[0].get("other", {}), key, context)
    if survivor.id == (held.id if held else ""):
        raise _no_merge("business-rule", "a Patient cannot be replaced by itself")
    if survivor.state != "active" and (held is None or held.replaced_by != survivor.id):
        raise _no_merge("business-rule", "the surviving Patient is not active")
    resolved = {**links[0], "other": {**links[0]["other"], "reference": f"Patient/{survivor.id}"}}
    return {**patient, "link": [resolved if one is links[0] else one for one in patient["link"]]}


async def _survivor(atomic: Atomic, other: Mapping[str, Any], key: RecordKey, context: Context) -> Held:
    """Return the record that `link.other` names, of the key's domain (PIXM-104-32)."""
    fields = ("derived.keys", "derived.state", "derived.replacedBy", OWN_FIELD, "beside.feed")
    if identifier := other.get("identifier"):
        if context.domains.find(identifier.get("system", "")) is not key.domain:
            raise _no_merge("business-rule", f"the surviving Patient is not of {key.system}")
        if identifier.get("value") == key.value:
            raise _no_merge("business-rule", "a Patient cannot be replaced by itself")
        tokens = [own_token(key.system, identifier.get("value", ""))]
        found = await atomic.having("Patient", OWN_FIELD, tokens, fields=fields)
    else:
        reference = parse_reference(str(other.get("reference", "")), context.base_url)
        ids = [reference.id] if reference.resource_type == "Patient" and reference.kind == "literal" else []
        found = await atomic.having("Patient", "_id", ids, fields=fields)
        if found and own_token(key.system, "") not in found[0]["index"][OWN]:
            raise _no_merge("business-rule", f"the surviving Patient is not of {key.system}")
    held = [_of(one) for one in found]
    survivors: Sequence[Held] = [one for one in held if one.source in (key.domain.source, "")]
    if len(survivors) != 1:
        raise _no_merge("not-found", "the surviving Patient is not known")
    return survivors[0]


def _no_merge(code: str, sentence: str) -> FhirError:
    return FhirError.of([Issue(code, sentence, "Patient.link", text=sentence)], status=422)
