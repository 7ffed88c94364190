"""The worked exchanges of MHD, read from `mhd-examples.md` of the specification, and a server that they are sent to.

What comes after each other there comes after each other here: the names that the examples give to stored resources are
replaced by those that the server gave.
"""

from __future__ import annotations

import copy
import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.store.change import Create
from app.store.resources import Store
from tests.conftest import PROJECT
from tests.mhd.conftest import Server, details, issue
from tests.mhd.in_xml import InXml

FILE = PROJECT.parent / "shared" / "spec" / "mhd-examples.md"
BASE = "https://fhir.klinik-bergtal.example/r4"
JSON, XML, FORM = "application/fhir+json", "application/fhir+xml", "application/x-www-form-urlencoded"


def section(name: str) -> str:
    """Return the text of the exchange `name`; "" for what stands before the first."""
    parts = re.split(r"^## (E-\d\d) .*$", FILE.read_text(), flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))[name]


def blocks(name: str, language: str = "json") -> list[str]:
    """Return the code blocks of one language in an exchange."""
    return re.findall(rf"^```{language}\n(.*?)^```", section(name), flags=re.MULTILINE | re.DOTALL)


def resources(name: str) -> list[Any]:
    """Return the JSON blocks of an exchange, parsed."""
    return [json.loads(block) for block in blocks(name)]


def bundles(name: str, kind: str) -> list[Resource]:
    """Return the Bundles of type `kind` in an exchange."""
    return [one for one in resources(name) if one.get("type") == kind]


def row(cells: str) -> list[str]:
    """Return the cells of a table row; `\\|` in a cell is `|`."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", cells)[1:-1]]


def table(name: str, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is `heading`."""
    lines = section(name).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {heading} "))
    end = next(at for at, line in enumerate(lines[start:], start) if not line.startswith("|"))
    return [row(line) for line in lines[start + 2 : end]]


def first(name: str) -> Resource:
    """Return the first transaction Bundle of an exchange."""
    return copy.deepcopy(bundles(name, "transaction")[0])


def renewed(made: Resource) -> Resource:
    """Return a Bundle of the same content whose fullUrls and identifiers are new."""
    known: dict[str, str] = {}

    def new(match: re.Match[str]) -> str:
        value = f"urn:uuid:{uuid.uuid4()}" if match[1] == "uuid:" else f"urn:oid:2.25.{uuid.uuid4().int}"
        return known.setdefault(match[0], value)

    loaded: Resource = json.loads(re.sub(r"urn:(uuid:|oid:2\.25\.)[0-9a-f-]+", new, json.dumps(made)))
    return loaded


class Story:
    """A server that knows the two patients of the examples, and what it called the resources that they name."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.ids: dict[str, str] = {}

    def told(self, text: str) -> str:
        """Return `text` with the names that this server gave."""
        for example, own in self.ids.items():
            text = text.replace(example, own)
        return text

    async def post(self, made: Resource, **headers: str) -> httpx.Response:
        body = self.told(json.dumps(made))
        return await self.client.post("", content=body, headers={"content-type": JSON, "accept": JSON} | headers)

    async def get(self, url: str, **headers: str) -> httpx.Response:
        return await self.client.get(self.told(url), headers={"accept": JSON} | headers)

    async def read(self, url: str) -> Resource:
        response = await self.get(url)
        assert response.status_code == 200, response.text
        found: Resource = response.json()
        return found

    async def exchange(self, made: Resource, expected: Resource) -> httpx.Response:
        """Post a Bundle that is accepted, and hold the answer against the expected one; learn the names in it."""
        response = await self.post(made)
        assert response.status_code == 200, response.text
        body = response.json()
        assert (body["resourceType"], body["type"]) == ("Bundle", "transaction-response")
        for told, wanted in zip(body["entry"], expected["entry"], strict=True):
            assert "outcome" not in told["response"]
            example, own = wanted["response"]["location"].split("/"), told["response"]["location"].split("/")
            self.ids.setdefault(example[-3], own[-3])
            assert told["response"]["location"] == self.told(wanted["response"]["location"])
            assert {name: told["response"][name] for name in ("status", "etag")} == {
                name: wanted["response"][name] for name in ("status", "etag")
            }
            assert told["response"]["lastModified"]
            assert (await self.get(told["response"]["location"])).status_code == 200
        return response

    async def found(self, url: str) -> list[str]:
        """Return the names that the examples use for what a search finds."""
        body = await self.read(url)
        examples = {own: example for example, own in self.ids.items()}
        ids = [one["resource"]["id"] for one in body.get("entry", []) if one["search"]["mode"] == "match"]
        assert body["total"] == len(ids)
        return [examples.get(one, one) for one in ids]


def contains(actual: Any, expected: Any, path: str = "") -> None:
    """Assert that everything in `expected` is in `actual`; lists are compared item by item."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert name in actual, f"{path}.{name}"
            contains(actual[name], value, f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), path
        for at, (one, other) in enumerate(zip(actual, expected, strict=True)):
            contains(one, other, f"{path}[{at}]")
    else:
        assert actual == expected, path


def refused(response: httpx.Response, status: int, expected: Resource) -> None:
    """Assert that a refusal has the status, the codes and the expression of the expected one."""
    assert response.status_code == status, response.text
    told, wanted = issue(response), expected["issue"][0]
    assert (told["severity"], told["code"], details(told)) == (wanted["severity"], wanted["code"], details(wanted))
    assert told["expression"][0].startswith(wanted["expression"][0])


# For exchanges that are about the format themselves, and use both.
told_once = pytest.mark.parametrize("story", [("json", {})], indirect=True, ids=["json"])


def told_with(**switches: Any) -> pytest.MarkDecorator:
    """Tell the story with `switches`, in both formats."""
    return pytest.mark.parametrize("story", [("json", switches), ("xml", switches)], indirect=True, ids=["json", "xml"])


@pytest.fixture(params=[("json", {}), ("xml", {})], ids=["json", "xml"])
async def story(request: pytest.FixtureRequest, server: Server, store: Store, packages: Packages) -> Story:
    """The server of the examples, before the first of them; each of them is told in JSON, and again in XML."""
    media_type, switches = request.param
    people = [Create(one) for one in resources("") if one.get("resourceType") == "Patient"]
    await store.commit(people, datetime.now(UTC))
    transport = (await server(base_url=BASE, **switches))._transport
    if media_type == "xml":
        transport = InXml(transport, packages)
    return Story(httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60))


async def play_e02(story: Story) -> None:
    await story.exchange(first("E-02"), bundles("E-02", "transaction-response")[0])


async def play_e05(story: Story) -> None:
    await play_e02(story)
    await story.exchange(first("E-05"), bundles("E-05", "transaction-response")[0])


async def play_e09(story: Story) -> None:
    await play_e05(story)
    for sent, expected in zip(bundles("E-09", "transaction"), bundles("E-09", "transaction-response"), strict=True):
        await story.exchange(sent, expected)
