"""Invariants: the constraints of types and profiles, as checks.

The hot ones are Python (`hot_invariants.py`); the others are FHIRPath, compiled by `app.fhir.path`, or run by
`fhirpathpy` where that can and ours cannot. One that neither understands is named in `problems`.

Spec: FHIR R4 conformance-rules.html#constraints; elementdefinition.html#ElementDefinition.constraint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.fhir import path
from app.fhir.structure import Invariant, Structures
from app.validation.finding import Finding, Findings, by
from app.validation.hot_invariants import HOT, Holds
from app.validation.place import Place

Check = Callable[[Any, Place], Findings]


class Invariants:
    """Compiles invariants, each expression once.

    Args:
        structures: the R4 tables, which tell FHIRPath the types.
        problems: receives those that cannot be evaluated.
    """

    def __init__(self, structures: Structures, problems: list[str]) -> None:
        self._structures = structures
        self._problems = problems
        self._compiled: dict[tuple[str, str], Holds | None] = {}

    def check(self, invariant: Invariant, source: str, where: str) -> Check | None:
        """Return the check of an invariant on values of the type or element path `where`; None when it always holds.

        Args:
            source: canonical URL of the profile that demands it; empty for R4.
        """
        if HOT.get("".join(invariant.expression.split())) is HOT["htmlChecks()"]:
            return None
        holds = self._holds(invariant, source, where)
        if holds is None:
            return None
        words = f": {invariant.human}" if invariant.human and invariant.human != invariant.key else "."
        severity = "error" if invariant.severity == "error" else "warning"
        text = f"Constraint `{invariant.key}` of {by(source)} is not met{words}"

        def run(value: Any, place: Place) -> Findings:
            return None if holds(value, place) else [Finding("invariant", text, severity)]

        return run

    def _holds(self, invariant: Invariant, source: str, where: str) -> Holds | None:
        expression = invariant.expression
        hot = HOT.get("".join(expression.split()))
        if hot is not None:
            return hot
        key = (expression, where)
        if key not in self._compiled:
            self._compiled[key] = self._compile(invariant, source, where)
        return self._compiled[key]

    def _compile(self, invariant: Invariant, source: str, where: str) -> Holds | None:
        try:
            compiled = path.compile(invariant.expression, self._structures)
        except path.Unsupported as reason:
            return self._other_engine(invariant, source, str(reason))
        return lambda value, place: compiled.is_met(value, place.environment(where))

    def _other_engine(self, invariant: Invariant, source: str, reason: str) -> Holds | None:
        import fhirpathpy  # noqa: PLC0415 - its grammar takes a tenth of a second to load, and few packages need it

        try:
            evaluate = fhirpathpy.compile(invariant.expression)
            evaluate({}, {"resource": {}, "rootResource": {}})
        except Exception as error:  # noqa: BLE001 - the library raises whatever its own code raises
            words = f"invariant `{invariant.key}` of {by(source)} is not checked: {reason}; fhirpathpy: {error}"
            if words not in self._problems:
                self._problems.append(words)
            return None
        return _guarded(evaluate)


def _guarded(evaluate: Callable[..., list[Any]]) -> Holds:
    def holds(value: Any, place: Place) -> bool:
        try:
            return evaluate(value, {"resource": place.resource, "rootResource": place.root}) != [False]
        except Exception:  # noqa: BLE001 - the library raises on data it did not expect; that is no finding
            return True

    return holds
