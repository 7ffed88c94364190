"""Keys of issuers: from a file, by URL, by metadata; kept, shared, renewed. IUA-07, IUA-41, IUA-46, IUA-98."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import respx
from joserfc.jwk import ECKey, OctKey, RSAKey

from app.security.fetch import MAX_BYTES, Fetch, Kept, is_safe_url
from app.security.keys import FetchedKeys, Metadata, good_for, key_file, metadata_urls, public_keys, secret_key, select
from app.security.refusal import RefusedError
from tests.security.issuing import EC, ED, LOGIN, RSA, RSA_NEXT, SECRET, published

URL = "https://sso.example.net/keys"
METADATA = metadata_urls(LOGIN)

Made = tuple[FetchedKeys, respx.Route]


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    """Asks the servers of the router."""
    made = Fetch()
    yield made
    await made.close()


@pytest.fixture
def time() -> list[float]:
    """Seconds that passed; tests set the first."""
    return [1000.0]


@pytest.fixture
def by_url(fetch: Fetch, time: list[float]) -> Callable[..., FetchedKeys]:
    """Makes keys that are fetched from `URL`."""

    def made(max_age_s: float = 3600.0) -> FetchedKeys:
        async def locate(anew: bool) -> str:
            return URL

        keys = FetchedKeys(locate, fetch, max_age_s)
        keys._kept.clock = lambda: time[0]
        return keys

    return made


def answer(*keys: Any, **headers: str) -> httpx.Response:
    """A JWKS over HTTP."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, json=published(*keys), headers=named)


@respx.mock
async def test_rotation(by_url: Callable[..., FetchedKeys], time: list[float]) -> None:
    """IUA-46: an unknown `kid` is one refresh, at most once a minute; a new key works without restart."""
    route = respx.get(URL).mock(return_value=answer(RSA))
    keys = by_url()
    assert await keys.find("rsa-1", "RS256")
    route.mock(return_value=answer(RSA_NEXT))

    assert await keys.find("rsa-2", "RS256") is None
    time[0] += 61
    assert await keys.find("rsa-2", "RS256")
    assert await keys.find("rsa-1", "RS256") is None
    assert await keys.find("rsa-9", "RS256") is None

    assert route.call_count == 2


@respx.mock
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 3600),
        ({"cache_control": "max-age=600"}, 600),
        ({"cache_control": "public, max-age=600"}, 600),
        ({"cache_control": "max-age=86400"}, 3600),
        ({"cache_control": "max-age=0"}, 60),
        ({"cache_control": "no-store"}, 60),
        ({"cache_control": "max-age=soon"}, 3600),
    ],
)
async def test_cache_headers(
    by_url: Callable[..., FetchedKeys], time: list[float], headers: dict[str, str], seconds: int
) -> None:
    """IUA-46, IUA-98: keys are kept as long as their issuer says, between a minute and the setting."""
    route = respx.get(URL).mock(return_value=answer(RSA, **headers))
    keys = by_url()
    await keys.find("rsa-1", "RS256")

    time[0] += seconds - 1
    await keys.find("rsa-1", "RS256")
    assert route.call_count == 1
    time[0] += 2
    await keys.find("rsa-1", "RS256")

    assert route.call_count == 2


@respx.mock
async def test_requests_share_one_fetch(by_url: Callable[..., FetchedKeys]) -> None:
    """IUA-46: however many ask at the same time, the issuer is asked once; one who gives up takes it from nobody."""
    answered = asyncio.Event()

    async def slowly(request: httpx.Request) -> httpx.Response:
        await answered.wait()
        return answer(RSA)

    route = respx.get(URL).mock(side_effect=slowly)
    keys = by_url()
    asking = [asyncio.create_task(keys.find("rsa-1", "RS256")) for _ in range(20)]
    await asyncio.sleep(0.01)
    asking[0].cancel()
    answered.set()

    found = await asyncio.gather(*asking, return_exceptions=True)

    assert route.call_count == 1
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(one, RSAKey) for one in found[1:])


