"""Requests to other servers: whom this server asks at all, and how it is kept from being led elsewhere.

MHD-SEC-09, MHD-65-45, MHD-65-58, MHD-65-63.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx

from app.document.elsewhere import Elsewhere, is_public
from app.fhir.outcome import FhirError

PUBLIC, SECOND, PRIVATE = "93.184.215.14", "93.184.215.15", "10.1.2.3"
NAMES = {
    "docs.example": [PUBLIC],
    "more.example": [SECOND],
    "inside.example": [PRIVATE],
    "both.example": [PUBLIC, PRIVATE],
    "metadata.example": ["169.254.169.254"],
}


async def resolve(host: str, port: int) -> list[str]:
    """Stand in for the name service."""
    if host not in NAMES:
        raise OSError("unknown name")
    return NAMES[host]


def elsewhere(*hosts: str, **options: object) -> Elsewhere:
    return Elsewhere(frozenset(hosts or ("docs.example",)), resolve=resolve, **options)  # type: ignore[arg-type]


@pytest.fixture
def network() -> Iterator[respx.MockRouter]:
    """A network in which nothing answers but what a test puts there; a request to anything else fails the test."""
    with respx.mock(assert_all_called=False) as router:
        yield router


async def fetched(asked: Elsewhere, url: str) -> bytes:
    opened = await asked.open(url, "application/pdf")
    return b"".join([chunk async for chunk in opened.chunks])


async def refusal(asked: Elsewhere, url: str) -> FhirError:
    with pytest.raises(FhirError) as caught:
        await fetched(asked, url)
    return caught.value


async def test_a_listed_host_is_asked_at_its_checked_address(network: respx.MockRouter) -> None:
    """MHD-SEC-09: the connection goes to the address that was checked; name, certificate and path are the host's."""
    route = network.get(f"https://{PUBLIC}/letters/1?v=2").respond(
        200, content=b"letter", content_type="application/pdf"
    )

    assert await fetched(elsewhere(), "https://docs.example/letters/1?v=2") == b"letter"

    request = route.calls.last.request
    assert request.headers["host"] == "docs.example"
    assert request.extensions["sni_hostname"] == "docs.example"
    assert request.headers["accept"] == "application/pdf"
    assert not {"authorization", "cookie"} & set(request.headers)


NOT_LISTED = [
    "https://other.example/1",
    "https://docs.example.evil.example/1",
    "https://docs.example@other.example/1",
    "https://user:secret@docs.example/1",
    "https://other.example\\@docs.example/1",
    "https://docs.example\\@other.example/1",
    "ftp://docs.example/1",
    "file:///etc/passwd",
    "gopher://docs.example:70/_x",
    "//docs.example/1",
    "docs.example/1",
    "http://[::1/1",
    "",
]


@pytest.mark.parametrize("url", NOT_LISTED)
async def test_nobody_else_is_asked(network: respx.MockRouter, url: str) -> None:
    """MHD-SEC-09: another host, another scheme or a URL that two readers read differently: no request at all."""
    assert not elsewhere().is_listed(url)
    assert (await refusal(elsewhere(), url)).status == 404
    assert network.calls.call_count == 0


@pytest.mark.parametrize("host", ["inside.example", "both.example", "metadata.example"])
async def test_private_addresses_are_refused(network: respx.MockRouter, host: str) -> None:
    """MHD-SEC-09: a listed name that leads into the private network, or does among others, is not asked."""
    assert (await refusal(elsewhere(host), f"http://{host}/latest/meta-data")).status == 404
    assert network.calls.call_count == 0


async def test_private_addresses_are_asked_where_that_is_allowed(network: respx.MockRouter) -> None:
    """MHD-SEC-09: the document store of the same hospital, when the deployment says so."""
    network.get(f"http://{PRIVATE}:8042/1").respond(200, content=b"inside")

    assert await fetched(elsewhere("inside.example", private=True), "http://inside.example:8042/1") == b"inside"


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
     "::ffff:7f00:1", "64:ff9b::a00:1", "2002:a00:1::"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    """MHD-SEC-09: private, loopback, link-local, shared, multicast and unspecified ones, also in disguise."""
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_addresses_that_are_public(address: str) -> None:
    """MHD-SEC-09: those that anybody may be at."""
    assert is_public(address)


