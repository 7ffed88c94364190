"""search-system: one search over several resource types, with the parameters that all of them have.

Results of all types come in one order: newest first, or as `_sort` says with `_id` and `_lastUpdated`, which every
record has. A page is taken from the pages of the types, and the next one begins in all of them behind its last result.

Spec: FHIR R4 http.html#search, search.html#all; MHD-CS-04, A-18.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.fhir.outcome import FhirError
from app.fhir.resource import parse_json
from app.interaction.search import query_of
from app.search.definitions import RECORD_PARAMETERS
from app.search.page import Position
from app.search.query import Query, Scope
from app.store.resources import Found, Match
from app.transaction import Context, Handler, Interaction, RequestMessage, ResponseMessage, Transaction

TYPE = "_type"


def handing_over(transactions: Iterable[Transaction], handlers: Mapping[str, Handler]) -> tuple[Transaction, ...]:
    """Return `transactions` in which a search of the whole system for one type alone goes to that type's handler.

    Args:
        handlers: type -> what answers a search for it; other searches are answered as before.
    """
    return tuple(
        replace(each, interactions=tuple(_handing_over(one, handlers) for one in each.interactions))
        for each in transactions
    )


def _handing_over(interaction: Interaction, handlers: Mapping[str, Handler]) -> Interaction:
    if interaction.code != "search-system":
        return interaction

    async def handle(message: RequestMessage, context: Context) -> ResponseMessage:
        """Answer a search of the whole system, by the handler of its type."""
        types = {name.strip() for key, text in message.query if key == TYPE for name in text.split(",")}
        handler = handlers.get(next(iter(types))) if len(types) == 1 else None
        return await (handler or interaction.handle)(message, context)

    return replace(interaction, handle=handle)


def asked_types(message: RequestMessage, offered: Sequence[str], alone: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the types that `_type` names.

    Args:
        alone: types that others answer for, each by itself; named for who asks for them in the wrong company.

    Raises:
        FhirError: `required` (400) when it is missing, `not-supported` (400) for a type that is not offered.
    """
    named = [name.strip() for key, text in message.query if key == TYPE for name in text.split(",") if name.strip()]
    known = ", ".join(f"`{name}`" for name in offered)
    known += "".join(f", or `{name}` alone" for name in alone)
    if not named:
        raise FhirError("required", f"A search of the whole system needs `{TYPE}`: one or more of {known}.")
    for name in named:
        if name not in offered:
            text = f"Search parameter `{TYPE}`: `{name[:64]}` cannot be searched here; expected one or more of {known}."
            raise FhirError("not-supported", text)
    return tuple(dict.fromkeys(named))


def queries_of(
    messages: Sequence[tuple[str, RequestMessage]], context: Context, without: Sequence[str] = ()
) -> list[Query]:
    """Return one query for each type, with the same parameters: those that all types have.

    Args:
        messages: pairs of a type and what is asked of it.
        without: names of parameters that are not known here.
    """
    hidden = {*without, *(() if all(_is_common(pair) for pair in messages[0][1].query) else ("_sort",))}
    bare = [(name, replace(message, headers={"prefer": "handling=lenient"})) for name, message in messages]
    for name, message in bare:
        hidden.update(query_of(message, context, name, Scope("", without=hidden)).ignored)
    return [query_of(message, context, name, Scope("", without=hidden)) for name, message in messages]


async def search_types(queries: Sequence[Query], context: Context) -> Found:
    """Return the page that `queries`, one for each type, ask for together."""
    pages = await asyncio.gather(*(context.store.search(query) for query in queries))
    query = queries[0]
    found = sorted((one for page in pages for one in page.entries), key=lambda one: one.id, reverse=True)
    for key in reversed(query.sort):
        found.sort(key=lambda one: _value(one, key.parameter), reverse=key.descending)
    shown = tuple(found[: query.count])
    is_last = not shown or (len(shown) == len(found) and not any(page.next for page in pages))
    totals = [page.total for page in pages if page.total is not None]
    return Found(
        shown,
        sum(totals) if len(totals) == len(pages) else None,
        None if is_last else Position(tuple(_value(shown[-1], key.parameter) for key in query.sort), shown[-1].id),
    )


def _is_common(pair: tuple[str, str]) -> bool:
    """Tell whether a `_sort` names only what every record has; other parameters are none of its business."""
    name, text = pair
    return name != "_sort" or {key.strip().removeprefix("-") for key in text.split(",")} <= set(RECORD_PARAMETERS)


def _value(match: Match, parameter: str) -> str | datetime:
    if parameter == "_id":
        return match.id
    return datetime.fromisoformat(parse_json(match.json)["meta"]["lastUpdated"])
