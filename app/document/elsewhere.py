"""Requests to other servers: the only place where this server asks one, and what keeps a client from choosing whom.

A URL that came in a submission is followed only when its host is on the list that a setting names. The host's
addresses are looked up once, all of them are held against what is public, and the connection goes to an address that
was checked, not to a name that could mean another one a moment later. Redirects are followed by the same rules. Nothing
of the environment (proxies, `.netrc`) is used, and no credentials are sent.

Spec: MHD-SEC-09, MHD-65-45, MHD-65-58, MHD-65-63; OWASP, server-side request forgery.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx

from app.fhir.outcome import FhirError
from app.switches import Switches

MOST_REDIRECTS = 3
PORTS = {"http": 80, "https": 443}

# IPv4 addresses in disguise: those of NAT64 (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")

# By these a reader asks for the rest of a document, and knows that it is still the same.
PASSED_ON = ("Accept-Ranges", "Content-Range", "ETag", "Last-Modified")

# (host, port) -> its addresses.
Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A document on another server, of which the head has arrived.

    Attributes:
        media_type: what that server says it is.
        size: bytes; None when it does not say.
        chunks: the bytes; whoever does not read them to the end calls `close`.
        status: 200, or 206 when it is the part that was asked for.
        headers: what that server says of its document and of the part (`PASSED_ON`).
    """

    media_type: str
    size: int | None
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Whom this server asks, and for how much.

    Attributes:
        hosts: names in lower case.
        private: the hosts may have addresses that are not public.
        timeout_s: for each step of a request: connecting, sending, each read.
        max_bytes: of a body.
        resolve: finds addresses.
    """

    hosts: frozenset[str]
    private: bool = False
    timeout_s: float = 30
    max_bytes: int = 1_048_576
    resolve: Resolve = resolve

    def is_listed(self, url: str) -> bool:
        """Tell whether `url` is http or https, without credentials, and its host on the list."""
        return _host(url) in self.hosts

    async def open(self, url: str, accept: str = "*/*", asked: Mapping[str, str] | None = None) -> Opened:
        """Ask for `url`; return when its head is there.

        Args:
            asked: more headers of the request: `Range`, `If-Range`.

        Raises:
            FhirError: `not-found` (404) when the host is not one that may be asked, or has nothing there; `transient`
                (502) when it does not answer as it should; `invalid` (416) when it does not have the range.
        """
        client = httpx.AsyncClient(verify=_trust(), trust_env=False, timeout=self.timeout_s)
        try:
            response = await self._followed(client, url, {"Accept": accept, **(asked or {})})
            size = self._size(response)
        except BaseException:
            await client.aclose()
            raise

        async def close() -> None:
            await response.aclose()
            await client.aclose()

        media_type = response.headers.get("content-type", "application/octet-stream")
        told = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
        return Opened(media_type, size, self._limited(response, close), close, response.status_code, told)

    async def _followed(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> httpx.Response:
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._asked(client, url, headers)
            if response.status_code == 200 or _is_part(response, headers):
                return response
            await response.aclose()
            if response.status_code == 416 and "Range" in headers:
                raise _without_range(response)
            if not response.has_redirect_location:
                raise _refused(response.status_code)
            target = str(httpx.URL(url).join(response.headers["location"]))
            if url.startswith("https:") and not target.startswith("https:"):
                raise _broken("it redirects to a place without TLS")
            url = target
        raise _broken("it redirects too often")

    async def _asked(self, client: httpx.AsyncClient, url: str, wanted: Mapping[str, str]) -> httpx.Response:
        """Ask one of the checked addresses of the host of `url`; the certificate must be that of its name."""
        host = _host(url)
        if host is None or host not in self.hosts:
            raise FhirError("not-found", "The place that is referred to is not on a host that this server may ask.")
        asked = httpx.URL(url)
        headers = {"Host": asked.netloc.decode(), "Accept-Encoding": "identity", **wanted}
        for address in await self._addresses(host, asked.port or PORTS[asked.scheme]):
            request = client.build_request(
                "GET", asked.copy_with(host=address), headers=headers, extensions={"sni_hostname": host}
            )
            request.extensions["timeout"] = httpx.Timeout(self.timeout_s).as_dict()
            try:
                return await client.send(request, stream=True)
            except httpx.ConnectError:
                continue
            except httpx.HTTPError as error:
                raise _broken("it does not answer") from error
        raise _broken("it cannot be reached")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Return where `host` is; none of its addresses may be one that is not public, unless that is allowed."""
        try:
            addresses = await self.resolve(host, port)
        except OSError as error:
            raise _broken("its name is not known") from error
        if not self.private and not all(map(is_public, addresses)):
            raise FhirError("not-found", "The place that is referred to is not on a public network.")
        return addresses

    def _size(self, response: httpx.Response) -> int | None:
        text = response.headers.get("content-length", "")
        size = int(text) if text.isdecimal() else None
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _broken("it answers in a coding that was not asked for")
        if size is not None and size > self.max_bytes:
            raise _broken(f"it sends more than {self.max_bytes} bytes")
        return size

    async def _limited(self, response: httpx.Response, close: Callable[[], Awaitable[None]]) -> AsyncIterator[bytes]:
        count = 0
        try:
            async for chunk in response.aiter_raw():
                count += len(chunk)
                if count > self.max_bytes:
                    raise _broken(f"it sends more than {self.max_bytes} bytes")
                yield chunk
        except httpx.HTTPError as error:
            raise _broken("it stopped in the middle") from error
        finally:
            await close()


