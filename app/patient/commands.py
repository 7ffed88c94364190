"""`python -m app patients …`: what an administrator does with the patient index, whether the server runs or not.

Spec: MAT-10, MAT-23, MAT-43, MAT-63, MAT-64, MAT-66; PIXM-XREF-01, PIXM-XREF-02.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from getpass import getuser
from pathlib import Path

import orjson

from app.fhir.outcome import FhirError
from app.patient.bulk.link import link
from app.patient.bulk.load import load
from app.patient.completeness import completeness
from app.patient.cross_reference import locks_of, relink
from app.patient.parameter_sets import activate, try_out
from app.patient.persons import everybody
from app.patient.review import Decided, Verdict, cases, decide, decisions_of, explain, undo
from app.patient.weighing import forget, parameters_now
from app.store.atomic import Atomic
from app.store.change import KeyTaken
from app.transaction import Context

# Command -> what it says of a pair.
VERDICTS: dict[str, Verdict] = {"link": "same", "unlink": "different", "later": "later"}

TEXTS = {
    "review": "list the pairs that wait for a decision, the weightiest first",
    "link": "say that two records are the same person",
    "unlink": "say that two records are different persons",
    "later": "put a pair off: it is listed no more, and nothing is decided",
    "undo": "let a decision hold no longer; everything is as it was without it",
    "explain": "show why two records are one person, or are not, and what was decided",
    "person": "show all records of the person that a record belongs to",
    "rebuild-keys": "compute keys anew and compare all records again, beside a running server",
    "load": "load people who never were, for trials: validated, indexed and cross-referenced as if they had been fed",
    "link-all": "compare all records and make persons anew, in several processes; nobody may feed meanwhile",
    "completeness": "tell how many pairs of one person are found by one kind of blocking key alone",
    "try-weights": "keep a learned parameter set, and tell which grades it would change in the traffic of a day",
    "use-weights": "use a parameter set that was tried, from now on",
}

_BATCH = 500


def add_commands(parser: ArgumentParser) -> None:
    """Add the commands to `parser`; each takes `--data`, the folder of the private mongod."""
    commands = parser.add_subparsers(dest="action", required=True)
    for name, text in TEXTS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--data", help="folder of the private mongod")
        if name in (*VERDICTS, "explain"):
            command.add_argument("records", nargs=2, metavar="PATIENT", help="Patient/ID or an id")
        if name == "person":
            command.add_argument("record", metavar="PATIENT", help="Patient/ID or an id")
        if name == "undo":
            command.add_argument("decision", help="id of the decision")
        if name in (*VERDICTS, "undo"):
            command.add_argument("--reason", required=True, help="why; it is kept with the decision")
            command.add_argument("--author", default=getuser(), help="who decides; the user of this machine")
        if name == "review":
            command.add_argument("--limit", type=int, default=100, help="at most so many")
        if name in ("load", "link-all"):
            command.add_argument("--workers", type=_positive, default=_cpus(), help="processes; one for each processor")
        _add_for_weights(name, command)
        if name == "load":
            command.add_argument("--count", type=_positive, required=True, help="records of this seed in the end")
            command.add_argument("--seed", type=_positive, default=1, help="the same seed, the same people")


def _add_for_weights(name: str, command: ArgumentParser) -> None:
    if name == "try-weights":
        command.add_argument("file", type=Path, metavar="SET.json", help="what `python -m app.patient estimate` prints")
        command.add_argument("--hours", type=_positive, default=24, help="how far back the traffic begins")
        command.add_argument("--author", default=getuser(), help="who tries it")
    if name == "use-weights":
        command.add_argument("version", help="of the set")
        command.add_argument("--reason", required=True, help="why; it is kept")
        command.add_argument("--author", default=getuser(), help="who decides")


def _positive(text: str) -> int:
    if not (number := int(text)) > 0:
        raise ValueError(text)
    return number


def _cpus() -> int:
    return os.cpu_count() or 1


async def run(options: Namespace, context: Context) -> AsyncIterator[str]:
    """Carry out the command that `options` name; yields the lines that it prints.

    Raises:
        FhirError: it cannot be done, and why.
    """
    action = options.action
    if action in _LONG:
        try:
            async for line in _LONG[action](options, context):
                yield line
        except (ValueError, OSError) as error:
            raise FhirError("invalid", str(error)) from error
    elif action in VERDICTS:
        decided = await decide(options.records, VERDICTS[action], options.author, options.reason, context)
        yield _told(decided)
    elif action == "undo":
        yield _told(await undo(options.decision, options.author, options.reason, context))
    else:
        for line in await _shown(options, context):
            yield line


async def _shown(options: Namespace, context: Context) -> list[str]:
    if options.action == "review":
        found = await cases(context.store.facts, options.limit)
        return [f"{one.a}  {one.b}  {one.kind}  {one.grade}  {one.weight:+.1f}" for one in found] or [
            "nothing to review"
        ]
    if options.action == "explain":
        return await _explained(options.records, context)
    record = options.record.removeprefix("Patient/")
    lines = [f"Patient/{one}" for one in await everybody(context.store.facts, [record])]
    return [*lines, *map(_told, await decisions_of(context.store.facts, [record]))]


async def _explained(records: list[str], context: Context) -> list[str]:
    told = await explain(records, context)
    lines = [f"{part['bits']:+7.2f}  {part['field']}: {part['level']}" for part in told["parts"]]
    sums = f"{told['weight']:+7.2f}  {told['grade']} (parameters {told['parameters']}, population {told['population']})"
    return [*lines, sums, f"same person: {'yes' if told['same_person'] else 'no'}", *map(_told, told["decisions"])]


def _told(decided: Decided) -> str:
    undone = decided.undone
    end = f"; undone by {undone['author']}: {undone['reason']}" if undone else ""
    a, b = decided.ends
    return f"{decided.id}  {a} and {b}: {decided.verdict}, by {decided.author}: {decided.reason}{end}"


async def _load(options: Namespace, context: Context) -> AsyncIterator[str]:
    try:
        done = await load(options.count, options.seed, options.workers, context)
    except KeyTaken as error:
        raise FhirError("duplicate", f"Another record holds {error.key}; nothing was loaded over it.") from error
    yield f"{done.written} of {done.count} records written, {done.rate:,.0f} a second; the others were there"
    async for line in _link_all(options, context):
        yield line


async def _link_all(options: Namespace, context: Context) -> AsyncIterator[str]:
    done = await link(options.workers, context)
    yield f"{done.records} records compared, {done.rate:,.0f} a second: {done.edges} pairs kept, {done.persons} persons"


async def _completeness(options: Namespace, context: Context) -> AsyncIterator[str]:
    found = await completeness(context.store.facts)
    for kind, count in sorted(found.alone.items(), key=lambda one: -one[1]):
        yield f"{kind}: {count}{'  ALARM: a single point of failure' if kind in found.alarming else ''}"
    yield f"{found.pairs} pairs of one person; {found.share:.2%} are found by one kind of key alone"


async def _try_weights(options: Namespace, context: Context) -> AsyncIterator[str]:
    since, now = context.now() - timedelta(hours=options.hours), await parameters_now(context.store.facts)
    tried = await try_out(orjson.loads(options.file.read_bytes()), since, now, options.author, context)
    for old, new, count in tried.changes:
        yield f"{old} -> {new}: {count}"
    yield f"{tried.version}: {tried.records} records, {tried.pairs} pairs; not in use before `use-weights`"


async def _use_weights(options: Namespace, context: Context) -> AsyncIterator[str]:
    await activate(options.version, options.author, options.reason, context)
    forget(context.store.facts)
    yield f"{options.version} weighs from now on; `link-all` or `rebuild-keys` weighs anew what was compared before"


async def _rebuild(options: Namespace, context: Context) -> AsyncIterator[str]:
    async for line in rebuild_keys(context):
        yield line


_LONG: dict[str, Callable[[Namespace, Context], AsyncIterator[str]]] = {
    "load": _load,
    "link-all": _link_all,
    "completeness": _completeness,
    "try-weights": _try_weights,
    "use-weights": _use_weights,
    "rebuild-keys": _rebuild,
}


async def rebuild_keys(context: Context) -> AsyncIterator[str]:
    """Compute the keys of all records anew, and compare each record again with those that resemble it (MAT-10, MAT-66).

    Record by record, each in its transaction; so it may run beside a server, and be repeated.
    """
    async for progress in context.store.reindex(["Patient"]):
        yield f"keys: {progress.read} records read, {progress.changed} changed"
    last, done = "", 0
    while batch := await context.store.facts.after("Patient", last, _BATCH, fields=("derived.keys",)):
        for one in batch:
            await _compare(one["_id"], one.get("derived", {}).get("keys", ()), context)
        last, done = batch[-1]["_id"], done + len(batch)
        yield f"compared: {done} records"


async def _compare(record: str, keys: tuple[int, ...], context: Context) -> None:
    parameters = await parameters_now(context.store.facts)

    async def work(atomic: Atomic) -> None:
        await atomic.lock(locks_of(keys))
        await relink(atomic, [record], parameters, context.now())

    await context.store.atomically(work)
