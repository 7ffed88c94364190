"""R4's invariants that nearly every resource meets on its way, written in Python.

The key is the published expression without spaces, so that a package which brings the same key with another
expression gets its own. Three differ from the published text, on purpose: bdl-8, which is false without a
fullUrl; ext-1 and ele-1, which other engines get wrong. ele-1 and ref-1 are part of the structure itself
(`structure.py`, `references.py`) and always hold here; so do txt-1 and txt-2 (`narrative.py`).

Spec: FHIR R4, section Constraints of each type's page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.fhir.path_values import compare_dates
from app.validation.place import Place

Holds = Callable[[Any, Place], bool]


def _always(value: Any, place: Place) -> bool:
    return True


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []


def _extension(value: Any, place: Place) -> bool:
    has_value = any(key.startswith(("value", "_value")) for key in value)
    return ("extension" in value) is not has_value


def _period(value: Any, place: Place) -> bool:
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    order = compare_dates(start, end)
    return order is None or order <= 0


def _no_nested_contained(value: Any, place: Place) -> bool:
    return not any("contained" in each for each in _dicts(value.get("contained")))


def _metas(value: Any) -> Iterator[dict[str, Any]]:
    return (each["meta"] for each in _dicts(value.get("contained")) if isinstance(each.get("meta"), dict))


def _no_contained_versions(value: Any, place: Place) -> bool:
    return not any("versionId" in meta or "lastUpdated" in meta for meta in _metas(value))


def _no_contained_security(value: Any, place: Place) -> bool:
    return not any("security" in meta for meta in _metas(value))


def _contained_is_referenced(value: Any, place: Place) -> bool:
    """dom-3: every contained resource is named from the container, or names the container by `#`."""
    # References were met on the way here; a `#id` may also stand in a uri, for which all has to be searched.
    unused = [each for each in _dicts(value.get("contained")) if f"#{each.get('id')}" not in place.local_names]
    if not unused:
        return True
    names: set[str] = set()
    _collect_local_names(value, names)
    return all(f"#{each.get('id')}" in names or _names_container(each) for each in unused)


def _names_container(resource: dict[str, Any]) -> bool:
    names: set[str] = set()
    _collect_local_names(resource, names)
    return "#" in names


def _collect_local_names(value: Any, names: set[str]) -> None:
    """Add every string below that begins with `#`; as published, it need not stand in a Reference."""
    for item in value.values() if type(value) is dict else value:
        if type(item) is str:
            if item[:1] == "#":
                names.add(item)
        elif type(item) is dict or type(item) is list:
            _collect_local_names(item, names)


def _entries(value: Any) -> list[dict[str, Any]]:
    return _dicts(value.get("entry"))


def _type_is(value: Any, *types: str) -> bool:
    return value.get("type") in types


def _distinct_full_urls(value: Any, place: Place) -> bool:
    if _type_is(value, "history"):
        return True
    names = [(str(e["fullUrl"]), _version(e.get("resource"))) for e in _entries(value) if "fullUrl" in e]
    return len(names) == len(set(names))


def _version(resource: Any) -> str:
    meta = resource.get("meta") if isinstance(resource, dict) else None
    return str(meta.get("versionId", "")) if isinstance(meta, dict) else ""


def _requests(value: Any, place: Place) -> bool:
    expected = _type_is(value, "batch", "transaction", "history")
    return all(("request" in entry) is expected for entry in _entries(value))


def _responses(value: Any, place: Place) -> bool:
    expected = _type_is(value, "batch-response", "transaction-response", "history")
    return all(("response" in entry) is expected for entry in _entries(value))


def _document_identifier(value: Any, place: Place) -> bool:
    identifier = value.get("identifier")
    named = isinstance(identifier, dict) and "system" in identifier and "value" in identifier
    return named or not _type_is(value, "document")


def _first_is(kind: str, bundle_type: str) -> Holds:
    def holds(value: Any, place: Place) -> bool:
        first = next(iter(_entries(value)), {}).get("resource")
        is_kind = isinstance(first, dict) and first.get("resourceType") == kind
        return is_kind or not _type_is(value, bundle_type)

    return holds


def _full_url(value: Any, place: Place) -> bool:
    return "/_history/" not in str(value.get("fullUrl", ""))


def _parameter(value: Any, place: Place) -> bool:
    has_value = any(key.startswith(("value", "_value")) for key in value)
    return ("part" in value) + has_value + ("resource" in value) == 1


def _any_of(*names: str) -> Holds:
    return lambda value, place: any(name in value for name in names)


def _never_both(one: str, other: str) -> Holds:
    return lambda value, place: one not in value or other not in value


def _implied(one: str, other: str) -> Holds:
    return lambda value, place: one not in value or other in value


_HOT: dict[str, Holds] = {
    "hasValue() or (children().count() > id.count())": _always,
    "extension.exists() != value.exists()": _extension,
    "start.hasValue().not() or end.hasValue().not() or (start <= end)": _period,
    "reference.startsWith('#').not() or (reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids'))": _always,  # noqa: E501
    "htmlChecks()": _always,
    "contained.contained.empty()": _no_nested_contained,
    "contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()": _no_contained_versions,
    "contained.meta.security.empty()": _no_contained_security,
    "contained.where((('#'+id in (%resource.descendants().reference | %resource.descendants().as(canonical) | %resource.descendants().as(uri) | %resource.descendants().as(url))) or descendants().where(reference = '#').exists() or descendants().where(as(canonical) = '#').exists() or descendants().where(as(canonical) = '#').exists()).not()).trace('unmatched', id).empty()": _contained_is_referenced,  # noqa: E501
    # dom-6 is a recommendation (best practice), which a document reference of a machine never follows.
    "text.`div`.exists()": _always,
    "total.empty() or (type = 'searchset') or (type = 'history')": lambda value, place: (
        "total" not in value or _type_is(value, "searchset", "history")
    ),
    "entry.search.empty() or (type = 'searchset')": lambda value, place: (
        _type_is(value, "searchset") or not any("search" in entry for entry in _entries(value))
    ),
    "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or %resource.type = 'history'))": _requests,  # noqa: E501
    "entry.all(response.exists() = (%resource.type = 'batch-response' or %resource.type = 'transaction-response' or %resource.type = 'history'))": _responses,  # noqa: E501
    "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()": _distinct_full_urls,  # noqa: E501
    "type = 'document' implies (identifier.system.exists() and identifier.value.exists())": _document_identifier,
    "type = 'document' implies (timestamp.hasValue())": lambda value, place: (
        "timestamp" in value or not _type_is(value, "document")
    ),
    "type = 'document' implies entry.first().resource.is(Composition)": _first_is("Composition", "document"),
    "type = 'message' implies entry.first().resource.is(MessageHeader)": _first_is("MessageHeader", "message"),
    "fullUrl.contains('/_history/').not()": _full_url,
    "resource.exists() or request.exists() or response.exists()": _any_of("resource", "request", "response"),
    "(part.exists() and value.empty() and resource.empty()) or (part.empty() and (value.exists() xor resource.exists()))": _parameter,  # noqa: E501
    "name.exists() or telecom.exists() or address.exists() or organization.exists()": _any_of(
        "name", "telecom", "address", "organization"
    ),
    "data.empty() or contentType.exists()": _implied("data", "contentType"),
    "value.empty() or system.exists()": _implied("value", "system"),
    "code.empty() or system.exists()": _implied("code", "system"),
    "emptyReason.empty() or entry.empty()": _never_both("emptyReason", "entry"),
    "name.empty() or query.empty()": _never_both("name", "query"),
}
HOT: dict[str, Holds] = {"".join(expression.split()): holds for expression, holds in _HOT.items()}
