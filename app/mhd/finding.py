"""What the searches of the Document Responder have in common: by type, for one patient, over the whole system.

Spec: IHE ITI TF-2:3.66.4.1.2.1, 2:3.67.4.1.2.1; option Target Communities, 1:33.2; MHD-66-18, MHD-OPT-40..44.
"""

from __future__ import annotations

from dataclasses import replace

from app.document.communities import PARAMETER, check_communities
from app.document.vocabulary import MHD
from app.fhir.outcome import Issue
from app.switches import Switches
from app.transaction import Option, RequestMessage

# What the option adds to a search of `resource_type`.
TARGET = f"{MHD}/CapabilityStatement/IHE.MHD.DocumentResponder.Target"


# Issue codes of refused searches, as MHD's table of errors has them (mhd.md section 15).
CODES = {"value": "invalid", "modifier": "invalid"}


def target_communities(resource_type: str) -> Option:
    """Return what the option Target Communities adds to the search of a type."""
    return Option(search_parameters={resource_type: (PARAMETER,)}, instantiates=(TARGET,))


def of_type(message: RequestMessage, resource_type: str) -> RequestMessage:
    """Return `message` in R4's words: the section's `superseded` is no status of a List; `retired` is (A-08)."""
    if resource_type != "List":
        return message
    return replace(message, query=tuple(_of_list(*pair) for pair in message.query))


def _of_list(name: str, text: str) -> tuple[str, str]:
    if name.partition(":")[0] != "status":
        return name, text
    return name, ",".join("retired" if code == "superseded" else code for code in text.split(","))


def not_offered(switches: Switches) -> tuple[str, ...]:
    """Return the names of parameters that belong to options that are off, and are then not known (MHD-OPT-44)."""
    return () if switches.target_communities else (PARAMETER,)


def warnings_about(message: RequestMessage, switches: Switches) -> list[Issue]:
    """Return what there is to say about the communities that a search names.

    Raises:
        FhirError: `not-found` (400), `XDSUnknownCommunity`.
    """
    return check_communities(message.query, switches) if switches.target_communities else []
