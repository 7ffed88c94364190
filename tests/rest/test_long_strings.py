"""Documents are taken out of a body while it arrives (MHD-65-55: bytes are stored exactly as they were sent)."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fhir.media_type import JSON, XML
from app.fhir.outcome import FhirError
from app.rest.body import Arriving, Limits
from app.rest.long_strings import read_without_documents
from app.store.content import StagedContent

LONG = 16
LIMITS = Limits(body_bytes=1_000_000, resource_bytes=100_000)


class Kept:
    """Takes the place of the content store: keeps documents in memory, and which of them were discarded."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.largest_chunk = 0

    async def stage(self, chunks: AsyncIterator[bytes]) -> StagedContent:
        data = bytearray()
        async for chunk in chunks:
            self.largest_chunk = max(self.largest_chunk, len(chunk))
            data += chunk
        name = str(len(self.documents))
        self.documents[name] = bytes(data)
        return StagedContent(name, len(data), b"", None)

    async def discard(self, staged: StagedContent) -> None:
        del self.documents[staged.id]


async def arriving(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if chunk:
            yield chunk


async def taken_out(
    chunks: list[bytes], media_type: str = JSON, limits: Limits = LIMITS
) -> tuple[bytes, dict[str, bytes], Kept]:
    kept = Kept()
    body = Arriving(arriving(chunks), limits)
    rest, staged = await read_without_documents(body, media_type, kept, limits, LONG)  # type: ignore[arg-type]
    return rest, {token: kept.documents[one.id] for token, one in staged.items()}, kept


def put_back(body: bytes, documents: dict[str, bytes]) -> bytes:
    for token, document in documents.items():
        assert body.count(token.encode()) == 1
        body = body.replace(token.encode(), b64encode(document))
    return body


def splits(body: bytes) -> Iterator[list[bytes]]:
    for place in range(len(body) + 1):
        yield [body[:place], body[place:]]
    yield [body[place : place + 1] for place in range(len(body))]


DOCUMENT = bytes(range(40))
TEXT = b64encode(DOCUMENT)
JSON_BODY = b'{"resourceType":"Binary","contentType":"a/b","data" : "' + TEXT + b'","x":["data","data:"]}'
XML_BODY = (
    b'<Binary xmlns="http://hl7.org/fhir"><contentType value="a/b"/><data id="1" value="' + TEXT + b'"/></Binary>'
)


@pytest.mark.parametrize(("media_type", "body"), [(JSON, JSON_BODY), (XML, XML_BODY)])
async def test_document_is_found_wherever_the_body_is_split(media_type: str, body: bytes) -> None:
    """MHD-65-55: TCP cuts a body anywhere."""
    for chunks in splits(body):
        rest, documents, _ = await taken_out(chunks, media_type)
        assert list(documents.values()) == [DOCUMENT]
        assert put_back(rest, documents) == body


async def test_short_text_stays_where_it_is() -> None:
    """A text of at most the threshold is left to the parser."""
    body = b'{"data":"' + b64encode(bytes(12)) + b'", "note":"' + b"x" * 100 + b'"}'
    assert len(b64encode(bytes(12))) == LONG
    rest, documents, _ = await taken_out([body])
    assert (rest, documents) == (body, {})


async def test_small_body_is_not_searched() -> None:
    """The fast path: a body that is shorter than the threshold is joined."""
    assert (await taken_out([b'{"da', b'ta":1}']))[0] == b'{"data":1}'


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(b"A", b"A\\n", 1),
        TEXT.replace(b"/", b"\\/"),
        TEXT.replace(b"A", b"A \\r\\n\\t", 1),
        TEXT.replace(b"A", b"\\u0041", 1),
        TEXT[:-1] + b"\\u003d",
        b" " + TEXT + b" ",
    ],
)
async def test_json_spellings_of_base64(text: bytes) -> None:
    """MHD-65-55: base64 may hold whitespace; JSON may write characters as escapes; both split anywhere."""
    for chunks in splits(b'{"data":"' + text + b'"}'):
        rest, documents, _ = await taken_out(chunks)
        assert list(documents.values()) == [DOCUMENT]
        assert re.fullmatch(rb'\{"data":"[A-Za-z0-9+/]{32}"\}', rest)


@pytest.mark.parametrize(
    "text", [TEXT.replace(b"A", b"A&#10;", 1), TEXT.replace(b"A", b"A&#xA;\n", 1), TEXT.replace(b"A", b"&#x41;", 1)]
)
async def test_xml_spellings_of_base64(text: bytes) -> None:
    """MHD-65-55: the same in XML, whichever quote ends the value."""
    for quote in (b'"', b"'"):
        for chunks in splits(b"<data value=" + quote + text + quote + b"/>"):
            _, documents, _ = await taken_out(chunks, XML)
            assert list(documents.values()) == [DOCUMENT]


