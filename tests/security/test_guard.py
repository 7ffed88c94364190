"""Who is let in, over HTTP: statuses, `WWW-Authenticate`, issues; ITI-72 (IUA-20 to IUA-31), EHDS-11, EHDS-23.

Exchanges 5 to 8, 11 and 12 of iua.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.security.guard import subject_key
from tests.conftest import BASE_URL
from tests.patients import KATARINA
from tests.security.conftest import FILE, Guarded, Known
from tests.security.issuing import (
    CURVES,
    EC,
    SHARED,
    SHARED_KEY,
    STATIC_TOKEN,
    Servers,
    bearer,
    claims,
    signed,
    token,
)

SEARCH = "DocumentReference?patient={}&status=current"
REALM = 'Bearer realm="fhir"'


def told(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, issue code, `WWW-Authenticate`."""
    assert answer.json()["resourceType"] == "OperationOutcome", answer.text
    return answer.status_code, answer.json()["issue"][0]["code"], answer.headers.get("www-authenticate", "")


def certificate(app_client: httpx.AsyncClient, subject: str) -> httpx.AsyncClient:
    """A client of the same server over a TLS connection whose certificate names `subject`."""
    transport = app_client._transport
    assert isinstance(transport, httpx.ASGITransport)

    async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "extensions": {"tls": {"client_cert_name": subject}}}
        await transport.app(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(with_certificate), base_url=BASE_URL)


async def test_no_token(guarded_client: httpx.AsyncClient, known: Known) -> None:
    """IUA-25, IUA-26, EHDS-11, MHD-SEC-03, exchange 11: 401 `login`, and the realm only."""
    assert told(await guarded_client.get("Patient?family=novak")) == (401, "login", REALM)