async def test_a_redirect_is_followed_among_listed_hosts(network: respx.MockRouter) -> None:
    """MHD-SEC-09: the new place is held against the same list, and its addresses checked again."""
    network.get(f"https://{PUBLIC}/old").respond(302, headers={"location": "https://more.example/new"})
    network.get(f"https://{SECOND}/new").respond(200, content=b"moved")

    assert await fetched(elsewhere("docs.example", "more.example"), "https://docs.example/old") == b"moved"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("https://more.example/new", 404),  # not on the list
        ("http://169.254.169.254/latest", 502),  # without TLS
        ("https://inside.example/new", 404),
        ("http://docs.example/new", 502),
    ],
)
async def test_a_redirect_leads_nowhere_else(network: respx.MockRouter, target: str, status: int) -> None:
    """MHD-SEC-09: no redirect to other hosts, to private networks, or from TLS to none."""
    network.get(f"https://{PUBLIC}/old").respond(302, headers={"location": target})

    error = await refusal(elsewhere("docs.example", "inside.example"), "https://docs.example/old")

    assert error.status == status
    assert network.calls.call_count == 1


async def test_redirects_come_to_an_end(network: respx.MockRouter) -> None:
    """MHD-SEC-09: a circle of redirects is left."""
    network.get(f"https://{PUBLIC}/old").respond(302, headers={"location": "/old"})

    assert "redirects too often" in str(await refusal(elsewhere(), "https://docs.example/old"))
    assert network.calls.call_count == 4


@pytest.mark.parametrize("headers", [{"content-length": "11"}, {}])
async def test_too_much_is_refused(network: respx.MockRouter, headers: dict[str, str]) -> None:
    """MHD-SEC-09: more bytes than allowed end the request, announced or not."""
    response = httpx.Response(200, headers=headers, stream=_Bytes(b"abcdefghijk"))
    network.get(f"https://{PUBLIC}/1").mock(return_value=response)

    assert "more than 10 bytes" in str(await refusal(elsewhere(max_bytes=10), "https://docs.example/1"))


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for start in range(0, len(self._content), 4):
            yield self._content[start : start + 4]


@pytest.mark.parametrize(
    ("status", "told"),
    [(404, 404), (410, 404), (401, 502), (403, 502), (500, 502), (204, 502), (304, 502)],
)
async def test_other_answers(network: respx.MockRouter, status: int, told: int) -> None:
    """MHD-68-11, MHD-65-58: there is nothing, or something is wrong with that server; its words are not repeated."""
    network.get(f"https://{PUBLIC}/1").respond(status, text="secret of another server")

    error = await refusal(elsewhere(), "https://docs.example/1")

    assert error.status == told
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "failure", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ConnectError, httpx.RemoteProtocolError]
)
async def test_no_answer(network: respx.MockRouter, failure: type[Exception]) -> None:
    """MHD-SEC-09: a server that is away or silent costs this one no more than its time limit."""
    network.get(f"https://{PUBLIC}/1").mock(side_effect=failure("x"))

    assert (await refusal(elsewhere(), "https://docs.example/1")).status == 502


async def test_an_unknown_name(network: respx.MockRouter) -> None:
    """MHD-SEC-09: a listed host that the name service does not know."""
    assert (await refusal(elsewhere("gone.example"), "https://gone.example/1")).status == 502


async def test_a_coding_that_was_not_asked_for(network: respx.MockRouter) -> None:
    """MHD-68-18, MHD-SEC-09: compressed bytes are neither a document's, nor unpacked to who knows how many."""
    network.get(f"https://{PUBLIC}/1").respond(200, content=b"x", headers={"content-encoding": "gzip"})

    assert "coding" in str(await refusal(elsewhere(), "https://docs.example/1"))


async def test_the_next_address_when_one_is_away(network: respx.MockRouter) -> None:
    """MHD-65-58: a host of several addresses is reached at one that answers."""
    network.get(f"https://{PUBLIC}/1").mock(side_effect=httpx.ConnectError("x"))
    network.get(f"https://{SECOND}/1").respond(200, content=b"here")

    async def two(host: str, port: int) -> list[str]:
        return [PUBLIC, SECOND]

    assert await fetched(Elsewhere(frozenset({"docs.example"}), resolve=two), "https://docs.example/1") == b"here"
