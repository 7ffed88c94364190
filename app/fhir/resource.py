"""A FHIR resource in memory, and the JSON it came from and becomes.

A resource is the JSON object that FHIR defines, as a plain `dict`. Two things that plain JSON libraries
lose are kept: the text of decimals (`1.10` stays `1.10`), and this server's own base URL, which is never
stored: a URL below it begins with `BASE` in memory and on disk, and is filled in on the way out.

Spec: FHIR R4 json.html; datatypes.html#decimal; http.html#versions.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

Resource = dict[str, Any]

# Stands for `[base]` at the beginning of a URL. U+0000 cannot be part of a FHIR string, so no client can send it.
BASE = "\x00"
_BASE_IN_JSON = b'"\\u0000/'

# A number with a fraction or an exponent, where JSON allows a value. A hit inside a string costs time only.
_DECIMAL = re.compile(rb'(?:"\s*:|[\[,])\s*-?[0-9]+[.eE]')


class DecimalText(Decimal):
    """A decimal that remembers how it was written: `text` is sent back, the value compares as a number."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> DecimalText:
        """Return the decimal that `text` spells in JSON."""
        self = super().__new__(cls, text)
        self.text = text
        return self


def parse_json(body: bytes) -> Any:
    """Return the JSON value in `body`; decimals come as `DecimalText`.

    Raises:
        json.JSONDecodeError: `body` is not JSON in UTF-8; `lineno` and `colno` say where.
    """
    if _DECIMAL.search(body):
        return json.loads(body, parse_float=DecimalText, parse_constant=_refuse_constant)
    return orjson.loads(body)


def to_json(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8."""
    return orjson.dumps(value, default=_decimal)


def fill_in_base(stored: bytes, base_url: str) -> bytes:
    """Return the JSON bytes `stored` with every `BASE` replaced by `base_url`."""
    return (b'"' + base_url.encode() + b"/").join(stored.split(_BASE_IN_JSON))  # faster than `replace` by a third


def instant(moment: datetime) -> str:
    """Return `moment` as a FHIR instant in UTC with milliseconds: `2025-03-04T10:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def etag(version: int | str) -> str:
    """Return the weak ETag of a version: `W/"3"`."""
    return f'W/"{version}"'


def with_meta(resource: Resource, version: int, updated: datetime) -> Resource:
    """Return `resource` with `meta.versionId` and `meta.lastUpdated`; `resourceType`, `id` and `meta` lead."""
    meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": instant(updated)}
    head = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta}
    return head | {name: value for name, value in resource.items() if name not in head}


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(getattr(value, "text", str(value)))
    raise TypeError(f"{type(value).__name__} is not JSON")


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)