async def test_good_token(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-01, MHD-SEC-02, exchange 5: a signed token, and one that is introspected, open what their scopes say."""
    for shown in (token("ITI-67"), servers.give("ITI-67")):
        answer = await guarded_client.get(SEARCH.format(known.patient), headers=bearer(shown))
        assert answer.status_code == 200
        assert answer.json()["total"] >= 2


async def test_several_issuers(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-07, IUA-98: keys by metadata, by URL, a shared secret, introspection: all at once."""
    said = [
        token(),
        signed(claims(issuer=CURVES), EC, "ES256"),
        signed(claims(issuer=SHARED), SHARED_KEY, "HS256"),
        servers.give(),
        STATIC_TOKEN,
    ]

    answers = [await guarded_client.get(SEARCH.format(known.patient), headers=bearer(one)) for one in said]

    assert [one.status_code for one in answers] == [200] * 5


@pytest.mark.parametrize(
    ("changes", "code", "description"),
    [
        ({"exp": 1_600_000_000}, "expired", "it has expired"),
        ({"aud": "https://other.example.org/fhir"}, "security", "its audience is somebody else"),
        ({"iss": "https://nobody.example.org"}, "security", "its issuer is not trusted here"),
        ({"jti": None}, "security", "the claim `jti` is missing"),
    ],
)
async def test_bad_token(
    guarded_client: httpx.AsyncClient,
    known: Known,
    servers: Servers,
    changes: dict[str, Any],
    code: str,
    description: str,
) -> None:
    """IUA-21, IUA-22, IUA-25, IUA-26, EHDS-11, exchanges 6 and 8: 401 `invalid_token` with the reason."""
    answer = await guarded_client.get(SEARCH.format(known.patient), headers=bearer(token(**changes)))

    header = f'{REALM}, error="invalid_token", error_description="{description}"'
    assert told(answer) == (401, code, header)


async def test_insufficient_scope(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-10, IUA-24, IUA-25, PDQM-SEC-02, exchange 7: IUA's token gets 401, and is told the scope that is needed."""
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Patient"}}]}
    answer = await guarded_client.post("Patient/$match", json=body, headers=bearer(token("ITI-83 ITI-78")))

    assert told(answer) == (401, "forbidden", f'{REALM}, error="insufficient_scope", scope="ITI-119"')
    assert "`ITI-119`" in answer.json()["issue"][0]["diagnostics"]


async def test_insufficient_scope_of_smart(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-24, EHDS-11: SMART's token gets 403, in its own words."""
    answer = await guarded_client.get(SEARCH.format(known.patient), headers=bearer(token("system/Patient.rs")))

    needed = "system/DocumentReference.s"
    assert told(answer) == (403, "forbidden", f'{REALM}, error="insufficient_scope", scope="{needed}"')


@pytest.mark.parametrize(
    ("settings", "scope", "expected"),
    [
        ({"auth_scope_status": "401"}, "system/Patient.rs", (401, "forbidden")),
        ({"auth_scope_status": "403"}, "ITI-78", (403, "forbidden")),
        ({"auth_conceal": True}, "ITI-78", (404, "not-found")),
    ],
)
async def test_status_of_denials(
    guarded: Guarded,
    known: Known,
    servers: Servers,
    settings: dict[str, Any],
    scope: str,
    expected: tuple[int, str],
) -> None:
    """IUA-24, EHDS-11, MHD-SEC-04: one status for all, or 404 on every path alike."""
    async with guarded(**settings) as client:
        for url in (SEARCH.format(known.patient), f"Bundle/{known.bundle}", f"Binary/{known.binary}", "Binary/nobody"):
            answer = await client.get(url, headers=bearer(token(scope)))
            assert told(answer)[:2] == expected
            assert ("insufficient_scope" in told(answer)[2]) == (expected[0] != 404)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("Authorization", f"Bearer {STATIC_TOKEN}"), ("Authorization", f"Bearer {STATIC_TOKEN}")], "security"),
        ([("Authorization", "Basic bm9ydGg6c2VjcmV0")], "login"),
        ([("Authorization", "IHE-JWT eyJhbGciOiJub25lIn0.e30.")], "login"),
        ([("Authorization", "Bearer")], "security"),
        ([("Authorization", "Bearer ")], "security"),
        ([("Authorization", "")], "login"),
        ([("Authorization", STATIC_TOKEN)], "login"),
        ([("Authorization", f"Bearer {STATIC_TOKEN} more")], "security"),
        ([("Authorization", "Bearer abc")], "security"),
        ([("Authorization", b"Bearer t\xf6ken")], "security"),
        ([("X-Authorization", f"Bearer {STATIC_TOKEN}")], "login"),
        ([("Cookie", f"access_token={STATIC_TOKEN}")], "login"),
    ],
)
async def test_other_ways_to_show_a_token(
    guarded_client: httpx.AsyncClient, servers: Servers, headers: list[tuple[str, Any]], code: str
) -> None:
    """IUA-20, IUA-27, IUA-28: one `Authorization: Bearer <token>`, and nothing else."""
    status, issue, header = told(await guarded_client.get("Patient?family=x", headers=headers))

    assert (status, issue) == (401, code)
    assert header.startswith(REALM)


async def test_scheme_is_read_in_any_case(guarded_client: httpx.AsyncClient, known: Known) -> None:
    """RFC 9110 section 11.1: schemes are case-insensitive."""
    answer = await guarded_client.get("Patient?family=x", headers={"authorization": f"bearer {STATIC_TOKEN}"})

    assert answer.status_code == 200


async def test_token_elsewhere(guarded_client: httpx.AsyncClient) -> None:
    """IUA-20: a token in the query or in a form is not honoured."""
    by_query = await guarded_client.get(f"Patient?family=x&access_token={STATIC_TOKEN}")
    by_form = await guarded_client.post("Patient/_search", data={"family": "x", "access_token": STATIC_TOKEN})

    assert [told(one)[:2] for one in (by_query, by_form)] == [(401, "login")] * 2


async def test_denial_does_not_depend_on_data(
    guarded_client: httpx.AsyncClient, known: Known, servers: Servers
) -> None:
    """IUA-30, MHD-SEC-04, PDQM-SEC-04: the same answer whether it exists or not, whether the request can be read or not."""
    paths = (f"Patient/{known.patient}", "Patient/nobody", "Patient?birthdate=nonsense", f"Patient?_id={known.patient}")
    for headers in ({}, bearer(token("ITI-67")), bearer("abc")):
        answers = [await guarded_client.get(path, headers=headers) for path in paths]
        assert len({(one.content, one.headers.get("www-authenticate")) for one in answers}) == 1
        assert {one.status_code for one in answers} == {401}


