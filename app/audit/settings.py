"""What a deployment says of its audit events.

Spec: AUD-08, AUD-25, AUD-29, AUD-52, AUD-60.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Claims = Literal["opaque", "minimal", "comprehensive"]
Patients = Literal["each", "named"]


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What is the same in all events of a server, and how much they say.

    Attributes:
        base_url: the public `[base]`, without a slash at the end.
        server: what the server is called in its events.
        site: where it stands; empty when nobody says.
        claims: how much of an access token an event repeats.
        patients: a search makes an event for `each` patient it found, or for those that it `named` only.
        clear_query: a search is also written down decoded, for people to read.
    """

    base_url: str
    server: str = "fhir-server"
    site: str = ""
    claims: Claims = "minimal"
    patients: Patients = "each"
    clear_query: bool = False
