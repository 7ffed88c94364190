"""The search type uri: FHIR R4 search.html#uri; MHD-GEN-24."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.fhir.resource import Resource
from tests.builders import document_reference
from tests.search.conftest import BASE_URL

Finds = Callable[[Resource, str], bool]
COMMUNITY = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-HomeCommunityId"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("targetCommunityIdList=urn:oid:1.2.3", True),
        ("targetCommunityIdList=urn:oid:1.2.4,urn:oid:1.2.3", True),
        ("targetCommunityIdList=urn:oid:1.2", False),
        ("targetCommunityIdList=URN:OID:1.2.3", False),
        ("_profile=http://p.example/a/b", True),
        ("_profile=http://p.example/a/b|2.0", True),
        ("_profile=http://p.example/a/b|3.0", False),
        ("_profile=http://p.example/a", False),
        ("_profile:below=http://p.example/a", True),
        ("_profile:below=http://p.example/a/", True),
        ("_profile:below=http://p.example/a/b/c", False),
        ("_profile:above=http://p.example/a/b/c", True),
        ("_profile:above=http://p.example/a", False),
        ("location=Binary/7", True),
        (f"location={BASE_URL}/Binary/7", True),
    ],
)
def test_uris(finds: Finds, query: str, expected: bool) -> None:
    """MHD-GEN-24: exact and case-sensitive; a profile with and without its version; our own URLs in any form."""
    resource = document_reference(
        "1",
        meta={"profile": ["http://p.example/a/b|2.0"]},
        extension=[{"url": COMMUNITY, "valueOid": "urn:oid:1.2.3"}],
        content=[{"attachment": {"url": "\x00/Binary/7"}}],
    )
    assert finds(resource, query) is expected