@respx.mock
async def test_issuer_is_away(by_url: Callable[..., FetchedKeys], time: list[float]) -> None:
    """IUA-88, IUA-98: without keys 503; with old ones, they serve an hour more; nobody asks more than every ten seconds."""
    route = respx.get(URL).mock(return_value=answer(RSA))
    keys = by_url()
    await keys.find("rsa-1", "RS256")
    route.mock(side_effect=httpx.ConnectError("refused"))

    time[0] += 3601
    assert await keys.find("rsa-1", "RS256")
    assert await keys.find("rsa-1", "RS256")
    assert route.call_count == 2
    time[0] += 3600
    with pytest.raises(RefusedError) as caught:
        await keys.find("rsa-1", "RS256")
    assert (caught.value.status, caught.value.issues[0].code) == (503, "transient")
    route.mock(return_value=answer(RSA))
    time[0] += 11

    assert await keys.find("rsa-1", "RS256")


@respx.mock
@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(302, headers={"location": "https://elsewhere.example.org/keys"}),
        httpx.Response(200, content=b"x" * (MAX_BYTES + 1)),
        httpx.Response(200, content=b"not json"),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, json=[1]),
        httpx.Response(404, json=published(RSA)),
        httpx.ReadTimeout("slow"),
    ],
    ids=["redirect", "too long", "no json", "no keys", "a list", "404", "slow"],
)
async def test_answer_that_is_none(by_url: Callable[..., FetchedKeys], response: Any) -> None:
    """IUA-98: no redirect is followed, nothing without end is read; what is no key set is 503, never access."""
    elsewhere = respx.get("https://elsewhere.example.org/keys").mock(return_value=answer(RSA))
    respx.get(URL).mock(**{"side_effect" if isinstance(response, Exception) else "return_value": response})

    with pytest.raises(RefusedError) as caught:
        await by_url().find("rsa-1", "RS256")

    assert caught.value.status == 503
    assert not elsewhere.called


@respx.mock
@pytest.mark.parametrize("place", METADATA)
async def test_metadata(fetch: Fetch, place: str) -> None:
    """IUA-98: endpoints are those of the issuer's document, where RFC 8414 or where OpenID Connect says."""
    for url in METADATA:
        respx.get(url).mock(return_value=httpx.Response(404))
    found = {"issuer": LOGIN, "jwks_uri": f"{LOGIN}/keys", "introspection_endpoint": "ftp://login.example.org"}
    respx.get(place).mock(return_value=httpx.Response(200, json=found))
    metadata = Metadata(LOGIN, fetch)

    assert await metadata.url("jwks_uri") == f"{LOGIN}/keys"
    with pytest.raises(RefusedError):
        await metadata.url("token_endpoint")
    with pytest.raises(RefusedError):
        await metadata.url("introspection_endpoint")


@respx.mock
async def test_metadata_of_somebody_else(fetch: Fetch) -> None:
    """IUA-98: a document that names another issuer is not believed."""
    for url in METADATA:
        found = {"issuer": "https://mallory.example.org", "jwks_uri": "https://mallory.example.org/keys"}
        respx.get(url).mock(return_value=httpx.Response(200, json=found))

    with pytest.raises(RefusedError):
        await Metadata(LOGIN, fetch).url("jwks_uri")


@respx.mock
async def test_metadata_is_read_hourly(fetch: Fetch) -> None:
    """IUA-98: at most hourly, or for an unknown `kid`."""
    now = 1000.0
    found = {"issuer": LOGIN, "jwks_uri": f"{LOGIN}/keys"}
    route = respx.get(METADATA[0]).mock(return_value=httpx.Response(200, json=found))
    metadata = Metadata(LOGIN, fetch)
    metadata._kept.clock = lambda: now

    await metadata.url("jwks_uri")
    now += 3599
    await metadata.url("jwks_uri")
    assert route.call_count == 1
    await metadata.url("jwks_uri", anew=True)
    assert route.call_count == 2
    now += 3601
    await metadata.url("jwks_uri")
    assert route.call_count == 3


