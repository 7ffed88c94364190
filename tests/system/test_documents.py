"""Documents of 20 MB published and fetched by curl, and the refusals that it sees."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from app.fhir.packages import Packages
from app.fhir.resource import Resource, to_json
from app.fhir.xml import to_xml
from tests.submissions import changed, entry, sha1, submission, submission_set, urn
from tests.system.conftest import Curl
from tests.system.program import Program, database_of, records, served, wait_until

JSON, XML = "application/fhir+json", "application/fhir+xml"


@cache
def large_pdf() -> bytes:
    """Return 20 MB and a few bytes that begin as a PDF does; all byte values occur."""
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + random.Random(65).randbytes(20_000_003) + b"\n%%EOF\n"


def letter(**attachment: object) -> Resource:
    """Return a submission of the PDF whose attachment says all there is to say about it."""
    document = large_pdf()
    made = submission(document, subject="Patient/luka", content_type="application/pdf")
    made["entry"][1]["resource"]["content"][0]["attachment"] |= {
        "size": len(document),
        "hash": sha1(document),
        **attachment,
    }
    return made


def written(resource: Resource, media_type: str, packages: Packages) -> bytes:
    return to_json(resource) if media_type == JSON else to_xml(resource, packages.structures)


@pytest.mark.parametrize("media_type", [JSON, XML])
def test_20_mb_come_back_byte_for_byte(server: Program, curl: Curl, packages: Packages, media_type: str) -> None:
    """MHD-65-52, MHD-65-53, MHD-65-55, MHD-65-56, MHD-68-01, MHD-68-02, MHD-GEN-04, MHD-GEN-08."""
    sent = letter()
    body = written(sent, media_type, packages)

    published = curl.post(server.url, body, media_type, "-H", f"Accept: {JSON}")
    assert published.status == 200, published.body
    _, reference, binary = (one["response"] for one in published.json()["entry"])
    attachment = curl(reference["location"]).json()["content"][0]["attachment"]
    document = curl(attachment["url"])

    declared = sent["entry"][1]["resource"]["content"][0]["attachment"]
    assert {name: attachment[name] for name in ("contentType", "size", "hash")} == {
        name: declared[name] for name in ("contentType", "size", "hash")
    }
    assert binary["location"].startswith(attachment["url"])
    assert document.status == 200
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["content-length"] == str(len(large_pdf()))
    assert document.headers["etag"] == '"1.document"'  # of bytes that never change: a strong one
    assert base64.b64encode(hashlib.sha1(document.body, usedforsecurity=False).digest()).decode() == declared["hash"]
    assert document.body == large_pdf()


def test_20_mb_as_a_binary_resource(server: Program, curl: Curl) -> None:
    """MHD-68-04: asked for FHIR, the document comes as the `data` of a Binary, all of it."""
    published = curl.post(server.url, to_json(letter()), JSON)
    location = published.json()["entry"][2]["response"]["location"]

    wrapped = curl(location, "-H", f"Accept: {JSON}")

    assert wrapped.headers["content-type"].startswith(JSON)
    assert int(wrapped.headers["content-length"]) == len(wrapped.body)
    assert wrapped.json()["contentType"] == "application/pdf"
    assert base64.b64decode(wrapped.json()["data"]) == large_pdf()


def two_submission_sets() -> Resource:
    made = submission(subject="Patient/ida")
    made["entry"].append(entry(submission_set(subject={"reference": "Patient/ida"})))
    return made


def edited(path: str, value: object) -> Callable[[], Resource]:
    return lambda: changed(submission(subject="Patient/ida"), path, value)


ATTACHMENT = "entry.1.resource.content.0.attachment"

# name -> Bundle, status, issue code, what the expression of the issue contains
REFUSALS: dict[str, tuple[Callable[[], Resource], int, str, str]] = {
    "wrong type of bundle": (edited("type", "collection"), 400, "", "Bundle.type"),
    "missing profile": (edited("meta", None), 400, "required", "Bundle.meta.profile"),
    "two SubmissionSets": (two_submission_sets, 400, "required", "Bundle.entry"),
    "wrong hash": (edited(f"{ATTACHMENT}.hash", sha1(b"")), 422, "business-rule", "resource.content[0].attachment.hash"),
    "wrong size": (edited(f"{ATTACHMENT}.size", 3), 422, "business-rule", "[1].resource.content[0].attachment.size"),
    "wrong hash of 20 MB": (lambda: letter(hash=sha1(b"other")), 422, "business-rule", "attachment.hash"),
    "dangling urn:uuid": (edited(f"{ATTACHMENT}.url", urn()), 400, "not-found", "attachment.url"),
    "no such code": (edited("entry.1.resource.status", "active"), 400, "code-invalid", "entry[1].resource.status"),
}  # fmt: skip


@pytest.mark.parametrize("media_type", [JSON, XML])
@pytest.mark.parametrize("name", REFUSALS)
def test_refused_submission(
    server: Program, shared_folder: Path, curl: Curl, packages: Packages, name: str, media_type: str
) -> None:
    """MHD-65-119, MHD-ERR-03, MHD-ERR-06, MHD-65-20: status, issue code, element; every collection as it was."""
    make, status, code, place = REFUSALS[name]
    with database_of(shared_folder) as database:
        before = records(database)
        answer = curl.post(server.url, written(make(), media_type, packages), media_type, "-H", f"Accept: {JSON}")
        after = records(database)

    assert answer.status == status, answer.body
    first = answer.json()["issue"][0]
    assert first["severity"] == "error"
    assert code in ("", first["code"])
    assert place in first["expression"][0]
    assert after == before


# name -> body, Content-Type, status, issue code
BODIES: dict[str, tuple[bytes, str, int, str]] = {
    "unknown element": (to_json(edited("entry.1.resource.staus", "current")()), JSON, 400, "structure"),
    "malformed JSON": (b'{"resourceType": "Bundle",', JSON, 400, "structure"),
    "malformed XML": (b"<Bundle xmlns='http://hl7.org/fhir'><type", XML, 400, "structure"),
    "entity expansion": (
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
        b"<Bundle xmlns='http://hl7.org/fhir'><type value='&b;'/></Bundle>", XML, 400, "structure"),
    "100 levels deep": (b'{"resourceType":"Bundle","a":' + b"[" * 100 + b"]" * 100 + b"}", JSON, 400, "structure"),
    "wrong Content-Type": (b"--", "multipart/form-data", 415, "not-supported"),
    "not base64 in 20 MB": (
        to_json(submission(subject="Patient/ida")).replace(b'"data":"', b'"data":"' + b"A" * 20_000_000 + b"?"),
        JSON, 400, "value"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_refused_body(server: Program, shared_folder: Path, curl: Curl, name: str) -> None:
    """MHD-GEN-06, MHD-GEN-07, MHD-SEC-08: what cannot be read is told as such; every collection as it was."""
    body, content_type, status, code = BODIES[name]
    with database_of(shared_folder) as database:
        before = records(database)
        answer = curl.post(server.url, body, content_type, "-H", f"Accept: {JSON}")
        after = records(database)

    assert (answer.status, answer.json()["issue"][0]["code"]) == (status, code), answer.body
    assert after == before


def test_client_that_goes_away_leaves_nothing(server: Program, shared_folder: Path) -> None:
    """MHD-65-20, MHD-65-21: half of a submission, then silence: what had arrived is removed."""
    body = to_json(letter())
    head = f"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    with database_of(shared_folder) as database:
        before = records(database)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head.encode() + body[: len(body) // 2])
            wait_until(lambda: records(database)["content_chunk"] > before["content_chunk"])
        wait_until(lambda: records(database) == before)


LIMIT = 4_000_000


@pytest.fixture(scope="module")
def small_server() -> Iterator[tuple[Program, Path]]:
    """A server that takes bodies of at most `LIMIT` bytes, and its folder."""
    with (
        tempfile.TemporaryDirectory(prefix="mhd-system-") as name,
        served(Path(name), MHD_MAX_BODY_BYTES=str(LIMIT)) as program,
    ):
        yield program, Path(name)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("media_type", [JSON, XML])
def test_too_large(
    small_server: tuple[Program, Path], curl: Curl, packages: Packages, media_type: str, *, chunked: bool
) -> None:
    """MHD-SEC-08: 413 whether the body says how large it is or just goes on; every collection as it was."""
    program, folder = small_server
    how = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    with database_of(folder) as database:
        before = records(database)
        answer = curl.post(program.url, written(letter(), media_type, packages), media_type, *how)
        after = records(database)

    assert answer.status == 413
    assert b"too-long" in answer.body
    assert answer.headers["content-type"].startswith(media_type)
    assert after == before
