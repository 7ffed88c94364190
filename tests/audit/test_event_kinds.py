"""The table of transactions agrees with the transactions themselves, and with the profiles."""

from __future__ import annotations

import pytest

from app.audit.kinds import KINDS, kind_of
from app.audit.patterns import PATTERNS
from app.fhir.packages import Packages
from app.main import TRANSACTIONS
from app.transaction import NOTHING_KNOWN, Interaction, Transaction, complete

SERVED = [(one, each) for one in complete(TRANSACTIONS) for each in one.interactions]


@pytest.mark.parametrize(("transaction", "interaction"), SERVED, ids=lambda one: getattr(one, "path", one.code))
def test_every_interaction_has_its_events(transaction: Transaction, interaction: Interaction) -> None:
    """AUD-01, AUD-03, MHD-AU-01: whatever is offered is recorded, under the transaction's own code."""
    kind = kind_of(transaction, interaction, NOTHING_KNOWN)

    assert kind is not None
    assert kind.code == transaction.code
    assert kind.pattern in PATTERNS


@pytest.mark.parametrize(
    "transaction", [one for one in complete(TRANSACTIONS) if one.audit_profile], ids=lambda one: one.code
)
def test_profile_is_that_of_the_transaction(transaction: Transaction) -> None:
    """AUD-03: the profile that a transaction names is that of its events."""
    kinds = [kind_of(transaction, one, NOTHING_KNOWN) for one in transaction.interactions]
    assert transaction.audit_profile in {kind.profile for kind in kinds if kind}


def test_profiles_are_there(packages: Packages) -> None:
    """AUD-04: every profile that an event may claim is in a package, with the display that it wants for the code."""
    for kind in KINDS.values():
        for profile in filter(None, (kind.profile,)):
            definition = packages.structure_definition(profile)
            assert definition, profile
            wanted = [
                element["patternCoding"]["display"]
                for element in definition["differential"]["element"]
                if element.get("patternCoding", {}).get("code") == kind.code and "display" in element["patternCoding"]
            ]
            assert wanted in ([], [kind.display])
