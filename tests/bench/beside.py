"""ITI-83 and ITI-119 beside the bare driver: CPU of the server to that of a route that reads the same records.

The bare route is told what to read: the key of ITI-83, the blocking keys and the answer's ids of ITI-119. It neither
normalises nor scores, checks nothing, and joins what it read; so its ITI-119 is what the candidates cost by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from urllib.parse import urlencode

import orjson

from app.patient.keys import match_keys
from app.patient.vector import Conventions, match_vector
from tests.bench.ask import Client
from tests.bench.program import Program
from tests.bench.questions import Question
from tests.bench.row import Row, milliseconds

ROUNDS, REQUESTS = 15, 60
CONVENTIONS = Conventions(trusted={"urn:oid:2.999.1.5": ""})

Asked = tuple[str, bytes]


def ratios(ours: Program, limit: Program, asked: dict[str, list[Question]], size: int) -> list[Row]:
    """Return the rows of both transactions."""
    return [
        _row(f"ITI-83, {size:,}", ours, limit, asked["ITI-83"], _bare_pix, 1.7),
        _row(f"ITI-119, {size:,}", ours, limit, asked["ITI-119"], _bare_match, None),
    ]


def _row(
    name: str,
    ours: Program,
    limit: Program,
    asked: Sequence[Question],
    bare: Callable[[Question, Client], Asked],
    budget: float | None,
) -> Row:
    found: list[tuple[float, float]] = []
    with Client(ours.port, 1) as here, Client(limit.port, 1) as there:
        pairs = [((one.path, one.body), bare(one, here)) for one in asked[: REQUESTS * 4]]
        for turn in range(ROUNDS + 1):
            part = [pairs[(turn * REQUESTS + each) % len(pairs)] for each in range(REQUESTS)]
            mine = _cpu_s(ours, here, [one for one, _ in part])
            found.append((mine, _cpu_s(limit, there, [one for _, one in part])))
    found = found[1:]
    mine, best = (median(each[side] for each in found) for side in (0, 1))
    ratio = median(a / b for a, b in found)
    is_met = ratio <= budget if budget else None
    return Row(
        name, milliseconds(mine), milliseconds(best), f"{ratio:.2f}", f"<= {budget:.2f}" if budget else "", is_met
    )


def _cpu_s(program: Program, client: Client, asked: Sequence[Asked]) -> float:
    before = program.cpu_s()
    for path, body in asked:
        status, told = client.post(path, body) if body else client.get(path)
        if status != 200:
            raise RuntimeError(f"{path}: status {status}: {told[:300]!r}")
    return (program.cpu_s() - before) / len(asked)


def _bare_pix(question: Question, here: Client) -> Asked:
    key = question.about.key
    return "/pix?" + urlencode({"token": f"{key.system}|{key.value}"}), b""


def _bare_match(question: Question, here: Client) -> Asked:
    told = orjson.loads(here.post(question.path, question.body)[1])
    ids = [one["resource"]["id"] for one in told.get("entry", ())]
    keys = match_keys(match_vector(orjson.loads(question.body), CONVENTIONS))
    return "/match", orjson.dumps({"keys": keys, "ids": ids})
