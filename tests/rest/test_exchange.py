"""One request from HTTP to HTTP: what is told, logged and left behind."""

from __future__ import annotations

import logging
import sys
from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest

from app.rest.log import JsonLines
from tests.rest.conftest import Serve


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        ("abc-123", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ('a"b', False),
        ("ä".encode().decode("latin-1"), False),
    ],
)
async def test_request_id_is_echoed_when_it_is_harmless(http: httpx.AsyncClient, sent: str, is_kept: bool) -> None:
    """Request id in log and answer; what could break a log line is replaced."""
    answer = await http.get("/fhir/Patient/1", headers={b"X-Request-Id": sent.encode("latin-1")})
    assert (answer.headers["x-request-id"] == sent) is is_kept
    assert len(answer.headers["x-request-id"]) <= 128


async def test_every_request_has_an_id_of_its_own(http: httpx.AsyncClient) -> None:
    """Also when nothing is found."""
    ids = [(await http.get(f"/fhir/{path}")).headers["x-request-id"] for path in ("Patient/1", "Patient/1", "Nothing")]
    assert len(set(ids)) == 3


async def test_fault_of_ours_tells_the_client_nothing(http: httpx.AsyncClient) -> None:
    """MHD-ERR-05: 500 with a generic text."""
    answer = await http.get("/fhir/Patient/broken")
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (500, "exception")
    assert "Ada" not in answer.text


async def test_log_has_no_patient_data(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """MHD-SEC-07: transaction, status, duration and request id; neither query nor id nor an exception's message."""
    with caplog.at_level(logging.INFO, "app"):
        await http.get("/fhir/Patient?family=Lovelace", headers={"X-Request-Id": "r1"})
        await http.get("/fhir/Patient/broken", headers={"X-Request-Id": "r2"})
        await http.post("/fhir/Patient/_search", data={"family": "Lovelace"})
    lines = "\n".join(
        JsonLines(with_messages=False).format(record) for record in caplog.records if record.name == "app"
    )
    for text in (
        '"transaction":"OWN-1"',
        '"status":200',
        '"ms":',
        '"request":"r1"',
        '"request":"r2"',
        "RuntimeError at",
    ):
        assert text in lines
    assert "Lovelace" not in lines
    assert "Ada" not in lines


async def test_messages_of_exceptions_are_logged_for_debugging_only() -> None:
    """MHD-SEC-07: the level `debug` is not for production."""
    try:
        raise ValueError("Ada")
    except ValueError:
        record = logging.LogRecord("app", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    assert "Ada" not in JsonLines(with_messages=False).format(record)
    record.exc_text = None
    assert "Ada" in JsonLines(with_messages=True).format(record)


LARGE = bytes(range(256)) * 6000


def binary(data: bytes) -> dict[str, object]:
    return {"resourceType": "Binary", "contentType": "a/b", "data": b64encode(data).decode()}


async def staged(client: httpx.AsyncClient) -> int:
    database = client.app.state.context.store._database  # type: ignore[attr-defined]
    names = await database.list_collection_names()
    return sum([await database[name].count_documents({}) for name in names if "content" in name])


async def test_large_document_is_taken_out_of_the_body(http: httpx.AsyncClient) -> None:
    """MHD-65-55: a handler finds it under the text that stands in its place."""
    answer = await http.post("/fhir/Binary/$documents", json=binary(LARGE))
    first, body = answer.json()["parameter"]
    assert first["valueInteger"] == len(LARGE)
    assert body["resource"] == {"resourceType": "Binary", "contentType": "a/b", "data": first["name"]}


async def test_large_document_in_xml(http: httpx.AsyncClient) -> None:
    """MHD-GEN-04: the same in XML."""
    text = b64encode(LARGE)
    body = b'<Binary xmlns="http://hl7.org/fhir"><contentType value="a/b"/><data value="' + text + b'"/></Binary>'
    answer = await http.post(
        "/fhir/Binary/$documents?_format=json", content=body, headers={"Content-Type": "application/fhir+xml"}
    )
    assert answer.json()["parameter"][0]["valueInteger"] == len(LARGE)


async def test_refused_document_is_not_kept(serve: Serve) -> None:
    """MHD-ERR-03: whatever the reason, nothing is left."""
    text = b64encode(LARGE).decode()
    bodies = [
        f'{{"resourceType":"Basic","contained":[{{"resourceType":"Binary","data":"{text}"}}]}}',  # by the handler
        f'{{"resourceType":"Binary","data":"{text}"',  # not JSON
        f'{{"resourceType":"Binary","data":"{text}","data":"{text}"}}',  # twice
        f'{{"resourceType":"Binary","data":"{text}","data":""}}',  # hidden
        f'{{"resourceType":"Patient","photo":[{{"data":"{text}"}}]}}',  # too long for its place
        f'{{"resourceType":"Binary","data":"{text}!"}}',  # not base64
    ]
    async with serve() as client:
        before = await staged(client)
        for body in bodies:
            answer = await client.post(
                "/fhir/Binary/$documents", content=body, headers={"Content-Type": "application/json"}
            )
            assert 400 <= answer.status_code < 500, body[:60]
            assert await staged(client) == before, body[:60]


async def test_long_text_in_another_place_stays_there(http: httpx.AsyncClient) -> None:
    """MHD-GEN-09: a photo that is longer than the threshold is part of its Patient."""
    photo = b64encode(bytes(300_000)).decode()
    answer = await http.post("/fhir", json={"resourceType": "Patient", "photo": [{"data": photo}]})
    assert answer.json() == {"resourceType": "Patient", "photo": [{"data": photo}]}


async def test_too_large_is_told_before_it_is_read(serve: Serve) -> None:
    """MHD-SEC-08: 413 `too-long`, by `Content-Length` or by what arrives."""

    async def chunks(size: int):  # type: ignore[no-untyped-def]
        for _ in range(size):
            yield b" " * 1000

    async with serve(max_body_bytes=5_000) as client:
        for content in (b" " * 5_001, chunks(6)):
            answer = await client.post("/fhir", content=content, headers={"Content-Type": "application/json"})
            (issue,) = answer.json()["issue"]
            assert (answer.status_code, issue["code"]) == (413, "too-long")
            assert issue["details"]["coding"][0]["code"] == "XDSRepositoryOutOfResources"
        assert (await client.post("/fhir", json={"resourceType": "Patient"})).status_code == 201


async def test_caller_who_goes_away_is_no_fault_of_ours(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """MHD-ERR-03: half a body is refused, nothing is left and nothing is logged as an error."""
    half: dict[str, object] = {"type": "http.request", "body": b"{", "more_body": True}
    messages: Iterator[dict[str, object]] = iter([half, {"type": "http.disconnect"}])
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return next(messages)

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/fhir+json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/fhir",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    async with serve() as client:
        await client.app(scope, receive, send)  # type: ignore[attr-defined]
    assert sent[0]["status"] == 400
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
