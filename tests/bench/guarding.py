"""What authorization adds to a request: the server with it and without, side by side; the audit is off in both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.bench.ask import Client
from tests.bench.data import LETTER, Extent
from tests.bench.program import Program, server
from tests.bench.row import Row, milliseconds

ROUNDS = 15
BUDGET = 0.15
ISSUER, AUDIENCE = "https://login.example.org", "https://fhir.example.org"

# What is measured -> the scopes of the token, and how many tokens take turns.
TOKENS = {
    "a known token": ("system/*.rs", 1),
    "a token of IUA": ("ITI-67", 1),
    "a new token each time": ("system/*.rs", 0),
}


def rows(mongodb_url: str, folder: Path, extent: Extent, requests: int) -> Iterator[Row]:
    """Measure ITI-67 with all 20 matches on one page: CPU of a request with authorization, without, and what it adds."""
    key = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)
    (folder / "issuer.pem").write_bytes(key.as_pem(private=False))
    settings = {
        "MHD_AUDIT": "false",
        "MHD_AUTH": "iua",
        "MHD_AUTH_ISSUER": ISSUER,
        "MHD_AUTH_AUDIENCE": AUDIENCE,
        "MHD_AUTH_JWKS_FILE": str(folder / "issuer.pem"),
    }
    with (
        server(mongodb_url, folder, more=settings) as on,
        server(mongodb_url, folder, more={"MHD_AUDIT": "false"}) as off,
    ):
        for name, (scope, known) in TOKENS.items():
            budget = BUDGET if known else None
            yield _row(name, on, off, _paths(extent, requests), _Tokens(key, scope, known), budget)


class _Tokens:
    """Tokens of one issuer: the same one again and again, or another for each round."""

    def __init__(self, key: RSAKey, scope: str, known: int) -> None:
        self._key, self._scope, self._known = key, scope, known
        self._made: list[str] = []

    def next(self) -> str:
        """Return a token."""
        if not self._known or not self._made:
            self._made.append(self._signed(len(self._made)))
        return self._made[-1]

    def _signed(self, number: int) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "app", "client_id": "app", "scope": self._scope}
        claims |= {"jti": f"j{number}", "iat": now, "exp": now + 3600}
        return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self._key)


def _row(
    name: str, on: Program, off: Program, rounds: Sequence[Sequence[str]], tokens: _Tokens, budget: float | None
) -> Row:
    with Client(on.port, 4) as guarded, Client(off.port, 4) as free:
        found = [(_cpu_s(on, guarded, paths, tokens), _cpu_s(off, free, paths, None)) for paths in rounds]
    found = found[1:]  # the first round warms up
    mine, bare = (median(each[side] for each in found) for side in (0, 1))
    added = median(here / there for here, there in found) - 1
    told = (f"<= +{budget:.0%}", added <= budget) if budget else ("", None)
    return Row(f"ITI-67 with {name}", milliseconds(mine), milliseconds(bare), f"+{added:.0%}", *told)


def _paths(extent: Extent, requests: int) -> list[list[str]]:
    about = f"status=current&type={LETTER}&_count=20"
    return [
        [
            f"/fhir/DocumentReference?patient=Patient/p{(turn * 7919 + each * 13) % extent.patients}&{about}"
            for each in range(requests)
        ]
        for turn in range(ROUNDS + 1)
    ]


def _cpu_s(program: Program, client: Client, paths: Sequence[str], tokens: _Tokens | None) -> float:
    shown = [tokens.next() if tokens else "" for _ in paths]  # signed before the clock starts
    before = program.cpu_s()
    for start in range(0, len(paths), 4):
        client.get_all(paths[start : start + 4], token=shown[start])
    return (program.cpu_s() - before) / len(paths)
