"""The patterns that audit events follow: BALP's five, and the few kinds that are none of them.

Spec: BALP 1.1.4, audit.md sections 3 and 7; MHD section 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.audit import codes
from app.fhir.resource import Resource

BASIC = f"{codes.BALP}/StructureDefinition/IHE.BasicAudit"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the events of one kind of interaction have in common.

    Attributes:
        type, action: of the event.
        client, server: types of the two agents: who of them is the source of the data depends on its direction.
        user: what the person behind the client is called.
        interaction: FHIR's code for `subtype`; empty when the event has none, `*` when it is the interaction's own.
        profile: of BALP, for data and for a patient's data: `Query` and `PatientQuery`; empty when BALP has none.
        has_query: an entity holds the request; else entities name the data.
        source: what kind of system records.
    """

    action: str
    client: Resource
    server: Resource
    user: Resource
    interaction: str = ""
    profile: str = ""
    has_query: bool = False
    type: Resource = field(default_factory=lambda: codes.REST)
    source: Resource = field(default_factory=lambda: codes.APPLICATION_SERVER)


_THERE = (codes.SOURCE, codes.DESTINATION)
_BACK = (codes.DESTINATION, codes.SOURCE)

PATTERNS: Mapping[str, Pattern] = {
    "Create": Pattern("C", *_THERE, codes.AUTHOR, "create", "Create"),
    "Read": Pattern("R", *_BACK, codes.RECIPIENT, "*", "Read"),
    "Update": Pattern("U", *_THERE, codes.AUTHOR, "update", "Update"),
    "Delete": Pattern("D", codes.APPLICATION, codes.CUSTODIAN, codes.AUTHOR, "delete", "Delete"),
    "Query": Pattern("E", *_THERE, codes.RECIPIENT, "search", "Query", has_query=True),
    "Operation": Pattern("E", *_THERE, codes.RECIPIENT, "operation", has_query=True),
    "Import": Pattern("C", *_THERE, codes.AUTHOR, type=codes.IMPORT),
    "Token": Pattern(
        "E",
        codes.APPLICATION,
        codes.AUTHORIZATION_SERVICE,
        codes.RECIPIENT,
        has_query=True,
        type=codes.USER_AUTHENTICATION,
        source=codes.SECURITY_SERVER,
    ),
    "Refusal": Pattern("E", *_THERE, codes.RECIPIENT, has_query=True, type=codes.SECURITY_ALERT),
}
