"""Chains to stored resources: turned into plain references before a filter is made.

Spec: FHIR R4 search.html#chaining; MHD-GEN-25.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Sequence

from app.fhir.outcome import FhirError
from app.search.criteria import NOTHING, All, Any, Criterion, Embedded, Linked, Not, Terms, all_of, any_of

# (resource type, criterion, limit) -> the ids of at most so many records that meet it.
FindIds = Callable[[str, Criterion, int], Awaitable[Sequence[str]]]

# (resource type, ids) -> these and the others that are the same: records of one person.
Kin = Callable[[str, Sequence[str]], Awaitable[Sequence[str]]]

# How many targets a chain may find before it costs more than a search should.
MAX_LINKED = 1_000


async def _nobody_else(resource_type: str, ids: Sequence[str]) -> Sequence[str]:
    return ids


async def resolve_links(criterion: Criterion, find_ids: FindIds, kin: Kin = _nobody_else) -> Criterion:
    """Return `criterion` with each link turned into references to the stored resources that meet its criterion.

    Args:
        kin: who else is meant by those whom a link names by identifier: the other numbers of one person.

    Raises:
        FhirError: `too-costly` (400) when a link is met by more than `MAX_LINKED` resources.
    """
    return await _resolve(criterion, find_ids, kin) if has_link(criterion) else criterion


def has_link(criterion: Criterion) -> bool:
    """Whether there is a chain to stored resources in `criterion`."""
    match criterion:
        case All(criteria) | Any(criteria):
            return any(map(has_link, criteria))
        case Not(below) | Embedded(_, below):
            return has_link(below)
        case _:
            return isinstance(criterion, Linked)


async def _resolve(criterion: Criterion, find_ids: FindIds, kin: Kin) -> Criterion:
    match criterion:
        case Linked():
            return await _resolve_link(criterion, find_ids, kin)
        case All(criteria):
            return all_of(await gather(*(resolve_links(each, find_ids, kin) for each in criteria)))
        case Any(criteria):
            return any_of(await gather(*(resolve_links(each, find_ids, kin) for each in criteria)))
        case Not(below):
            return Not(await resolve_links(below, find_ids, kin))
        case Embedded(parameter, below):
            resolved = await resolve_links(below, find_ids, kin)
            return NOTHING if resolved == NOTHING else Embedded(parameter, resolved)
        case _:
            return criterion


async def _resolve_link(link: Linked, find_ids: FindIds, kin: Kin) -> Criterion:
    below = await resolve_links(link.criterion, find_ids, kin)
    ids = await find_ids(link.resource_type, below, MAX_LINKED + 1) if below != NOTHING else ()
    if len(ids) > MAX_LINKED:
        message = (
            f"More than {MAX_LINKED} resources of type `{link.resource_type}` match the chain on `{link.parameter}`."
        )
        raise FhirError("too-costly", f"{message} Ask for less.")
    if ids and _names(below):
        ids = await kin(link.resource_type, ids)
    return Terms(link.parameter, tuple(f"{link.resource_type}/{each}" for each in ids)) if ids else NOTHING


def _names(criterion: Criterion) -> bool:
    """Tell whether `criterion` asks for somebody by an identifier."""
    if isinstance(criterion, All):
        return any(map(_names, criterion.criteria))
    return isinstance(criterion, Terms) and criterion.parameter == "identifier"