async def test_body_is_not_read_before(guarded_client: httpx.AsyncClient) -> None:
    """IUA-30: what nobody may send is not looked at."""
    answer = await guarded_client.post("", content=b"{", headers={"content-type": "application/fhir+json"})

    assert told(answer)[:2] == (401, "login")


@pytest.mark.parametrize("path", ["/fhir/metadata", "/health/live", "/health/ready"])
async def test_open_without_token(guarded_client: httpx.AsyncClient, path: str) -> None:
    """IUA-06: anybody may know what the server is and that it lives; a bad token changes nothing."""
    root = BASE_URL.removesuffix("/fhir")

    assert (await guarded_client.get(f"{root}{path}")).status_code == 200
    assert (await guarded_client.get(f"{root}{path}", headers=bearer("abc"))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "$validate"),
        ("GET", "StructureDefinition"),
        ("GET", "ValueSet/1"),
        ("GET", "?_type=DocumentReference,List&patient=1"),
        ("GET", "nothing/here"),
        ("DELETE", "DocumentReference/1"),
        ("PATCH", "DocumentReference/1"),
    ],
)
async def test_everything_else_needs_one(guarded_client: httpx.AsyncClient, method: str, path: str) -> None:
    """IUA-06: definitions, operations, paths of nobody: 401."""
    assert told(await guarded_client.request(method, path))[:2] == (401, "login")


async def test_off(client: httpx.AsyncClient) -> None:
    """IUA-05, EHDS-23: switched off, everybody is let in, whatever they show; the statement names no security service."""
    for headers in ({}, bearer("abc"), {"authorization": "Basic eDp5"}):
        assert (await client.get("Patient?family=x", headers=headers)).status_code == 200
    assert "service" not in (await client.get("metadata")).json()["rest"][0].get("security", {})


async def test_static_token(guarded: Guarded, known: Known, tmp_path: Path) -> None:
    """EHDS-23, IUA-28: mode `static`: a configured bearer string with its scopes, and no other token."""
    scopes = {"auth": "static", "auth_file": "", "auth_token": "a-token-for-curl-0123", "auth_token_scope": "ITI-78"}
    async with guarded(**scopes) as client:
        shown = bearer("a-token-for-curl-0123")
        assert (await client.get("Patient?family=x", headers=shown)).status_code == 200
        assert told(await client.get(SEARCH.format(known.patient), headers=shown))[:2] == (401, "forbidden")
        for other in ("a-token-for-curl-0124", "a-token-for-curl-012", token()):
            assert told(await client.get("Patient?family=x", headers=bearer(other)))[:2] == (401, "security")


