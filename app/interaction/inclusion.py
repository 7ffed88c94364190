"""What matches bring along: the resources they refer to, and those that refer to them.

Spec: FHIR R4 search.html#include, #revinclude.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.fhir.reference import parse as parse_reference
from app.fhir.resource import parse_json
from app.search.criteria import Terms
from app.search.definitions import SearchParameter
from app.search.query import Include, Query
from app.search.query import parse as parse_query
from app.store.resources import Match
from app.transaction import Context

# So many are added to one page; who needs more asks for them.
MOST_INCLUDED = 1000
_MOST_ROUNDS = 4


async def included(matches: Sequence[Match], query: Query, context: Context) -> tuple[Match, ...]:
    """Return what the `_include` and `_revinclude` of `query` add to `matches`, each record once."""
    known = {(one.resource_type, one.id) for one in matches}
    added: list[Match] = []
    wave = list(matches)
    for turn in range(_MOST_ROUNDS):
        asked = [include for include in query.includes if turn == 0 or include.iterate]
        found = [kept for include in asked for kept in await _added(wave, include, context)]
        wave = [kept for kept in found if (kept.resource_type, kept.id) not in known]
        wave = list({(kept.resource_type, kept.id): kept for kept in wave}.values())[: MOST_INCLUDED - len(added)]
        known.update((kept.resource_type, kept.id) for kept in wave)
        added += wave
        if not wave:
            break
    return tuple(added)


async def _added(sources: Sequence[Match], include: Include, context: Context) -> tuple[Match, ...]:
    if include.reverse:
        return await _referring(sources, include, context)
    wanted: dict[str, set[str]] = {}
    for source in sources:
        if source.resource_type == include.resource_type:
            for resource_type, record_id in _targets(source, include, context):
                wanted.setdefault(resource_type, set()).add(record_id)
    found: list[Match] = []
    for resource_type, ids in wanted.items():
        found += await _all(Query(resource_type, Terms("_id", tuple(ids))), context)
    return tuple(found)


def _targets(source: Match, include: Include, context: Context) -> Iterator[tuple[str, str]]:
    """Yield type and id of what `source` refers to by the parameter; only what can be stored here."""
    resource = parse_json(source.json)
    for parameter in _parameters(include, context):
        for value in parameter.extract(resource, resource):
            reference = parse_reference(str(value.get("reference", "")) if isinstance(value, dict) else "")
            if reference.kind == "literal" and include.target in ("", reference.resource_type):
                yield reference.resource_type, reference.id


def _parameters(include: Include, context: Context) -> list[SearchParameter]:
    if include.parameter == "*":
        return [one for one in context.definitions.of(include.resource_type) if one.type == "reference"]
    one = context.definitions.get(include.resource_type, include.parameter)
    return [one] if one else []


async def _referring(sources: Sequence[Match], include: Include, context: Context) -> tuple[Match, ...]:
    names = ",".join(f"{one.resource_type}/{one.id}" for one in sources)
    found: list[Match] = []
    for parameter in _parameters(include, context) if names else ():
        asked = [(parameter.code, names)]
        query = parse_query(context.definitions, include.resource_type, asked, base_url=context.base_url)
        found += await _all(query, context)
    return tuple(found)


async def _all(query: Query, context: Context) -> tuple[Match, ...]:
    page = await context.store.search(
        Query(query.resource_type, query.criterion, count=MOST_INCLUDED, total="none"),
    )
    return page.entries
