"""Every scope with every transaction and every kind of token, over HTTP: the table of `matrix.py`.

Spec: IUA-10, IUA-11, IUA-22, IUA-24; EHDS-11, EHDS-16 to EHDS-18; MHD-SEC-02, MHD-SEC-03.
"""

from __future__ import annotations

import httpx
import pytest

from tests.security.conftest import Known
from tests.security.issuing import Servers, bearer, token
from tests.security.matrix import ALWAYS, CALLS, KINDS, SCOPES

CELLS = [(scope, call, kind) for scope in SCOPES for call in CALLS for kind in KINDS]

BAD = {
    "none": None,
    "expired": {"exp": 1_600_000_000, "iat": 1_599_999_700},
    "other-audience": {"aud": "https://other.example.org/fhir"},
    "other-issuer": {"iss": "https://nobody.example.org"},
}


async def ask(client: httpx.AsyncClient, known: Known, call: str, headers: dict[str, str]) -> httpx.Response:
    """Make a call, about what is stored."""
    made = CALLS[call]
    names = {name: getattr(known, name) for name in Known.__slots__}
    url = made.url
    for name, value in names.items():
        url = url.replace(f"{{{name}}}", value)
    if call.endswith("-post"):
        return await client.post(url, data={"patient": known.patient, "status": "current"}, headers=headers)
    body = made.body(known) if made.body else None
    sent = headers | {"Content-Type": "application/fhir+json"} if body else headers
    return await client.request(made.method, url, json=body, headers=sent)


def test_matrix_is_large_enough() -> None:
    """At least 400 cells."""
    assert len(CELLS) >= 400


@pytest.mark.parametrize(("scope", "call", "kind"), CELLS)
async def test_cell(
    guarded_client: httpx.AsyncClient, known: Known, servers: Servers, scope: str, call: str, kind: str
) -> None:
    """IUA-10, IUA-11, IUA-13, IUA-22, IUA-24, IUA-87, EHDS-16, EHDS-17, EHDS-18, MHD-SEC-02, PIXM-SEC-02, PDQM-SEC-02:
    what the scope opens is answered; anything else is 401 in IUA's dialect, 403 in SMART's."""
    shown = token(scope) if kind == "signed" else servers.give(scope)

    answer = await ask(guarded_client, known, call, bearer(shown))

    if call in f"{SCOPES[scope]} {ALWAYS}".split():
        assert answer.status_code in (200, 201), answer.text
        return
    assert answer.status_code == (401 if "ITI-" in scope else 403), answer.text
    assert answer.json()["issue"][0]["code"] == "forbidden"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", BAD)
async def test_no_good_token(
    guarded_client: httpx.AsyncClient, known: Known, servers: Servers, call: str, kind: str
) -> None:
    """IUA-06, IUA-22, EHDS-11, MHD-SEC-03: without a token, and with one that does not hold, everything is 401."""
    changes = BAD[kind]
    headers = {} if changes is None else bearer(token("ITI-65 ITI-66 system/*.cruds", **changes))

    answer = await ask(guarded_client, known, call, headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert ("error=" in answer.headers["www-authenticate"]) == (kind != "none")
