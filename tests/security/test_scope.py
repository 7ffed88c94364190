"""One grammar for all dialects of scopes: SMART App Launch 2.2; IUA-10 to IUA-13; EHDS-16, EHDS-17."""

from __future__ import annotations

import pytest

from app.security.scope import Aliases, Grant, admitting, granting, needs_grant, parse, wanted


@pytest.mark.parametrize(
    ("scope", "context", "resource_type", "rights"),
    [
        ("system/DocumentReference.rs", "system", "DocumentReference", "rs"),
        ("patient/*.cruds", "patient", "*", "cruds"),
        ("user/Patient.c", "user", "Patient", "c"),
        ("user/Patient.read", "user", "Patient", "rs"),
        ("user/Patient.write", "user", "Patient", "cud"),
        ("system/*.*", "system", "*", "cruds"),
        ("system/DocumentReference.search", "system", "DocumentReference", "s"),
        ("system/DocumentReference.create", "system", "DocumentReference", "c"),
    ],
)
def test_dialects(scope: str, context: str, resource_type: str, rights: str) -> None:
    """EHDS-16: SMART v2, SMART v1 and the words of the guides are one grammar."""
    assert parse(scope) == (Grant("", context, resource_type, frozenset(rights)),)


@pytest.mark.parametrize(
    "scope",
    [
        "system/DocumentReference.sr",
        "system/DocumentReference.rr",
        "system/DocumentReference.",
        "system/DocumentReference",
        "system/documentreference.rs",
        "system/DocumentReference.rs?",
        "system/DocumentReference.rs?category",
        "system/DocumentReference.rs?category=%FF",
        "System/DocumentReference.rs",
        "everybody/DocumentReference.rs",
        "system/*.rsx",
        "ITI-999",
        "iti-67",
        "openid",
        "launch/patient",
        "offline_access",
        "",
        " ",
        "ITI-67\tITI-68",
    ],
)
def test_unknown_grants_nothing(scope: str) -> None:
    """IUA-10, IUA-11, EHDS-16: letters out of order, another case, a broken query: dropped, and no failure."""
    assert parse(scope) == ()
    assert parse(f"{scope} ITI-67") == parse("ITI-67")


def test_query_restricts() -> None:
    """EHDS-16, EHDS-21: a query is kept, decoded, as pairs."""
    (grant,) = parse("system/DocumentReference.rs?category=http://loinc.org%7C26436-6&status=current")

    assert grant.query == (("category", "http://loinc.org|26436-6"), ("status", "current"))


@pytest.mark.parametrize(
    ("scope", "transaction", "needed", "is_granted"),
    [
        ("ITI-67", "ITI-67", "DocumentReference.s", True),
        ("ITI-67", "ITI-68", "Binary.r", False),
        ("ITI-67", "", "DocumentReference.s", True),
        ("ITI-67", "", "List.s", False),
        ("ITI-67", "", "DocumentReference.s List.s", True),
        ("ITI-83", "ITI-83", "ITI-83", True),
        ("ITI-78", "ITI-83", "ITI-83", False),
        ("system/Patient.s", "ITI-83", "ITI-83", True),
        ("system/Patient.s", "ITI-119", "ITI-119", True),
        ("system/Patient.r", "ITI-119", "ITI-119", False),
        ("ITI-65", "ITI-65", "transaction", True),
        ("ITI-65", "ITI-65", "List.c", True),
        ("system/List.c", "ITI-65", "transaction", True),
        ("system/List.c", "ITI-65", "DocumentReference.c", False),
        ("system/Patient.c", "ITI-65", "transaction", False),
        ("system/Patient.cud", "ITI-104", "Patient.u", False),
        ("system/*.rs", "ITI-81", "AuditEvent.s", False),
        ("system/AuditEvent.rs", "ITI-81", "AuditEvent.s", True),
        ("ITI-81", "ITI-81", "AuditEvent.s", True),
        ("ITI-20", "ITI-81", "AuditEvent.s", False),
        ("admin", "", "admin", True),
        ("system/*.cruds", "", "admin", False),
        ("system/Binary.r", "ITI-68", "Bundle.r", False),
    ],
)
def test_granting(scope: str, transaction: str, needed: str, is_granted: bool) -> None:
    """IUA-10, EHDS-17: by the transaction's name, or by type and letter; what is about audit needs its own scope."""
    assert bool(granting(parse(scope), transaction, needed)) == is_granted


def test_either_right_begins_a_retrieval() -> None:
    """EHDS-17: what is stored decides whether it was `Bundle.r` or `Binary.r` that was needed; the path does not."""
    grants = parse("system/Bundle.r")

    assert admitting(grants, "ITI-68", "Binary.r") == grants
    assert granting(grants, "ITI-68", "Binary.r") == ()


@pytest.mark.parametrize(
    ("aliases", "scope", "transaction", "needed", "is_granted"),
    [
        (Aliases(), "ITI-65", "ITI-105", "DocumentReference.c", True),
        (Aliases(simplified_by_iti65=False), "ITI-65", "ITI-105", "DocumentReference.c", False),
        (Aliases(smart_feed=True), "system/Patient.cud", "ITI-104", "Patient.u", True),
        (Aliases(smart_feed=True), "system/Patient.c", "ITI-104", "Patient.d", False),
        (Aliases(smart_feed=True), "system/Patient.rs", "ITI-104", "Patient.c", False),
        (Aliases(relaxed_publish=True), "system/DocumentReference.c", "ITI-65", "List.c", True),
        (Aliases(relaxed_publish=True), "system/DocumentReference.rs", "ITI-65", "List.c", False),
        (Aliases(), "system/DocumentReference.c", "ITI-65", "List.c", False),
    ],
)
def test_aliases(aliases: Aliases, scope: str, transaction: str, needed: str, is_granted: bool) -> None:
    """IUA-13, EHDS-17, EHDS-18: what a deployment lets a scope stand for, and no more."""
    assert bool(granting(parse(scope, aliases), transaction, needed)) == is_granted


def test_definitions_need_no_scope() -> None:
    """IUA-06: any token opens what the server says of itself."""
    assert [needs_grant(scope) for scope in ("*.v", "ValueSet.s", "Patient.s", "ITI-83", "transaction")] == [
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("transaction", "scope", "is_iua", "expected"),
    [
        ("ITI-119", "ITI-119", True, "ITI-119"),
        ("ITI-119", "ITI-119", False, "system/Patient.s"),
        ("ITI-67", "DocumentReference.s", False, "system/DocumentReference.s"),
        ("", "DocumentReference.s", True, "ITI-67"),
        ("ITI-104", "Patient.u", False, "ITI-104"),
        ("", "admin", False, "admin"),
    ],
)
def test_what_would_have_sufficed(transaction: str, scope: str, is_iua: bool, expected: str) -> None:
    """IUA-25: the scope that is needed is named in the words of the token's dialect."""
    assert wanted(transaction, scope, is_iua=is_iua) == expected