@pytest.mark.parametrize(
    "text",
    [
        b"!" * 40,
        TEXT[:-1],
        TEXT + b"AAAA",
        b"A" * 41,
        b"\\\\" * 40,
        TEXT + b'\\"',
        b"A" * 40 + b"=AAA",
        b"=" * 40,
        b"A" * 20 + "é".encode() * 10,
        b"12.5 13.5 14.0 15.0 16.0",
    ],
)
async def test_what_is_not_base64_is_refused_and_nothing_is_left(text: bytes) -> None:
    """MHD-65-55, MHD-ERR-03: 400 `value` naming `data`; documents before it are discarded."""
    body = b'[{"data":"' + TEXT + b'"},{"data":"' + text + b'"}]'
    for chunks in splits(body):
        kept = Kept()
        with pytest.raises(FhirError) as caught:
            await read_without_documents(Arriving(arriving(chunks), LIMITS), JSON, kept, LIMITS, LONG)  # type: ignore[arg-type]
        issue = caught.value.issues[0]
        assert (caught.value.status, issue.code, issue.expression) == (400, "value", "data")
        assert kept.documents == {}


async def test_body_that_ends_within_a_document_is_refused() -> None:
    """MHD-ERR-03: a broken upload leaves nothing."""
    kept = Kept()
    with pytest.raises(FhirError) as caught:
        await read_without_documents(Arriving(arriving([b'{"data":"' + TEXT]), LIMITS), JSON, kept, LIMITS, LONG)  # type: ignore[arg-type]
    assert (caught.value.issues[0].code, kept.documents) == ("structure", {})


@pytest.mark.parametrize(
    "limits", [Limits(body_bytes=60, resource_bytes=100_000), Limits(body_bytes=100_000, resource_bytes=60)]
)
async def test_limits_hold_while_the_body_arrives(limits: Limits) -> None:
    """MHD-SEC-08: too large is 413 `too-long`, XDSRepositoryOutOfResources, and nothing is left."""
    body = b'{"data":"' + TEXT + b'","note":"' + b"x" * 200 + b'"}'
    for chunks in splits(body):
        kept = Kept()
        with pytest.raises(FhirError) as caught:
            await read_without_documents(Arriving(arriving(chunks), limits), JSON, kept, limits, LONG)  # type: ignore[arg-type]
        issue = caught.value.issues[0]
        assert (caught.value.status, issue.code, issue.details) == (413, "too-long", "XDSRepositoryOutOfResources")
        assert kept.documents == {}


async def test_documents_do_not_count_as_resource() -> None:
    """MHD-65-55: a document may be larger than what the parser takes."""
    document = bytes(3000)
    body = b'{"data":"' + b64encode(document) + b'"}'
    rest, documents, _ = await taken_out([body], limits=Limits(body_bytes=10_000, resource_bytes=100))
    assert list(documents.values()) == [document]
    assert len(rest) == 43


async def test_chunks_are_handed_on_as_they_arrive() -> None:
    """Constant memory: what is decoded at once is no more than what arrived at once."""
    body = b'{"data":"' + b64encode(bytes(30_000)) + b'"}'
    _, documents, kept = await taken_out([body[place : place + 100] for place in range(0, len(body), 100)])
    assert len(next(iter(documents.values()))) == 30_000
    assert kept.largest_chunk <= 100


json_texts = st.recursive(
    st.text() | st.integers() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "url", 'x"data']), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    value=json_texts,
    documents=st.lists(st.binary(min_size=20, max_size=200), max_size=3),
    size=st.integers(1, 64),
    indent=st.sampled_from([None, 0, 2]),
)
async def test_any_body_comes_back_whole(value: object, documents: list[bytes], size: int, indent: int | None) -> None:
    """MHD-65-55: tokens put back, the body is the one that was sent; all documents were found."""

    def without_long_data(one: object) -> object:
        if isinstance(one, dict):
            return {
                name: None if name == "data" and isinstance(item, str) else without_long_data(item)
                for name, item in one.items()
            }
        return [without_long_data(item) for item in one] if isinstance(one, list) else one

    content = {"value": without_long_data(value), "entries": [{"data": b64encode(one).decode()} for one in documents]}
    body = json.dumps(content, indent=indent).encode()
    rest, found, _ = await taken_out([body[place : place + size] for place in range(0, len(body), size)])
    if len(body) > LONG:
        assert list(found.values()) == documents
    assert put_back(rest, found) == body


@settings(deadline=None)
@given(
    documents=st.lists(st.binary(min_size=20, max_size=200), max_size=3),
    size=st.integers(1, 64),
    note=st.text("<>& \"'data=value", max_size=60),
)
async def test_any_xml_body_comes_back_whole(documents: list[bytes], size: int, note: str) -> None:
    """MHD-65-55: the same in XML, with a prefix and with escaped text around."""
    root = ET.Element("f:Bundle", {"xmlns:f": "http://hl7.org/fhir", "note": note})
    for one in documents:
        ET.SubElement(root, "f:data", {"value": b64encode(one).decode()})
    body = ET.tostring(root)
    rest, found, _ = await taken_out([body[place : place + size] for place in range(0, len(body), size)], XML)
    assert list(found.values()) == documents
    assert put_back(rest, found) == body
