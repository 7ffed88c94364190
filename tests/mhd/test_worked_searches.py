"""Worked searches of MHD, E-13 and E-14: sent as they are written down, and answered as their tables say."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.fhir.packages import Packages
from app.fhir.xml import from_xml
from tests.mhd import worked_examples
from tests.mhd.conftest import details, issue
from tests.mhd.worked_examples import (
    FILE,
    FORM,
    XML,
    Story,
    blocks,
    contains,
    first,
    play_e02,
    play_e09,
    renewed,
    resources,
    section,
    table,
    told_once,
    told_with,
)

story = worked_examples.story

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the worked examples are not beside the checkout")


async def test_e13_lists(story: Story) -> None:
    """E-13: MHD-66-01, 02, 06, 10..12, 14..18, 20, 30, 32, 34: SubmissionSets and Folders, GET and POST."""
    await play_e09(story)
    get, post = blocks("E-13", "http")
    url = re.sub(r"\s+", "", re.findall(r"GET (.*?) HTTP", get, flags=re.DOTALL)[0])

    assert await story.found(url) == ["9b2e4c10"]
    expected, body = resources("E-13")[0], await story.read(url)
    links = [one["link"][0]["url"] for one in (expected, body)]
    assert parse_qsl(urlsplit(links[0]).query) == parse_qsl(urlsplit(links[1]).query)
    contains(body["entry"], json.loads(story.told(json.dumps(expected["entry"]))))
    address = re.findall(r"POST (\S+) HTTP", post)[0]
    by_post = await story.client.post(address, content=post.strip().splitlines()[-1], headers={"content-type": FORM})
    assert [one["resource"]["id"] for one in by_post.json()["entry"]] == [story.told("9b2e4c10")]

    queries = [cells[0].strip("`") for cells in table("E-13", "Query")]
    folder, no_source, by_identifier, superseded, nobody, unknown, bad = queries
    assert await story.found(f"List?{folder}") == ["b7d1e930"]
    assert await story.found(f"List?{no_source.replace('…&', 'patient=pat-1001&status=current&')}") == []
    assert await story.found(f"List?{by_identifier}") == ["b7d1e930"]
    assert await story.found(f"List?{superseded}") == []
    assert await story.found(f"List?{nobody}") == []
    assert await story.found(f"List?{unknown}") == ["b7d1e930"]
    assert "favourite" not in (await story.read(f"List?{unknown}"))["link"][0]["url"]
    assert (await story.get(f"List?{unknown}", prefer="handling=strict")).status_code == 400
    response = await story.get(f"List?{bad}")
    assert (response.status_code, issue(response)["severity"]) == (400, "error")


BOTH = {"77aa9e04", "a91be3d7"}
WORDS = {"both": BOTH, "none": set(), "`77aa9e04`": {"77aa9e04"}}


async def test_e14_documents(story: Story) -> None:
    """E-14: MHD-67-10..16, 18, 20; MHD-GEN-20..22: each row of the table."""
    await play_e09(story)
    start = re.findall(r"start with `GET \[base\]/(\S+)`", section("E-14"))[0]
    master = first("E-05")["entry"][2]["resource"]["masterIdentifier"]["value"]
    checked = 0
    for asked, expected in table("E-14", "Added to the query"):
        clauses = [(asked, expected.split(";")[0]), *((clause, clause) for clause in expected.split(";")[1:])]
        for query, said in clauses:
            word = next((word for word in WORDS if re.search(rf"(^|\s){word}", said)), "")
            added = re.findall(r"`&?([^`]*=[^`]*)`", query)
            if not word or not added:
                continue
            added[0] = added[0].replace("<masterIdentifier of E-05>", master)
            assert set(await story.found(f"{start}&{added[0]}")) == WORDS[word], added[0]
            checked += 1
    assert checked >= 15


async def test_e14_pages_and_times(story: Story) -> None:
    """E-14: MHD-67-17, MHD-67-21: one match a page and `next`; `_lastUpdated`; an identifier among the related."""
    await play_e09(story)
    start = re.findall(r"start with `GET \[base\]/(\S+)`", section("E-14"))[0]

    page = await story.read(f"{start}&_count=1")
    assert (page["total"], len(page["entry"])) == (2, 1)
    assert [link["relation"] for link in page["link"]] == ["self", "next"]
    newer = (await story.read("DocumentReference/a91be3d7"))["meta"]["lastUpdated"]
    assert await story.found(f"{start}&_lastUpdated=ge{newer}") == ["a91be3d7"]
    related = renewed(first("E-02"))
    accession = {"identifier": {"system": "urn:oid:2.999.5", "value": "ACC-2025-77"}}
    related["entry"][1]["resource"]["context"]["related"] = [accession]
    stored = (await story.post(related)).json()["entry"][1]["response"]["location"].split("/")[-3]
    assert await story.found(f"{start}&related:identifier=urn:oid:2.999.5|ACC-2025-77") == [stored]


@told_once
async def test_e14_post_in_xml(story: Story, packages: Packages) -> None:
    """E-14: MHD-67-01, MHD-GEN-02, MHD-GEN-14: a form with mixed encodings, answered as XML."""
    await play_e09(story)
    address = re.findall(r"POST (\S+) HTTP", blocks("E-14", "http")[0])[0]
    form = blocks("E-14", "http")[0].strip().splitlines()[-1]

    response = await story.client.post(address, content=form, headers={"content-type": FORM, "accept": XML})

    body = from_xml(response.content, packages.structures)
    assert (response.status_code, body["total"]) == (200, 2)
    assert {one["resource"]["id"] for one in body["entry"]} == {story.told("77aa9e04"), story.told("5d0c77a1")}


async def test_e14_warning(story: Story) -> None:
    """E-14: MHD-67-30, MHD-66-31: an ignored parameter is told in an entry that the total does not count."""
    expected = resources("E-14")[0]
    url = f"{expected['link'][0]['url']}&colour=red"

    body = (await story.get(url, prefer="handling=lenient")).json()

    assert (body["total"], [one["search"]["mode"] for one in body["entry"]]) == (0, ["outcome"])
    told, wanted = (one["entry"][0]["resource"]["issue"][0] for one in (body, expected))
    assert (told["severity"], told["code"]) == (wanted["severity"], wanted["code"])
    assert "colour" in told["diagnostics"]
    assert parse_qsl(urlsplit(body["link"][0]["url"]).query) == parse_qsl(urlsplit(expected["link"][0]["url"]).query)


OWN, FOREIGN = "urn:oid:2.999.10.1", "urn:oid:2.999.99"


@told_with(home_community_id=OWN, target_communities=True)
async def test_e15_target_communities(story: Story) -> None:
    """E-15: MHD-OPT-40..44, MHD-67-36: the own community, an unknown one, and both together."""
    await play_e02(story)
    own, refusal = resources("E-15")
    url = re.sub(r"\s+", "", re.findall(r"GET (.*?) HTTP", blocks("E-15", "http")[0], flags=re.DOTALL)[0])

    for found in (await story.read(url))["entry"]:
        contains(found["resource"], own)
    unknown = await story.get(url.replace(OWN, FOREIGN))
    assert (unknown.status_code, details(issue(unknown))) == (400, details(refusal["issue"][0]))
    both = await story.read(f"{url},{FOREIGN}")
    (outcome,) = [one["resource"] for one in both["entry"] if one["search"]["mode"] == "outcome"]
    assert both["total"] == 1
    assert [(one["severity"], details(one)) for one in outcome["issue"]] == [("warning", "XDSUnknownCommunity")]
