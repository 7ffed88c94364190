"""Consents over FHIR: a patient's restriction is created, found, and revoked by an update to `inactive`.

Nothing is deleted: who restricted what, and when it was lifted, stays in the versions.

Spec: FHIR R4 consent.html, http.html; MHD-SEC-13; EHDS-110. No IHE transaction.
"""

from __future__ import annotations

from dataclasses import replace

from app.fhir.outcome import FhirError, require_none
from app.fhir.resource import Resource, fill_in_base
from app.interaction import query_of, read_resource, search_resources, version_headers
from app.privacy.register import keep
from app.privacy.restriction import ACTIVE, restriction_of
from app.store.change import Create, Update, VersionConflict
from app.store.record import Kept
from app.transaction import (
    About,
    Context,
    FhirJson,
    Interaction,
    RequestMessage,
    ResponseMessage,
    Transaction,
    create,
    read,
    search_type,
)

SEARCH_PARAMETERS = ("_id", "_lastUpdated", "date", "patient", "status")


async def find_consents(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a search for Consents.

    Returns:
        200 and a Bundle of type searchset.
    """
    return await search_resources(query_of(message, context, "Consent"), context)


async def create_consent(message: RequestMessage, context: Context) -> ResponseMessage:
    """Keep a new Consent; what it restricts is restricted from the next request on.

    Returns:
        201 and the Consent.

    Raises:
        FhirError: 400 for what is no valid Consent, 422 for what is not understood, or whose patient is not known.
    """
    consent = await _checked(message.resource, context)
    kept = await keep(Create({**consent, "id": context.new_id()}), context.store, context.now())
    return _answer(201, kept, consent, context)


async def update_consent(message: RequestMessage, context: Context) -> ResponseMessage:
    """Keep the next version of a Consent.

    Returns:
        200 and the Consent.

    Raises:
        FhirError: `not-found` (404) for one that is not there; `conflict` (412) when `If-Match` names another version,
            or somebody else was faster; else as `create_consent`.
    """
    record_id = message.variables["id"]
    current = await context.store.read("Consent", record_id)
    consent = await _checked(message.resource, context)
    if consent.get("id", record_id) != record_id:
        raise FhirError("invalid", "`id` differs from the one in the URL.", expression="Consent.id")
    if (sent := message.headers.get("if-match")) and sent.removeprefix("W/").strip('" ') != str(current.version):
        raise FhirError("conflict", f"The Consent is at version {current.version}.")
    change = Update({**consent, "id": record_id}, if_version=current.version)
    try:
        return _answer(200, await keep(change, context.store, context.now()), consent, context)
    except VersionConflict as error:
        raise FhirError("conflict", "The Consent was changed by somebody else at the same time.") from error


async def _checked(resource: Resource | None, context: Context) -> Resource:
    if resource is None or resource.get("resourceType") != "Consent":
        raise FhirError("structure", "A Consent was expected.")
    require_none(context.validator.validate(resource), status=400)
    restriction = restriction_of(resource, context.base_url)
    if resource["status"] == ACTIVE:
        await _require_known(restriction.patients[0], context)
    return {**resource, "patient": {**resource["patient"], "reference": restriction.patients[0]}}


async def _require_known(name: str, context: Context) -> None:
    try:
        await context.store.read(*name.split("/"))
    except FhirError as error:
        if error.status not in (404, 410):
            raise
        text = f"`{name}` is not known here."
        raise FhirError("business-rule", text, expression="Consent.patient") from error


def _answer(status: int, kept: Kept, consent: Resource, context: Context) -> ResponseMessage:
    name = f"Consent/{kept.id}/_history/{kept.version}"
    headers = version_headers(kept) | {"Location": f"{context.base_url}/{name}"}
    about = About((consent["patient"],), ({"reference": name},))
    return ResponseMessage(status, FhirJson(fill_in_base(kept.json, context.base_url)), headers, about)


def _or_admin(interaction: Interaction) -> Interaction:
    return replace(interaction, scope=f"{interaction.scope} admin")


CONSENTS = Transaction(
    code="",
    name="Restrictions by patients",
    client="Consent manager",
    server="Access control",
    interactions=tuple(
        _or_admin(each)
        for each in (
            *search_type("Consent", find_consents),
            *read("Consent", read_resource),
            *create("Consent", create_consent),
            Interaction("update", "PUT", "Consent/{id}", update_consent, "Consent", "Consent.u"),
        )
    ),
    search_parameters={"Consent": SEARCH_PARAMETERS},
    documentation="`provision.type` deny or permit, with `purpose` and `actor.reference.identifier`; revoked by "
    "`status` inactive.",
    option="consents",
)
