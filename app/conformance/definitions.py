"""The definitions this server goes by, to read and to search by `url`: what the profile packages brought.

They come from `profiles/` and are the same for everybody; nothing of them is in the database.

Spec: FHIR R4 http.html#read, http.html#search; structuredefinition.html#search; MHD-CM-02.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from app.fhir.bundle import searchset
from app.fhir.outcome import FhirError, Issue, require_none
from app.fhir.packages import Packages
from app.fhir.resource import Resource, to_json
from app.interaction import search_url
from app.transaction import Context, FhirJson, Interaction, RequestMessage, ResponseMessage, Transaction, search_type

TYPES = ("StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "OperationDefinition", "ConceptMap")

# All of them are plain elements: a definition matches when it has one of the values, compared as they are.
SEARCH_PARAMETERS = ("url", "version", "name", "_id")

# Where the next page begins, as a number: the packages do not change while the server runs.
_AFTER = "_after"
_PAGE = 50

# What a link to another page keeps; and with it all names that are known here.
_KEPT = (*SEARCH_PARAMETERS, "_count", "_format", "_pretty")


async def read_definition(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a read of a definition.

    Returns:
        200 and the definition.

    Raises:
        FhirError: `not-found` (404).
    """
    resource_type, wanted = _type_of(message), message.variables["id"]
    for resource in _all(resource_type, context.packages):
        if resource.get("id") == wanted:
            return ResponseMessage(200, resource)
    raise FhirError("not-found", f"`{resource_type}/{wanted}` was not found among the profile packages.")


async def find_definitions(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a search for definitions: `url` with or without `|version`, `version`, `name`, `_id`.

    Returns:
        200 and a Bundle of type searchset.

    Raises:
        FhirError: `value` (400) for a `_count` or page that is no number; `not-supported` (400) for a modifier, and
            for an unknown parameter when the client asked for strict handling.
    """
    resource_type = _type_of(message)
    require_none(_check_names(message))
    asked = [(name, text) for name, text in message.query if name in SEARCH_PARAMETERS and text]
    count, start = _number(message, "_count", _PAGE), _number(message, _AFTER, 0)
    found = [one for one in _all(resource_type, context.packages) if _matches(one, asked)]
    page = islice(found, start, start + count)
    entries = [(f"{resource_type}/{one['id']}", to_json(one)) for one in page]
    sent = [(name, text) for name, text in message.query if name in _KEPT]
    links = {"self": search_url(context, resource_type, sent)}
    if start + count < len(found) and count:
        links["next"] = search_url(context, resource_type, [*sent, (_AFTER, str(start + count))])
    return ResponseMessage(200, FhirJson(searchset(context.base_url, links, len(found), entries)))


def _check_names(message: RequestMessage) -> Iterator[Issue]:
    is_strict = "handling=strict" in message.headers.get("prefer", "")
    for name in dict.fromkeys(name for name, _ in message.query):
        code, _, modifier = name.partition(":")
        if modifier and code in (*_KEPT, _AFTER):
            yield Issue("not-supported", f"Search parameter `{code}`: modifiers are not supported here.")
        elif is_strict and name not in (*_KEPT, _AFTER):
            yield Issue("not-supported", f"Search parameter `{name[:64]}` is not supported for definitions.")


def _all(resource_type: str, packages: Packages) -> Iterator[Resource]:
    yield from packages.all(resource_type)
    if resource_type == "StructureDefinition":
        for name in packages.structures.type_names():
            if base := packages.structure_definition(f"http://hl7.org/fhir/StructureDefinition/{name}"):
                yield base


def _matches(resource: Resource, asked: list[tuple[str, str]]) -> bool:
    return all(any(_is(resource, name, value) for value in text.split(",")) for name, text in asked)


def _is(resource: Resource, name: str, value: str) -> bool:
    if name != "url":
        return resource.get(name.lstrip("_")) == value
    url, _, version = value.partition("|")
    return resource["url"] == url and version in ("", resource.get("version"))


def _number(message: RequestMessage, name: str, default: int) -> int:
    text = next((value for key, value in message.query if key == name and value), str(default))
    if not text.isdecimal():
        raise FhirError("value", f"Search parameter `{name}`: `{text[:32]}` is not a number.")
    return int(text)


def _type_of(message: RequestMessage) -> str:
    return message.url.partition("?")[0].split("/")[0]


def _read(resource_type: str) -> Interaction:
    path = f"{resource_type}/{{id}}"
    return Interaction("read", "GET", path, read_definition, resource_type, f"{resource_type}.r")


DEFINITIONS = Transaction(
    code="",
    name="Definitions",
    client="",
    server="",
    interactions=tuple(
        interaction for name in TYPES for interaction in (*search_type(name, find_definitions), _read(name))
    ),
    search_parameters=dict.fromkeys(TYPES, SEARCH_PARAMETERS),
    documentation="The definitions this server goes by, from its profile packages.",
)
