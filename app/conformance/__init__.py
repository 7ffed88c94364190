"""FHIR's own conformance doors: what a resource must look like, and whether this one does."""

from app.conformance.definitions import DEFINITIONS
from app.conformance.validate import VALIDATE

TRANSACTIONS = (VALIDATE, DEFINITIONS)