async def test_client_certificate(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """EHDS-23, IUA-28: a client that TLS knows has the scopes of its subject; a token beside counts in its place."""
    async with certificate(guarded_client, "CN=adt, O=North Hospital, C=SK") as client:
        assert (await client.get("Patient?family=x")).status_code == 200
        assert told(await client.get(SEARCH.format(known.patient)))[:2] == (401, "forbidden")
        assert (await client.get(SEARCH.format(known.patient), headers=bearer(token("ITI-67")))).status_code == 200
        assert told(await client.get("Patient?family=x", headers=bearer("abc")))[:2] == (401, "security")
    async with certificate(guarded_client, "CN=adt,O=South Hospital,C=SK") as client:
        assert told(await client.get("Patient?family=x"))[:2] == (401, "login")


@pytest.mark.parametrize(("proxy", "status"), [("127.0.0.0/8", 200), ("192.0.2.1", 401)])
async def test_certificate_told_by_a_proxy(guarded: Guarded, known: Known, proxy: str, status: int) -> None:
    """EHDS-23: the subject that a proxy verified counts when the proxy is trusted, and not from anybody else."""
    async with guarded(trusted_proxies=(proxy,), proxy_certificate_header="X-Client-Subject") as client:
        headers = {"X-Client-Subject": "CN=adt,O=North Hospital,C=SK"}
        assert (await client.get("Patient?family=x", headers=headers)).status_code == status


@pytest.mark.parametrize(("gateway", "status"), [("127.0.0.1", 200), ("192.0.2.0/24", 401)])
async def test_gateway(guarded: Guarded, gateway: str, status: int) -> None:
    """EHDS-23: mode `external`: whoever comes from the gateway is let in, and nobody else."""
    async with guarded(auth="external", auth_file="", trusted_proxies=(gateway,)) as client:
        assert (await client.get("Patient?family=x")).status_code == status


@pytest.mark.parametrize(
    ("extensions", "status"),
    [
        ({}, 401),
        ({"purpose_of_use": [{"system": "urn:x", "code": "TREAT"}]}, 401),
        ({"purpose_of_use": [{"system": "urn:x", "code": "TREAT"}], "subject_role": [{"code": "doctor"}]}, 401),
        (
            {
                "purpose_of_use": [{"system": "urn:x", "code": "TREAT"}, {"system": "urn:x", "code": "HPAYMT"}],
                "subject_role": [{"system": "urn:r", "code": "doctor"}],
            },
            200,
        ),
        (
            {
                "purpose_of_use": [{"system": "urn:y", "code": "TREAT"}],
                "subject_role": [{"system": "urn:r", "code": "doctor"}],
            },
            401,
        ),
    ],
)
async def test_rules_of_purpose_and_role(
    guarded: Guarded, known: Known, servers: Servers, tmp_path: Path, extensions: dict[str, Any], status: int
) -> None:
    """IUA-31, PDQM-SEC-03: a scope may count for certain purposes of use and roles only; other scopes are not concerned."""
    rule = '[[rule]]\nscope = "ITI-67"\npurposes = ["urn:x|TREAT", "urn:x|ETREAT"]\nroles = ["urn:r|doctor"]\n'
    (tmp_path / "auth.toml").write_text(f"{FILE}\n{rule}")
    async with guarded(auth_file=str(tmp_path / "auth.toml")) as client:
        shown = bearer(token("ITI-67 ITI-78", extensions={"ihe_iua": extensions}))
        answer = await client.get(SEARCH.format(known.patient), headers=shown)
        assert answer.status_code == status
        if status == 401:
            assert told(answer)[1:] == ("forbidden", f'{REALM}, error="insufficient_scope"')
        assert (await client.get("Patient?family=x", headers=shown)).status_code == 200


async def test_authorization_server_is_away(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-88: 503 `transient`, never access; tokens that need no question go on."""
    shown = servers.give("ITI-78")
    servers.introspection.mock(side_effect=httpx.ConnectError("refused"))

    answer = await guarded_client.get("Patient?family=x", headers=bearer(shown))

    assert told(answer) == (503, "transient", "")
    assert (await guarded_client.get("Patient?family=x", headers=bearer(token("ITI-78")))).status_code == 200


async def test_domain_is_fed_by_its_client(guarded_client: httpx.AsyncClient, known: Known, servers: Servers) -> None:
    """IUA-12, PIXM-104-14, register I2: the domain registry binds a domain to one `client_id`; another one's token gets 403."""
    url = f"Patient?identifier={KATARINA['identifier'][0]['system']}|N-1001"
    own, other = (bearer(token("ITI-104", client_id=client)) for client in ("north-adt", "south-his"))

    assert (await guarded_client.put(url, json=KATARINA, headers=own)).status_code == 200
    refused = await guarded_client.put(url, json=KATARINA, headers=other)

    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")


async def test_smart_feed(guarded: Guarded, known: Known, servers: Servers) -> None:
    """IUA-13: SMART scopes open the feed where the deployment says so."""
    shown = bearer(token("system/Patient.cud"))
    async with guarded(auth_smart_feed=True) as client:
        answer = await client.delete("Patient?identifier=urn:oid:2.999.10.1|nobody", headers=shown)
        assert answer.status_code not in (401, 403), answer.text
    async with guarded() as client:
        answer = await client.delete("Patient?identifier=urn:oid:2.999.10.1|nobody", headers=shown)
        assert told(answer)[:2] == (403, "forbidden")


def test_subjects_are_compared_without_blanks() -> None:
    """RFC 4514: a blank behind the comma is a way of writing; an escaped comma is none of them."""
    assert subject_key("CN=a, O=North Hospital") == "CN=a,O=North Hospital"
    assert subject_key("CN=a\\, b,O=c") == "CN=a\\, b,O=c"
