"""The patients' restrictions: Consents in their simplest form, kept as resources, and in force for the next request.

Reading order: `restriction` (what a Consent says) · `register` (all that are in force) · `consent` (over FHIR).

Spec: MHD-SEC-13; EHDS-110; FHIR R4 consent.html.
"""

from app.privacy.consent import CONSENTS

TRANSACTIONS = (CONSENTS,)
