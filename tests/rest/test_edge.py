"""The layer around the server: proxies, browsers, limits, and what every answer says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.fhir.outcome import FhirError
from app.security.access import UNRESTRICTED, Access
from app.security.guard import Credentials
from app.security.principal import Principal
from app.security.refusal import login_required
from app.transaction import Occurrence
from tests.rest.conftest import OWN, Serve

ELSEWHERE = "203.0.113.7"
PROXY = "10.1.2.3"


@asynccontextmanager
async def asking(client: httpx.AsyncClient, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the server of `client` from `address`."""
    transport = httpx.ASGITransport(client.app, raise_app_exceptions=False, client=(address, 4711))  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://test.example.org") as one:
        yield one


class Known:
    """A guard that knows clients by their token, and keeps what it was shown."""

    mode = "smart"

    def __init__(self) -> None:
        self.shown: list[Credentials] = []

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        self.shown.append(credentials)
        if not credentials.authorization or credentials.authorization[0] == "Bearer bad":
            raise login_required()
        return Access(Principal(client=credentials.authorization[0].removeprefix("Bearer ")))

    async def close(self) -> None:
        return None


class Kept:
    """A recorder that keeps what happened."""

    def __init__(self) -> None:
        self.occurrences: list[Occurrence] = []

    async def record(self, occurrence: Occurrence) -> None:
        self.occurrences.append(occurrence)


def with_parts(client: httpx.AsyncClient, **parts: Any) -> None:
    state = client.app.state  # type: ignore[attr-defined]
    state.context = replace(state.context, **parts)


def issue(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["issue"][0]["code"]


# --- what every answer says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/fhir/Patient/1", "/fhir/Binary/1", "/fhir/Nothing", "/", "/docs", "/health/live", "/x"]
)
async def test_every_answer_says_how_to_treat_it(http: httpx.AsyncClient, path: str) -> None:
    """MHD-SEC-11: no guessing of types, no referrers, and nothing is kept unless it may be."""
    answer = await http.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "cache-control" in answer.headers
    assert "strict-transport-security" not in answer.headers
    assert [name for name, _ in answer.headers.multi_items()].count("cache-control") == 1


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_load_nothing(http: httpx.AsyncClient, path: str) -> None:
    """A page runs no scripts, is in nobody's frame, and loads nothing from anywhere."""
    policy = (await http.get(path)).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


async def test_browsers_remember_tls(serve: Serve) -> None:
    """IUA-29: HSTS, on what came by TLS only."""
    async with (
        serve(trusted_proxies=(PROXY,), base_url="https://test.example.org/fhir") as client,
        asking(client, PROXY) as proxy,
    ):
        headers = {"X-Forwarded-For": ELSEWHERE, "X-Forwarded-Proto": "https"}
        secure = await proxy.get("/fhir/Patient/1", headers=headers)
        plain = await proxy.get("/fhir/Patient/1", headers=headers | {"X-Forwarded-Proto": "http"})
    assert secure.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in plain.headers


