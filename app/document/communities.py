"""Communities: where a document or list is at home, and those that a search may be narrowed to.

This server forwards no question. The communities that it serves are its own and those whose documents it holds, as
settings say; so none of them is ever out of reach, and `XDSUnavailableCommunity` does not occur.

Spec: MHD option Target Communities, 1:33.2; MHD-OPT-40..44, MHD-66-37, MHD-67-36.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.document.vocabulary import HOME_COMMUNITY_ID
from app.fhir.outcome import FhirError, Issue
from app.fhir.resource import Resource
from app.switches import Switches

PARAMETER = "targetCommunityIdList"
UNKNOWN_COMMUNITY = "XDSUnknownCommunity"


def with_home_community(resource: Resource, switches: Switches) -> Resource:
    """Return a DocumentReference or List with the own community's id, where one is configured and none was sent."""
    home, extensions = switches.home_community_id, resource.get("extension", [])
    if not home or any(one.get("url") == HOME_COMMUNITY_ID for one in extensions):
        return resource
    return {**resource, "extension": [*extensions, {"url": HOME_COMMUNITY_ID, "valueOid": home}]}


def check_communities(asked: Iterable[tuple[str, str]], switches: Switches) -> list[Issue]:
    """Return a warning for each community that a search names and that is not served here (MHD-OPT-42).

    Args:
        asked: names and values of the search.

    Raises:
        FhirError: `not-found` (400), `XDSUnknownCommunity`, when one parameter names no other communities.
    """
    served = {switches.home_community_id, *switches.known_communities}
    warnings: list[Issue] = []
    for name, text in asked:
        named = [one for one in text.split(",") if one] if name == PARAMETER else []
        unknown = [one for one in named if one not in served]
        if named and unknown == named:
            raise FhirError.of([_unknown(one, "error") for one in unknown], status=400)
        warnings += [_unknown(one, "warning") for one in unknown]
    return warnings


def _unknown(community: str, severity: str) -> Issue:
    text = f"Search parameter `{PARAMETER}`: the community `{community[:200]}` is not served here."
    return Issue("not-found", text, severity=severity, details=UNKNOWN_COMMUNITY)
