"""Who asks, when a proxy stands in front: believed of the proxies that the operator names, of nobody else.

A header field that another client sends itself changes nothing. `[base]` is never taken from a request.

Spec: RFC 7239; EHDS-24; IUA-29.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from starlette.types import Scope

from app.security.guard import Network, comes_from

_FORWARDED_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"([^"]*)"|([^\s;,"]*))\s*')
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+)(?::\d+)?")

# One step of the way that a request took: address, scheme; empty where it is not told.
Hop = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies in front, and what they send.

    Attributes:
        networks: where they are; empty: there are none.
        is_forwarded: they send `Forwarded`; else `X-Forwarded-For` and `X-Forwarded-Proto`.
        certificate_header: in small letters; empty: they tell of no client certificates.
        scheme: how a request came that they say nothing about: that of the public `[base]`.
    """

    networks: Sequence[Network] = ()
    is_forwarded: bool = False
    certificate_header: str = ""
    scheme: str = "http"

    def apply(self, scope: Scope) -> None:
        """Let `scope` tell of the client itself, when it came through a trusted proxy; `proxy` keeps whose word it is.

        The last proxy speaks of who asked it; when that was a trusted one too, so does that. The first that is not
        trusted is the client, whatever it says of others.
        """
        address = address_of(scope)
        if not self.networks or not comes_from(self.networks, address):
            return
        headers = _headers(scope)
        scope["proxy"], scheme = address, "" if self.is_forwarded else _joined(headers, "x-forwarded-proto")
        for hop_address, hop_scheme in self._hops(headers):
            address, scheme = hop_address, hop_scheme or scheme
            if not comes_from(self.networks, address):
                break
        scheme = scheme.rpartition(",")[2].strip().lower()
        scope["client"], scope["scheme"] = (address, 0), scheme if scheme in ("http", "https") else self.scheme
        subject = _joined(headers, self.certificate_header) if self.certificate_header else ""
        scope["extensions"] = {"tls": {"client_cert_name": subject}}

    def _hops(self, headers: dict[str, list[str]]) -> Iterator[Hop]:
        """Yield the steps of the way, the last one first, as far as they are addresses."""
        if self.is_forwarded:
            steps = (_forwarded(one) for one in _joined(headers, "forwarded").split(","))
        else:
            steps = ((one.strip(), "") for one in _joined(headers, "x-forwarded-for").split(","))
        for node, scheme in reversed(list(steps)):
            if not (address := _address(node)):
                return
            yield address, scheme


def networks_of(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that `texts` name."""
    return tuple(ip_network(one) for one in texts)


def address_of(scope: Scope) -> str:
    """Return the address of the other end; empty when it is not known."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@lru_cache(maxsize=1024)  # it takes 3 µs, and is asked for every request
def is_loopback(address: str) -> bool:
    """Whether somebody on this very machine asks."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return found


def _joined(headers: dict[str, list[str]], name: str) -> str:
    return ",".join(headers.get(name, ()))


def _forwarded(element: str) -> Hop:
    pairs = {name.lower(): quoted or plain for name, quoted, plain in _FORWARDED_PAIR.findall(element)}
    return pairs.get("for", ""), pairs.get("proto", "")


def _address(node: str) -> str:
    """Return the address in `node`, which may have a port; empty for what hides itself (`unknown`, `_hidden`)."""
    with_port = _WITH_PORT.fullmatch(node)
    text = (with_port[1] or with_port[2]) if with_port else node
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