# --- proxies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        (ELSEWHERE, {"X-Forwarded-For": "198.51.100.1"}, ELSEWHERE),
        (ELSEWHERE, {"Forwarded": "for=198.51.100.1"}, ELSEWHERE),
        (PROXY, {}, PROXY),
        (PROXY, {"X-Forwarded-For": ELSEWHERE}, ELSEWHERE),
        (PROXY, {"X-Forwarded-For": f"198.51.100.1, {ELSEWHERE}"}, ELSEWHERE),
        (PROXY, {"X-Forwarded-For": f"198.51.100.1, {ELSEWHERE}, 10.1.2.4"}, ELSEWHERE),
        (PROXY, {"X-Forwarded-For": f"{ELSEWHERE}:55123"}, ELSEWHERE),
        (PROXY, {"X-Forwarded-For": "[2001:db8::1]:443"}, "2001:db8::1"),
        (PROXY, {"X-Forwarded-For": "198.51.100.1, unknown"}, PROXY),
        (PROXY, {"X-Forwarded-For": "<script>"}, PROXY),
        (PROXY, {"X-Forwarded-For": ELSEWHERE, "Forwarded": "for=198.51.100.1"}, ELSEWHERE),
    ],
)
async def test_proxy_is_believed_when_it_is_trusted(
    serve: Serve, peer: str, headers: dict[str, str], client: str
) -> None:
    """EHDS-24: who asks is told by trusted proxies; a header field that anybody else sends is ignored."""
    async with serve(trusted_proxies=("10.1.2.0/24",)) as server, asking(server, peer) as one:
        guard = Known()
        guard.mode = "off"
        with_parts(server, guard=guard)
        await one.get("/fhir/Patient/1", headers=headers)
    assert (guard.shown[0].peer, guard.shown[0].proxy) == (client, peer)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (f"for={ELSEWHERE};proto=https;by=10.1.2.3", ELSEWHERE),
        (f'for="{ELSEWHERE}:4711";proto=https', ELSEWHERE),
        ('For="[2001:db8::1]:4711";Proto=https', "2001:db8::1"),
        (f"for=198.51.100.1, for={ELSEWHERE};proto=https", ELSEWHERE),
        ("for=_hidden;proto=https", PROXY),
    ],
)
async def test_forwarded(serve: Serve, header: str, client: str) -> None:
    """EHDS-24, RFC 7239: `Forwarded`, where the proxies send that; then X-Forwarded-For is anybody's word."""
    settings = {"trusted_proxies": ("10.1.2.0/24",), "proxy_header": "forwarded"}
    async with serve(**settings, base_url="https://test.example.org/fhir") as server, asking(server, PROXY) as one:
        guard = Known()
        with_parts(server, guard=guard)
        headers = {"Forwarded": header, "X-Forwarded-For": "192.0.2.99", "Authorization": "Bearer a"}
        await one.get("/fhir/Patient/1", headers=headers)
    assert guard.shown[0].peer == client


@pytest.mark.parametrize(("peer", "subject"), [(PROXY, "CN=recorder,O=North"), (ELSEWHERE, "")])
async def test_certificate_is_told_by_trusted_proxies_only(serve: Serve, peer: str, subject: str) -> None:
    """EHDS-24, AUD-86: mutual TLS that ends at a proxy: its header field counts, another's does not."""
    settings = {"trusted_proxies": (PROXY,), "proxy_certificate_header": "X-Client-Subject"}
    async with serve(**settings) as server, asking(server, peer) as one:
        guard = Known()
        with_parts(server, guard=guard)
        headers = {"X-Client-Subject": "CN=recorder,O=North", "X-Forwarded-For": "127.0.0.1"}
        await one.get("/fhir/Patient/1", headers={**headers, "X-Forwarded-Proto": "https"})
        shown = guard.shown or [Credentials()]
    assert shown[0].certificate == subject


async def test_base_is_that_of_the_settings(serve: Serve) -> None:
    """EHDS-24: whatever a request says of host and scheme, from whomever, the URLs of an answer are the public ones."""
    spoofed = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Host": "evil.example"}
    async with serve(base_url="https://ehr.example.org/fhir", trusted_proxies=(PROXY,)) as server:
        for peer in (PROXY, ELSEWHERE, "127.0.0.1"):
            async with asking(server, peer) as one:
                found = await one.get("/fhir/Patient?x=1", headers=spoofed)
                made = await one.post("/fhir", json={"resourceType": "Patient"}, headers=spoofed)
                stated = await one.get("/fhir/metadata", headers=spoofed)
            links = [each["valueUri"] for each in found.json()["parameter"] if each["name"] == "own"]
            assert links == ["https://ehr.example.org/fhir/Binary/1"]
            assert made.headers["location"].startswith("https://ehr.example.org/fhir/")
            assert stated.json()["implementation"]["url"] == "https://ehr.example.org/fhir"
            assert "evil" not in found.text + made.text + stated.text + str(made.headers)


