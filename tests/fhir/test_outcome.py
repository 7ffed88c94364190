"""OperationOutcome: what is told is legal FHIR, whatever a client sent. FHIR R4 operationoutcome.html."""

from __future__ import annotations

from app.fhir.outcome import Issue, operation_outcome


def test_control_characters_are_not_repeated() -> None:
    """FHIR R4 datatypes.html#string: a value that is quoted may have characters that no string has."""
    (found,) = operation_outcome([Issue("invalid", "`\x00/x\x1f` is no date\n", details="X")])["issue"]

    assert found["diagnostics"] == "`\N{REPLACEMENT CHARACTER}/x\N{REPLACEMENT CHARACTER}` is no date\n"
    assert found["details"]["text"] == found["diagnostics"]
