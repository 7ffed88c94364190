"""Patient Demographics Query [ITI-78]: the Patient Demographics Supplier's side.

A Patient Demographics Consumer asks for the patients whose demographics match; the answer is a searchset Bundle. What
is fed with ITI-104 is found at once.

Spec: IHE ITI TF-2:3.78 (https://profiles.ihe.net/ITI/PDQm/ITI-78.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.fhir.media_type import fhir_format
from app.fhir.outcome import FhirError
from app.fhir.resource import fill_in_base
from app.interaction import about_record, answer_with, find, is_known, version_headers
from app.patient.copies import copies
from app.patient.demographics import Demographics, demographics
from app.patient.persons import survivors_of
from app.search.criteria import Terms
from app.search.query import Query
from app.store.record import Match
from app.transaction import Context, FhirJson, RequestMessage, ResponseMessage, Transaction, read, search_type

PDQM = "https://profiles.ihe.net/ITI/PDQm"

# What the Patient Demographics Supplier must implement: 2:3.78.4.1.2.1, in the order of the section.
SEARCH_PARAMETERS = (
    "_id",
    "active",
    "family",
    "given",
    "identifier",
    "telecom",
    "birthdate",
    "address",
    "address-city",
    "address-country",
    "address-postalcode",
    "address-state",
    "gender",
    "mothersMaidenName",
    "_lastUpdated",
)


# The published statement lists these once more, as a parameter of their own: `family:exact`.
EXACT = (
    "family",
    "given",
    "address",
    "address-city",
    "address-country",
    "address-postalcode",
    "address-state",
    "mothersMaidenName",
)


async def patient_demographics_query(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a Patient Demographics Query (2:3.78.4.1.3 Expected Actions).

    Args:
        message: `query` holds the search parameters as sent, order and repeats kept.

    Returns:
        200 and a Bundle of type searchset (2:3.78.4.2.2).

    Raises:
        FhirError: `value`, `not-supported`, `too-costly` (400); `not-found` (404) for a domain filter that names an
            unknown domain.
    """
    return await _answer(demographics(message, context), context)


async def search_system_for_patients(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer the same asked of the whole system, with `_type=Patient` (PDQM-78-10).

    Returns, Raises: as `patient_demographics_query`.
    """
    bare = replace(message, query=tuple(pair for pair in message.query if pair[0] != "_type"))
    asked = demographics(bare, context, path="")
    query = replace(asked.query, applied=(("_type", "Patient"), *asked.query.applied))
    answer = await _answer(replace(asked, query=query), context)
    return replace(answer, about=replace(answer.about, transaction="ITI-78", interaction="search-type"))


async def _answer(asked: Demographics, context: Context) -> ResponseMessage:
    found = await context.store.search(asked.query)
    survivors = await _survivors(found.entries, context)
    entries = await copies(found.entries, context, asked.domains, survivors)
    also = await copies(survivors, context, asked.domains, found.entries)
    answer = await answer_with(replace(found, entries=entries), asked.query, context, asked.warnings, also)
    return replace(answer, headers={**answer.headers, "Cache-Control": "no-store"})


async def read_patient(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer a read of one Patient (2:3.78.4.3).

    Returns:
        200, or 304 when the client has this version already.

    Raises:
        FhirError: `not-found` (404), also for one that was removed (PIXM-104-55); `not-supported` (400) for a format
            that is not available, where a search says 406 (PDQM-78-83).
    """
    if fhir_format(message.accept, message.asked_format) is None:
        raise FhirError("not-supported", "The format is not available; JSON and XML are.", status=400)
    try:
        kept = await find(message, context)
    except FhirError as error:
        raise _unknown(message) if error.status == 410 else error from None
    headers = {**version_headers(kept), "Cache-Control": "no-store"}
    about = about_record(kept)
    if is_known(message, kept):
        return ResponseMessage(304, headers=headers, about=about)
    (shown,) = await copies([Match("Patient", kept.id, kept.json)], context)
    return ResponseMessage(200, FhirJson(fill_in_base(shown.json, context.base_url)), headers, about)


def _unknown(message: RequestMessage) -> FhirError:
    return FhirError("not-found", f"There is no Patient/{message.variables['id']}.")


async def _survivors(found: Sequence[Match], context: Context) -> tuple[Match, ...]:
    """Return the records that replaced some of `found` and are not among them (PDQM-78-70, PDQM-78-71)."""
    if context.switches.deprecated_search != "survivor":
        return ()
    merged = [one.id for one in found if b'"replaced-by"' in one.json]
    ends = (
        set((await survivors_of(context.store.facts, merged)).values()) - {one.id for one in found} if merged else set()
    )
    if not ends:
        return ()
    page = await context.store.search(
        Query("Patient", Terms("_id", tuple(sorted(ends))), count=len(ends), total="none")
    )
    return page.entries


ITI78 = Transaction(
    code="ITI-78",
    name="Patient Demographics Query",
    client="Patient Demographics Consumer",
    server="Patient Demographics Supplier",
    interactions=(*search_type("Patient", patient_demographics_query), *read("Patient", read_patient)),
    search_parameters={"Patient": (*SEARCH_PARAMETERS, *(f"{name}:exact" for name in EXACT))},
    supported_profiles={"Patient": (f"{PDQM}/StructureDefinition/IHE.PDQm.Patient",)},
    instantiates=(f"{PDQM}/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",),
    audit_profile=f"{PDQM}/StructureDefinition/IHE.PDQm.Query.Audit.Supplier",
)