@pytest.mark.parametrize(
    ("mode", "peer", "scheme", "status"),
    [
        ("smart", ELSEWHERE, "http", 403),
        ("iua", ELSEWHERE, "http", 403),
        ("smart", PROXY, "https", 200),
        ("smart", PROXY, "http", 403),
        ("smart", "127.0.0.1", "http", 200),
        ("off", ELSEWHERE, "http", 200),
    ],
)
async def test_tokens_travel_by_tls_only(serve: Serve, mode: str, peer: str, scheme: str, status: int) -> None:
    """IUA-29, MHD-SEC-01, PIXM-SEC-04: with authorization on, TLS only; a trusted proxy says where it ended."""
    async with serve(trusted_proxies=(PROXY,)) as server, asking(server, peer) as one:
        guard = Known()
        guard.mode = mode
        with_parts(server, guard=guard)
        headers = {"Authorization": "Bearer a", "X-Forwarded-Proto": scheme, "X-Forwarded-For": "198.51.100.1"}
        answer = await one.get("/fhir/Patient/1", headers=headers)
    assert answer.status_code == status, answer.text


# --- browsers -------------------------------------------------------------------------------------------------------

APP = "https://app.example.org"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, traceparent"}


@pytest.fixture
async def browsed(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A server with one registered origin, which asks for tokens."""
    async with serve(cors_origins=(APP,)) as client:
        with_parts(client, guard=Known())
        yield client


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/fhir/Patient", APP, APP),
        ("/fhir/Patient", "https://evil.example", None),
        ("/fhir", "https://app.example.org.evil.example", None),
        ("/fhir", "null", None),
        ("/fhir/metadata", "https://evil.example", "https://evil.example"),
        ("/fhir/metadata", "null", "null"),
        ("/fhir/.well-known/smart-configuration", "https://any.example", "https://any.example"),
        ("/.well-known/oauth-authorization-server", "https://any.example", "https://any.example"),
        ("/fhir/metadata/x", "https://evil.example", None),
    ],
)
async def test_preflight(browsed: httpx.AsyncClient, path: str, origin: str, allowed: str | None) -> None:
    """EHDS-06: without a token; the origin of a registered one is repeated, nothing is said to another."""
    answer = await browsed.options(path, headers={"Origin": origin, **ASKED})
    assert answer.status_code == 204
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    if allowed:
        names = {one.strip() for one in answer.headers["access-control-allow-headers"].split(",")}
        assert names >= {
            "Authorization",
            "Content-Type",
            "Accept",
            "Prefer",
            "If-Match",
            "If-None-Exist",
            "traceparent",
        }


async def test_answers_to_browsers(browsed: httpx.AsyncClient) -> None:
    """EHDS-06: an answer, a refusal too, may be seen by scripts of registered origins, with these header fields."""
    for token, status in (("Bearer a", 200), ("Bearer bad", 401)):
        answer = await browsed.get("/fhir/Patient/1", headers={"Origin": APP, "Authorization": token})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, APP)
        names = {one.strip() for one in answer.headers["access-control-expose-headers"].split(",")}
        assert names >= {"Location", "ETag", "Last-Modified", "Content-Location", "traceparent"}
        assert "Origin" in answer.headers.get_list("vary", split_commas=True)
    other = await browsed.get(
        "/fhir/Patient/1", headers={"Origin": "https://evil.example", "Authorization": "Bearer a"}
    )
    assert "access-control-allow-origin" not in other.headers


async def test_no_browser_clients(http: httpx.AsyncClient) -> None:
    """EHDS-06: when none are registered, nothing is said, also of `/metadata`."""
    answer = await http.options("/fhir/metadata", headers={"Origin": APP, **ASKED})
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


# --- how much, how large --------------------------------------------------------------------------------------------


async def test_more_requests_than_a_client_may_send(serve: Serve) -> None:
    """429 with `Retry-After` and an outcome; other addresses do not notice, nor does this machine."""
    async with serve(rate_limit_per_s=1, rate_burst=3) as server, asking(server, ELSEWHERE) as one:
        answers = [await one.get("/fhir/Patient/1") for _ in range(5)]
        refused = answers[-1]
        async with asking(server, "198.51.100.1") as other:
            assert (await other.get("/fhir/Patient/1")).status_code == 200
        assert [(await server.get("/fhir/Patient/1")).status_code for _ in range(5)] == [200] * 5
    assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
    assert issue(refused) == (429, "throttled")
    assert int(refused.headers["retry-after"]) >= 1


async def test_client_is_who_its_token_says(serve: Serve) -> None:
    """Behind one address each client has its own share; bad tokens are on the address's account."""
    async with (
        serve(rate_limit_per_s=1, rate_burst=2, trusted_proxies=(PROXY,)) as server,
        asking(server, PROXY) as one,
    ):
        kept = Kept()
        with_parts(server, guard=Known(), recorder=kept)
        headers = {"X-Forwarded-For": ELSEWHERE, "X-Forwarded-Proto": "https"}

        async def ask(token: str) -> int:
            return (await one.get("/fhir/Patient/1", headers={**headers, "Authorization": token})).status_code

        assert [await ask("Bearer a") for _ in range(3)] == [200, 200, 429]
        assert [await ask("Bearer b") for _ in range(2)] == [200, 200]
        assert [await ask("Bearer bad") for _ in range(3)] == [401, 401, 429]
    assert [each.response.status for each in kept.occurrences] == [200, 200, 200, 200, 401, 401]


async def test_several_requests_at_a_time(serve: Serve) -> None:
    """So many of one client are answered at a time; afterwards it may ask again."""
    import asyncio

    entered, going_on = asyncio.Event(), asyncio.Event()

    class Waiting(Known):
        mode = "off"

        async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
            entered.set()
            await going_on.wait()
            return UNRESTRICTED

    async with serve(max_concurrent=1) as server, asking(server, ELSEWHERE) as one:
        with_parts(server, guard=Waiting())
        first = asyncio.create_task(one.get("/fhir/Patient/1"))
        await entered.wait()
        refused = await one.get("/fhir/Patient/1")
        going_on.set()
        answered = await first
        again = await one.get("/fhir/Patient/1")
    assert issue(refused) == (429, "throttled")
    assert (answered.status_code, again.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/fhir/Patient/1", {f"x-{number}": "1" for number in range(40)}, (431, "too-long")),
        ("/fhir/Patient/1", {"x-long": "y" * 3_000}, (431, "too-long")),
        ("/fhir/Patient?a=" + "b" * 3_000, {}, (414, "too-long")),
        ("/fhir/Patient%2F1", {}, (400, "invalid")),
        ("/fhir/Patient%2f1", {}, (400, "invalid")),
        ("/fhir//Patient/1", {}, (400, "invalid")),
        ("/fhir/Patient//1", {}, (400, "invalid")),
        ("//fhir/Patient/1", {}, (400, "invalid")),
        ("/fhir/Patient%5C1", {}, (400, "invalid")),
    ],
)
async def test_heads_that_are_refused(
    serve: Serve, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """MHD-SEC-08: too many fields, too long ones, and paths that can be read in two ways."""
    async with serve(max_headers=32, max_header_bytes=2_048) as server:
        answer = await server.get(f"http://test.example.org{path}", headers=headers)
    assert issue(answer) == expected


# --- requests that no interaction is there for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("GET", "/fhir/Nothing", 404),
        ("PUT", "/fhir/Patient/1", 405),
        ("DELETE", "/fhir/Binary/1", 405),
        ("GET", "/fhir", 405),
    ],
)
async def test_what_there_is_not_is_told_to_those_who_may_ask(serve: Serve, method: str, path: str, known: int) -> None:
    """IUA-06: with authorization on, 401 comes before 404 and 405; with a token, those."""
    async with serve() as server:
        with_parts(server, guard=Known())
        stranger = await server.request(method, path)
        client = await server.request(method, path, headers={"Authorization": "Bearer a"})
    assert issue(stranger) == (401, "login")
    assert "allow" not in stranger.headers
    assert client.status_code == known


