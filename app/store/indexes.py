"""The indexes that the search definitions call for.

What narrows a search to few records gets an index: whose it is (`patient`), what it is called (`identifier`), whom
it refers to, a person's name and birth date. What does not (`status`, `type`, `category` …) is always asked along
with one of these and is checked on the records found; an index for each would cost every write more than it saves.

Each index ends in `_id`, descending: in this order results are served, so a page is read from the index in order and
nothing is sorted. MongoDB cannot index two lists together, and terms are lists; so no index has two parameters.
Companions that few records have are indexed for these records alone.

Records of one type are one collection. Sharded, `_id` hashed is the key: searches go to all shards, reads to one.

Spec: architecture, decisions 16 and 18. Own choice: the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo import DESCENDING, IndexModel

from app.search.definitions import Definitions
from app.store.filter import INDEX

# The parameters whose values narrow a search, in whichever types have them; the second row, where few records do.
NARROWING = ("patient", "identifier", "family", "given", "name", "birthdate")
RARE = ("related", "relatesto", "item", "telecom", "author", "source")
# References whose target is also asked for by an identifier alone.
BY_IDENTIFIER = ("patient", "related")

_NEWEST = IndexModel([("updated", DESCENDING), ("_id", DESCENDING)], name="updated")


async def ensure_indexes(database: Any, definitions: Definitions, types: Iterable[str]) -> None:
    """Create the indexes of the resource types `types` in `database` where they are missing."""
    for resource_type in types:
        await database[resource_type].create_indexes(indexes(definitions, resource_type))


def indexes(definitions: Definitions, resource_type: str) -> list[IndexModel]:
    """Return the indexes of a resource type's collection."""
    served = {each.code: each for each in definitions.of(resource_type)}
    fields = {
        code: f"{INDEX}{code}.start" if each.type == "date" else f"{INDEX}{code}" for code, each in served.items()
    }
    return [
        _NEWEST,
        *(_index(code, fields[code]) for code in NARROWING if code in served),
        *(_sparse(code, fields[code]) for code in RARE if code in served),
        *(
            _sparse(f"{code}.identifier", f"{fields[code]}:target.identifier")
            for code in BY_IDENTIFIER
            if code in served
        ),
    ]


def _index(name: str, field: str) -> IndexModel:
    return IndexModel([(field, 1), ("_id", DESCENDING)], name=name)


def _sparse(name: str, field: str) -> IndexModel:
    has_it = {field: {"$exists": True}}
    return IndexModel([(field, 1), ("_id", DESCENDING)], name=name, partialFilterExpression=has_it)
