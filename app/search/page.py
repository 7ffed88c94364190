"""Where the next page begins, as an opaque token.

A page ends with a record; the next one begins behind that record's sort values and id, however many records were
added or removed meanwhile. The token carries these and a fingerprint of the query, and is signed: a token that was
altered, or that belongs to another query, is refused.

Spec: FHIR R4 http.html#paging; MHD-66-22, MHD-67-21. Own choice: form of the token.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from app.fhir.outcome import FhirError

# The parameter that carries the token.
PARAMETER = "_after"
# The same for a page that ends before a position.
BEFORE = "_before"

_SIGNATURE_BYTES = 16
_TIME = "$time"


@dataclass(frozen=True, slots=True)
class Paging:
    """A deployment's choices about pages.

    Attributes:
        key: signs page tokens; all workers must share it. Without one the signature only guards against accidents.
        default_count, max_count: results on a page.
    """

    key: bytes = b""
    default_count: int = 50
    max_count: int = 1_000


@dataclass(frozen=True, slots=True)
class Position:
    """The last record of a page.

    Attributes:
        values: its values of the sort keys, in their order; None where it has none.
        id: its logical id.
    """

    values: tuple[str | datetime | None, ...]
    id: str


def fingerprint(resource_type: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a short text that differs for queries that ask or sort differently."""
    return blake2b(repr((resource_type, sorted(pairs))).encode(), digest_size=12).hexdigest()


def token(position: Position, of_query: str, key: bytes = b"") -> str:
    """Return the token of `position` in the query with the fingerprint `of_query`, signed with `key`.

    A token shows its values to who decodes it; they are those of a record that its owner was just shown.
    """
    values = [{_TIME: each.isoformat()} if isinstance(each, datetime) else each for each in position.values]
    body = orjson.dumps([values, position.id])
    return urlsafe_b64encode(_signature(body, of_query, key) + body).decode().rstrip("=")


def position(text: str, of_query: str, key: bytes = b"") -> Position:
    """Return the position that the token `text` stands for.

    Raises:
        FhirError: `invalid` (400) when it is not a token of this server, or belongs to another query.
    """
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(body, of_query, key)):
            raise ValueError("signature")
        values, record_id = orjson.loads(body)
    except ValueError:
        message = "The page token in the URL does not belong to this query. Begin at the first page."
        raise FhirError("invalid", message) from None
    return Position(tuple(_value(each) for each in values), record_id)


def _signature(body: bytes, of_query: str, key: bytes) -> bytes:
    return hmac.digest(key, of_query.encode() + b"\0" + body, "sha256")[:_SIGNATURE_BYTES]


def _value(value: Any) -> str | datetime | None:
    return datetime.fromisoformat(value[_TIME]) if isinstance(value, dict) else value
