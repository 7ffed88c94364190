"""search-type: a page of matches, what they include, and the links that lead on.

Spec: FHIR R4 http.html#search; search.html#return, #include, #summary, #elements; MHD-66-22, 30, 31, MHD-67-21, 30.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlencode
from uuid import UUID

from app.fhir.bundle import searchset
from app.fhir.outcome import FhirError, Issue, operation_outcome
from app.fhir.resource import fill_in_base, parse_json, to_json
from app.fhir.subset import subset
from app.interaction.concerned import about_found
from app.interaction.inclusion import included
from app.search.page import BEFORE, PARAMETER, Paging, token
from app.search.query import WHOLE_TYPE, Query, Scope, parse
from app.store.resources import Found, Match
from app.transaction import Context, FhirJson, RequestMessage, ResponseMessage


async def search_resources(query: Query, context: Context, warnings: Sequence[Issue] = ()) -> ResponseMessage:
    """Answer a search with the page that `query` asks for.

    Args:
        warnings: what else there is to say about the search.

    Returns:
        200 and a Bundle of type searchset, joined from stored bytes.
    """
    return await answer_with(await context.store.search(query), query, context, warnings)


async def answer_with(
    found: Found, query: Query, context: Context, warnings: Sequence[Issue] = (), also: Sequence[Match] = ()
) -> ResponseMessage:
    """Return 200 and the page `found`, with what its matches include and the links that lead on.

    Args:
        also: what else is added to the page, as if it had been included.
    """
    added = (*also, *(await included(found.entries, query, context) if query.includes else ()))
    links, base_url = _links(query, found, context), context.base_url
    matches, more = (_entries(kept, query, context) for kept in (found.entries, added))
    issues = [*warnings, *_ignored(query)]
    outcome = (f"urn:uuid:{UUID(context.new_id())}", operation_outcome(issues)) if issues else None
    page = searchset(base_url, links, found.total, matches, more, outcome)
    about = about_found((*found.entries, *also), query)
    return ResponseMessage(200, FhirJson(fill_in_base(page, base_url)), about=about)


def _ignored(query: Query) -> Iterator[Issue]:
    """Yield what a client who asked for lenient handling learns of parameters that were ignored (MHD-66-31)."""
    for name in query.ignored:
        text = f"Search parameter `{name[:64]}` is not supported for `{query.resource_type}`, and was ignored."
        yield Issue("not-supported", text, severity="warning")


def _entries(kept: Iterable[Match], query: Query, context: Context) -> list[tuple[str, bytes]]:
    if not query.elements and query.summary in ("", "false", "count"):
        return [(f"{one.resource_type}/{one.id}", one.json) for one in kept]
    return [(f"{one.resource_type}/{one.id}", _reduced(one, query, context)) for one in kept]


def _reduced(kept: Match, query: Query, context: Context) -> bytes:
    return to_json(subset(parse_json(kept.json), query.elements, query.summary, context.packages.structures))


def query_of(
    message: RequestMessage,
    context: Context,
    resource_type: str,
    scope: Scope = WHOLE_TYPE,
    paging: Paging | None = None,
) -> Query:
    """Return what `message` asks of `resource_type`, or of a part of it, on pages as `paging` or the deployment wants.

    With `Prefer: handling=strict` nothing is ignored; only with `handling=lenient` is it told what was.
    """
    handling = message.headers.get("prefer", "")
    query = parse(
        context.definitions,
        resource_type,
        message.query,
        base_url=context.base_url,
        strict="handling=strict" in handling,
        paging=paging or context.paging,
        scope=scope,
    )
    return query if "handling=lenient" in handling or not query.ignored else replace(query, ignored=())


def require_parameters(query: Query, groups: Sequence[Sequence[str]]) -> None:
    """Refuse a search that names no parameter of one of `groups` (MHD-66-04, MHD-67-02, A-07).

    Raises:
        FhirError: `required` (400), `XDSStoredQueryMissingParam`, one issue for each group.
    """
    sent = {name.partition(":")[0] for name, _ in query.applied}
    missing = [group for group in groups if not sent.intersection(group)]
    if missing:
        raise FhirError.of(
            Issue(
                "required",
                "A search needs one of the parameters " + ", ".join(f"`{name}`" for name in group) + "; none came.",
                details="XDSStoredQueryMissingParam",
            )
            for group in missing
        )


def _links(query: Query, found: Found, context: Context) -> dict[str, str]:
    """Return `self`, which says what was understood, and those to other pages when there are any."""
    path = query.resource_type if query.path is None else query.path
    links = {"self": search_url(context, path, query.applied)}
    if query.after or query.before:
        links["first"] = links["self"]
    for relation, name, place in (("previous", BEFORE, found.previous), ("next", PARAMETER, found.next)):
        if place:
            mark = token(place, query.fingerprint, context.paging.key)
            links[relation] = search_url(context, path, (*query.applied, (name, mark)))
    return links


def search_url(context: Context, path: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the absolute URL of a search at `path` below `[base]` with `pairs`."""
    url = f"{context.base_url}/{path}".rstrip("/")
    return f"{url}?{urlencode(pairs, safe=':/,')}" if pairs else url