def documents_elsewhere(switches: Switches) -> Elsewhere:
    """Return how documents are fetched from the hosts that `attachment.url` may name."""
    return Elsewhere(
        _names(switches.external_documents),
        switches.external_private,
        switches.external_timeout_s,
        switches.external_max_bytes,
    )


def references_elsewhere(switches: Switches) -> Elsewhere:
    """Return how resources are fetched from the hosts to which references are followed; at most 1 MB each."""
    return Elsewhere(_names(switches.external_references), switches.external_private, switches.external_timeout_s)


def is_public(address: str) -> bool:
    """Tell whether everybody may have `address`: neither private nor loopback, link-local, multicast or reserved.

    Examples:
        93.184.215.14 -> yes; 10.0.0.1, 127.0.0.1, 169.254.169.254, ::1, fe80::1, ::ffff:10.0.0.1 -> no
    """
    found = _undisguised(ip_address(address.partition("%")[0]))
    return found.is_global and not found.is_multicast


def _undisguised(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    inner = IPv4Address(address.packed[-4:]) if address in _NAT64 else None
    return address.ipv4_mapped or address.sixtofour or inner or address


def _host(url: str) -> str | None:
    """Return the host of `url`; None when two readers of URLs do not agree on it, or it is of another kind."""
    try:
        asked, parts = httpx.URL(url), urlsplit(url)
        host = asked.raw_host.decode().lower()
        standard = PORTS.get(parts.scheme)
        is_clear = (parts.hostname, parts.port or standard) == (host, asked.port or standard)
        return host if standard and is_clear and not asked.userinfo else None
    except (httpx.InvalidURL, ValueError):
        return None


def _names(hosts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(host.lower() for host in hosts)


@cache
def _trust() -> ssl.SSLContext:
    """Return the certificate authorities of this machine, where hospitals put their own."""
    return ssl.create_default_context()


def _refused(status: int) -> FhirError:
    if status in (404, 410):
        return FhirError("not-found", "The place that is referred to says that there is nothing.")
    return _broken(f"it answers with status {status}")


def _is_part(response: httpx.Response, headers: Mapping[str, str]) -> bool:
    """Tell whether `response` is the one part that was asked for, and says which one it is."""
    return response.status_code == 206 and "Range" in headers and "content-range" in response.headers


def _without_range(response: httpx.Response) -> FhirError:
    error = FhirError("invalid", "`Range`: the document has none of the bytes that were asked for.", status=416)
    if (size := response.headers.get("content-range", "")).startswith("bytes */"):
        error.headers["Content-Range"] = size
    return error


def _broken(reason: str) -> FhirError:
    return FhirError("transient", f"The server that is referred to cannot be used: {reason}.", status=502)
