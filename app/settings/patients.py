"""Settings: what PIXm and PDQm leave to a deployment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from app.settings.documents import Documents
from app.settings.shape import number
from app.switches import DeprecatedQuery, DeprecatedSearch, FeedClientId


class Patients(Documents):
    """Domains, feeding, querying."""

    domains: str = Field("", description="file of the identifier domains; empty: those of the example data, if loaded")
    home_country: str = Field(
        "", pattern="^([A-Z]{2})?$", description="country whose national telephone numbers are understood, such as AT"
    )
    pix_target_id: bool = Field(True, description="ITI-83 answers with references to Patients too")
    deprecated_query: DeprecatedQuery = Field(
        "not-found", description="ITI-83 for a number that was merged away or deactivated: not-found or empty"
    )
    deprecated_search: DeprecatedSearch = Field(
        "survivor", description="merged records in ITI-78: with their survivor, flagged alone, or omitted"
    )
    unknown_domain: Literal[404, 200] = Field(404, description="ITI-78 status when a domain filter names no domain")
    min_search_params: bool = Field(False, description="refuse an ITI-78 search that narrows nothing")
    remove_patient: bool = Field(True, description="ITI-104 takes conditional deletes")
    feed_client_id: FeedClientId = Field("strict", description="`id` in a Patient fed first: strict refuses, or ignore")
    allow_unmerge: bool = Field(False, description="a source may undo its own merge by feeding")
    required_profile: str = Field("", description="profile that fed Patients must meet beside PIXm's, canonical URL")

    _known = field_validator("unknown_domain", mode="before")(number)
