"""FHIR's plain interactions, as transactions use them.

Spec: FHIR R4 http.html, search.html.
"""

from app.interaction.conditional import if_none_exist
from app.interaction.read import find, is_known, read_resource, version_headers
from app.interaction.search import query_of, require_parameters, search_resources, search_url

__all__ = [
    "find",
    "if_none_exist",
    "is_known",
    "query_of",
    "read_resource",
    "require_parameters",
    "search_resources",
    "search_url",
    "version_headers",
]
