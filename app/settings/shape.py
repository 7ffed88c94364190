"""What the groups of settings share: the prefix of their names, and the shapes of their values."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "MHD_"
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f.]*){2,8}")


def parts(value: Any) -> Any:
    """Return the parts of a text that commas separate."""
    return tuple(filter(None, (one.strip() for one in value.split(",")))) if isinstance(value, str) else value


def number(value: Any) -> Any:
    """Return the number that a text of digits is: the environment knows no numbers, and a `Literal` takes no text."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


# Several texts, with commas between them.
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parts)]


def require_oids(value: Any) -> Any:
    """Refuse what is no OID as a URI."""
    for one in value if isinstance(value, tuple) else filter(None, (value,)):
        if not _OID.fullmatch(one):
            raise ValueError("expected an OID as a URI, such as urn:oid:2.999.10")
    return value


def require_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a URL, a port or a pattern: none would ever be equal to the host of a URL."""
    if not all(map(_HOST.fullmatch, value)):
        raise ValueError("expected each to be a host name alone, such as documents.example.org")
    return value


class Group(BaseSettings):
    """A part of the table. `unit` and other facts that pydantic has no word for stand in `json_schema_extra`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)