def test_where_metadata_are() -> None:
    """IUA-98: RFC 8414 section 3.1 puts the well-known part before the path, OpenID Connect behind it."""
    assert metadata_urls("https://a.example/t") == (
        "https://a.example/.well-known/oauth-authorization-server/t",
        "https://a.example/t/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    ("jwk", "is_taken"),
    [
        ({}, True),
        ({"use": "enc"}, False),
        ({"key_ops": ["sign"]}, False),
        ({"key_ops": ["verify"]}, True),
        ({"kty": "ABC"}, False),
        ({"n": "AQAB"}, False),
        ({"n": 7}, False),
    ],
)
def test_keys_that_verify(jwk: dict[str, Any], is_taken: bool) -> None:
    """IUA-41, IUA-92: what is for something else, too weak or not understood is left out, and spoils nothing."""
    content = {"keys": [{**RSA.as_dict(private=False), **jwk}, None, 7, *published(EC)["keys"]]}

    assert len(public_keys(content)) == (2 if is_taken else 1)


def test_published_secret_is_no_key() -> None:
    """IUA-41: HS256 is never verified with what is published, be it called a secret."""
    assert public_keys({"keys": [OctKey.import_key(SECRET).as_dict(private=True)]}) == ()


@pytest.mark.parametrize("name", ["jwks.json", "jwk.json", "rsa.pem", "ec.pem"])
def test_key_file(tmp_path: Path, name: str) -> None:
    """IUA-07: a JWKS, one JWK, or a key in PEM."""
    contents = {
        "jwks.json": orjson.dumps(published(RSA, ED)),
        "jwk.json": orjson.dumps(EC.as_dict(private=False)),
        "rsa.pem": RSA.as_pem(private=False),
        "ec.pem": ECKey.generate_key("P-384").as_pem(private=False),
    }
    (tmp_path / name).write_bytes(contents[name])

    assert len(key_file(tmp_path / name)) == (2 if name == "jwks.json" else 1)


@pytest.mark.parametrize("content", [b"", b"{}", b"hello", b"-----BEGIN NOTHING-----", b'{"keys": []}'])
def test_key_file_without_key(tmp_path: Path, content: bytes) -> None:
    """IUA-07: a file in which there is no key stops the start."""
    (tmp_path / "keys").write_bytes(content)

    with pytest.raises(ValueError, match="no public key"):
        key_file(tmp_path / "keys")


@pytest.mark.parametrize(
    "secret", ["short", RSA.as_pem(private=False).decode(), orjson.dumps(published(RSA)["keys"][0]).decode()]
)
def test_secret_that_is_none(secret: str) -> None:
    """IUA-41: a short secret, and a public key in its place, are not taken."""
    with pytest.raises(ValueError, match=r"secret"):
        secret_key(secret)


def test_key_for_one_algorithm() -> None:
    """IUA-41: a key that says what it is for verifies nothing else; curves go with their algorithm."""
    (bound,) = public_keys({"keys": [{**RSA.as_dict(private=False), "alg": "RS384"}]})

    assert select([bound], "rsa-1", "RS384") is bound
    assert select([bound], "rsa-1", "RS256") is None
    assert select(public_keys(published(EC)), "ec-1", "ES384") is None


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://login.example.org", True),
        ("http://127.0.0.1:9/x", True),
        ("http://localhost/x", True),
        ("http://login.example.org", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("", False),
    ],
)
def test_safe_urls(url: str, is_safe: bool) -> None:
    """IUA-29: keys and tokens travel by TLS, or stay on this machine."""
    assert is_safe_url(url) is is_safe


async def test_first_fetch_failed() -> None:
    """IUA-88: what could not be fetched is asked for again after some seconds, not by everybody at once."""
    now, asked = 1000.0, 0

    async def failing() -> tuple[int, float]:
        nonlocal asked
        asked += 1
        raise RefusedError("transient", "not there")

    kept = Kept(failing, clock=lambda: now)
    for _ in range(3):
        with pytest.raises(RefusedError):
            await kept.value()
    assert asked == 1
    now += 11
    with pytest.raises(RefusedError):
        await kept.value()
    assert asked == 2


def test_age_of_an_answer() -> None:
    """IUA-98: the longest age is the deployment's."""
    assert good_for({"cache-control": "MAX-AGE=7200"}, 86_400) == 7200
