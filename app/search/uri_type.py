"""The search type uri: exact, case-sensitive, with `:below` and `:above` along the path of a URL.

A URL of this server itself is indexed and asked without its base. A canonical URL with a version, `url|1.0`,
is found with and without it.

Spec: FHIR R4 search.html#uri; MHD-GEN-24.
"""

from __future__ import annotations

from typing import Any

from app.fhir.reference import relative
from app.search.criteria import Criterion, StartsWith, Terms, any_of
from app.search.definitions import SearchParameter
from app.search.escape import unescape

MODIFIERS = frozenset({"below", "above"})


def index(parameter: SearchParameter, values: list[Any]) -> dict[str, list[Any]]:
    """Return the terms of `values`, which are uri, url, oid, uuid or canonical strings."""
    terms = (term for value in values if isinstance(value, str) for term in _terms(relative(value)))
    return {parameter.code: list(dict.fromkeys(terms))}


def criterion(parameter: SearchParameter, modifier: str, text: str, base_url: str = "") -> Criterion:
    """Return what the value `text`, escapes still in it, asks of `parameter`."""
    uri = relative(unescape(text), base_url)
    if modifier == "below":
        return any_of((Terms(parameter.code, (uri,)), StartsWith(parameter.code, f"{uri.rstrip('/')}/")))
    if modifier == "above":
        return Terms(parameter.code, tuple(_and_above(uri)))
    return Terms(parameter.code, (uri,))


def _terms(uri: str) -> tuple[str, ...]:
    return (uri, uri.partition("|")[0]) if "|" in uri else (uri,)


def _and_above(uri: str) -> list[str]:
    """Return `uri` and the URLs above it: "http://a/b" -> "http://a/b", "http://a"."""
    found = [uri]
    while "/" in uri and not uri.endswith("//"):
        uri = uri.rpartition("/")[0]
        found.append(uri)
    return [each for each in found if each and not each.endswith(("/", ":"))]
