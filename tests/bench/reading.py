"""Searches, reads and documents: the CPU time of a request to that of the bare route with the same bytes, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from tests.bench.ask import ANYTHING, FHIR, Client
from tests.bench.data import DOCUMENT_ID, DOMAIN, LETTER, Extent
from tests.bench.program import Program
from tests.bench.row import Row, milliseconds

ROUNDS = 21

Path = Callable[[int], str]


class Reading:
    """The server and the bare routes, side by side."""

    def __init__(self, ours: Program, limit: Program, extent: Extent, requests: int) -> None:
        self._ours, self._limit = ours, limit
        self._extent, self._requests = extent, requests

    def page(self) -> Row:
        """Measure ITI-67 with all 20 matches on one page."""
        return self._row("ITI-67 search, 20 of 20", self._letters, 1.7)

    def first_page(self) -> Row:
        """Measure ITI-67 with more matches than the page holds, so that the total is counted, here and there."""
        return self._row("ITI-67 search, 20 of 50", self._documents, 1.7, is_same=False)

    def lists(self) -> Row:
        """Measure ITI-66 with all 20 matches on one page."""
        return self._row("ITI-66 search, 20 of 20", self._submission_sets, None)

    def patient(self) -> Row:
        """Measure ITI-78 by identifier."""
        return self._row("ITI-78 by identifier", self._patient, 1.7)

    def read(self, record_id: str) -> Row:
        """Measure the read of a DocumentReference."""
        return self._row("read DocumentReference", lambda _: f"/fhir/DocumentReference/{record_id}", None)

    def document(self) -> Row:
        """Measure ITI-68 of a document of 1 MB."""
        ours, limit, ratio = self._compare(lambda _: f"/fhir/Binary/{DOCUMENT_ID}", self._requests // 4, ANYTHING)
        rate = f"{1 / ours:.0f} MB a CPU second"
        faster = 1 / ratio
        return Row("ITI-68 retrieve, 1 MB", rate, f"{1 / limit:.0f}", f"{faster:.2f}", ">= 0.70", faster >= 0.7)

    def _letters(self, number: int) -> str:
        patient = f"Patient/p{number % self._extent.patients}"
        return f"/fhir/DocumentReference?patient={patient}&status=current&type={LETTER}&_count=20"

    def _documents(self, number: int) -> str:
        return f"/fhir/DocumentReference?patient=Patient/p{number % self._extent.patients}&status=current&_count=20"

    def _submission_sets(self, number: int) -> str:
        patient = f"Patient/p{number % self._extent.patients}"
        return f"/fhir/List?patient={patient}&code=submissionset&status=current&_count=20"

    def _patient(self, number: int) -> str:
        return f"/fhir/Patient?identifier={DOMAIN}%7C{number % self._extent.patients}"

    def _row(self, name: str, path: Path, budget: float | None, *, is_same: bool = True) -> Row:
        if is_same:
            self._require_same(path(7))
        ours, limit, ratio = self._compare(path, self._requests)
        shown = (milliseconds(ours), milliseconds(limit), f"{ratio:.2f}")
        return Row(name, *shown, f"<= {budget:.2f}" if budget else "", ratio <= budget if budget else None)

    def _require_same(self, path: str) -> None:
        with Client(self._ours.port, 1) as ours, Client(self._limit.port, 1) as limit:
            answers = ours.get(path), limit.get(path)
        if answers[0] != answers[1]:
            raise RuntimeError(f"The bare route does not answer with the same bytes: {path}")

    def _compare(self, path: Path, requests: int, accept: str = FHIR) -> tuple[float, float, float]:
        """Return CPU seconds of a request here and there, and the ratio: medians of rounds that take turns.

        The ratio is that of two rounds which follow each other, since a machine is not always equally fast.
        """
        found: list[tuple[float, float]] = []
        with Client(self._ours.port) as ours, Client(self._limit.port) as limit:
            for turn in range(ROUNDS + 1):
                paths = [path(turn * 7919 + each * 13) for each in range(requests)]
                found.append((_cpu_s(self._ours, ours, paths, accept), _cpu_s(self._limit, limit, paths, accept)))
        found = found[1:]  # the first round warms up
        mine, best = (median(each[side] for each in found) for side in (0, 1))
        return mine, best, median(here / there for here, there in found)


def _cpu_s(program: Program, client: Client, paths: Sequence[str], accept: str) -> float:
    before = program.cpu_s()
    client.get_all(paths, accept=accept)
    return (program.cpu_s() - before) / len(paths)
