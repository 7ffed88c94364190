"""FHIR's plain interactions, as transactions use them.

Spec: FHIR R4 http.html, search.html.
"""

from app.interaction.concerned import about_record, patient_of, patients_of, versioned
from app.interaction.conditional import if_none_exist
from app.interaction.read import find, is_known, read_resource, version_headers
from app.interaction.search import answer_with, query_of, require_parameters, search_resources, search_url
from app.interaction.search_system import asked_types, queries_of, search_types

__all__ = [
    "about_record",
    "answer_with",
    "asked_types",
    "find",
    "if_none_exist",
    "is_known",
    "patient_of",
    "patients_of",
    "queries_of",
    "query_of",
    "read_resource",
    "require_parameters",
    "search_resources",
    "search_types",
    "search_url",
    "version_headers",
    "versioned",
]