async def test_what_is_tried_with_a_transaction_is_recorded(serve: Serve) -> None:
    """AUD-84: PUT where there is no PUT is refused, and kept with who tried; a path of nobody's is not."""
    kept = Kept()
    async with serve() as server:
        with_parts(server, guard=Known(), recorder=kept)
        await server.put("/fhir/Patient/1", headers={"Authorization": "Bearer a"})
        await server.delete("/fhir/Patient/1")
        await server.get("/fhir/Nothing", headers={"Authorization": "Bearer a"})
    told = [
        (one.transaction.code, one.request.method, one.response.status, one.access.principal.client)
        for one in kept.occurrences
    ]
    assert told == [("OWN-1", "PUT", 405, "a"), ("OWN-1", "DELETE", 401, "")]


async def test_what_cannot_be_recorded_is_not_answered(serve: Serve) -> None:
    """AUD-84: the refusal itself is refused while nothing can be kept."""

    class Full:
        async def record(self, occurrence: Occurrence) -> None:
            raise FhirError("transient", "Audit events cannot be kept.")

    async with serve() as server:
        with_parts(server, recorder=Full())
        assert issue(await server.put("/fhir/Patient/1")) == (503, "transient")


OPEN = ("/fhir/metadata", "/health/live", "/health/ready", "/", "/docs", "/openapi.json")
CLOSED = (
    *(f"/fhir/{path}" for path in ("Patient/1", "Patient", "Binary/1", "Patient/1/_history/1", "Nothing")),
    "/fhir",
)


