"""What was decided about a request beside its scopes: what was withheld, and what was opened in an emergency.

Spec: AUD-73; MHD-SEC-13; EHDS-110.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal["patient", "scope", "confidentiality", "consent", "break-glass"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, for the audit.

    Attributes:
        reason: `patient`: the token is bound to another one; `scope`: the query of a scope leaves it out;
            `confidentiality`: a label that the token is not cleared for; `consent`: the patient's restriction;
            `break-glass`: the latter two were lifted, because of the purpose of use.
        data: names of the records that were withheld, `Binary/1`; empty when a search was narrowed.
        patients: names of the Patients that it is about, as far as they are known.
        consents: names of the Consents that decided.
    """

    is_permitted: bool
    reason: Reason
    data: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()
