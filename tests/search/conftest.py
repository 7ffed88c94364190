"""Search without a store: a resource, a query, and whether the one meets the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from app.fhir.resource import Resource
from app.search import criteria
from app.search.criteria import Criterion
from app.search.definitions import Definitions
from app.search.index import index
from app.search.query import parse

BASE_URL = "https://here.example/fhir"

Finds = Callable[[Resource, str], bool]


@pytest.fixture
def finds(definitions: Definitions) -> Finds:
    """Tell whether a resource is found by a query, `name=value&name=value`, decoded."""

    def ask(resource: Resource, query: str) -> bool:
        pairs = [(name, text) for name, _, text in (pair.partition("=") for pair in query.split("&"))]
        asked = parse(definitions, resource["resourceType"], pairs, base_url=BASE_URL, strict=True)
        return meets(index(definitions, resource), asked.criterion)

    return ask


def meets(terms: dict[str, Any], criterion: Criterion) -> bool:
    """Tell whether `terms` meet `criterion`, as the docstrings of the criteria say; links lead nowhere."""
    match criterion:
        case criteria.Terms(parameter, values):
            return any(term in values for term in terms.get(parameter, ()))
        case criteria.StartsWith(parameter, text):
            return any(term.startswith(text) for term in terms.get(parameter, ()))
        case criteria.Substring(parameter, text):
            return any(text in term.partition("\x1f")[0] for term in terms.get(parameter, ()))
        case criteria.Interval(parameter, operator, start, end):
            stored = ((each["start"], each["end"]) for each in terms.get(parameter, ()))
            return any(_stands(begins, ends, operator, start, end) for begins, ends in stored)
        case criteria.Missing(parameter, missing):
            return (parameter not in terms) == missing
        case criteria.Embedded(parameter, below):
            return any(meets(target, below) for target in terms.get(f"{parameter}:target", ()))
        case criteria.Linked():
            return False
        case criteria.Not(below):
            return not meets(terms, below)
        case criteria.All(each):
            return all(meets(terms, one) for one in each)
        case criteria.Any(each):
            return any(meets(terms, one) for one in each)


def _stands(begins: datetime, ends: datetime, operator: str, start: datetime, end: datetime) -> bool:
    is_equal = start <= begins and ends <= end
    return {
        "eq": is_equal,
        "ne": not is_equal,
        "gt": ends > end,
        "lt": begins < start,
        "ge": ends > end or is_equal,
        "le": begins < start or is_equal,
        "sa": begins >= end,
        "eb": ends <= start,
        "ap": begins < end and ends > start,
    }[operator]