@pytest.mark.parametrize("path", [*OPEN, *CLOSED])
async def test_what_is_open_without_a_token(serve: Serve, path: str) -> None:
    """IUA-06: what the server says of itself is; everything else is not."""
    async with serve((OWN_GUARDED,)) as server:
        with_parts(server, guard=Scoped())
        assert (await server.get(path)).status_code == (401 if path in CLOSED else 200)


class Scoped(Known):
    """Asks for tokens where something is asked for, as every guard."""

    async def admit(self, credentials: Credentials, transaction: str, scope: str) -> Access:
        return await super().admit(credentials, transaction, scope) if scope else UNRESTRICTED


OWN_GUARDED = replace(OWN, interactions=tuple(replace(one, scope=one.scope or "x.y") for one in OWN.interactions))

# --- numbers for the operator ---------------------------------------------------------------------------------------


async def test_numbers(serve: Serve) -> None:
    """Requests by transaction and status, durations, what waits; nothing of what was asked."""
    async with serve() as server:
        await server.get("/fhir/Patient/very-secret?name=very-secret")
        await server.get("/fhir/Patient/absent")
        await server.get("/fhir/very-secret")
        text = (await server.get("/health/metrics")).text
    assert "very-secret" not in text
    lines = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in text.splitlines() if not line.startswith("#")}
    by_status = {name.partition("transaction")[2]: value for name, value in lines.items() if "requests_total" in name}
    assert by_status['="OWN-1",interaction="read",status="200"}'] == "1"
    assert by_status['="OWN-1",interaction="read",status="404"}'] == "1"
    assert by_status['="",interaction="",status="404"}'] == "1"
    count = next(value for name, value in lines.items() if "seconds_count" in name and "OWN-1" in name)
    most = next(value for name, value in lines.items() if 'le="+Inf"' in name and "OWN-1" in name)
    assert count == most == "2"
    assert any(name.startswith("mhd_requests_in_flight") for name in lines)
    assert any(name.startswith("mhd_requests_throttled_total") for name in lines)


@pytest.mark.parametrize(
    ("mode", "peer", "headers", "status"),
    [
        ("off", "127.0.0.1", {}, 200),
        ("off", "::1", {}, 200),
        ("off", ELSEWHERE, {}, 403),
        ("off", "127.0.0.1", {"X-Forwarded-For": ELSEWHERE}, 403),
        ("off", PROXY, {"X-Forwarded-For": ELSEWHERE}, 403),
        ("smart", PROXY, {"X-Forwarded-For": ELSEWHERE}, 401),
        ("smart", PROXY, {"X-Forwarded-For": ELSEWHERE, "Authorization": "Bearer a"}, 200),
    ],
)
async def test_numbers_are_for_the_operator(
    serve: Serve, mode: str, peer: str, headers: dict[str, str], status: int
) -> None:
    """To this machine, or with the scope `admin`."""
    async with serve(trusted_proxies=(PROXY,)) as server, asking(server, peer) as one:
        guard = Known()
        guard.mode = mode
        with_parts(server, guard=guard)
        answer = await one.get("/health/metrics", headers={"X-Forwarded-Proto": "https", **headers})
    assert answer.status_code == status
