"""A server with small transactions of its own, so that these tests are about HTTP and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.fhir.outcome import FhirError
from app.fhir.resource import BASE
from app.main import create_app
from app.settings import Settings
from app.transaction import (
    Content,
    Context,
    FhirJson,
    Interaction,
    RequestMessage,
    ResponseMessage,
    Transaction,
    read,
    search_type,
    transaction,
)

BASE_URL = "http://test.example.org/fhir"


async def read_patient(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with what was stored, or fail as the id says."""
    match message.variables["id"]:
        case "absent":
            raise FhirError("not-found", "Resource `Patient/absent` was not found.")
        case "broken":
            raise RuntimeError("Ada Example was born on 1815-12-10")
        case "known":
            return ResponseMessage(304, headers={"ETag": 'W/"1"'})
    found = f'{{"resourceType":"Patient","id":"{message.variables["id"]}","multipleBirthInteger":2}}'
    return ResponseMessage(200, FhirJson(found.encode()), {"ETag": 'W/"1"'})


async def read_binary(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with a document of 6 bytes, whatever is acceptable."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    return ResponseMessage(200, Content("text/plain; charset=latin-1", 6, chunks()))


async def echo(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with the resource that came, and a location below `[base]`."""
    assert message.resource is not None
    return ResponseMessage(201, message.resource, {"Location": f"{BASE}/Patient/1/_history/1"})


async def documents(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with the sizes of the documents that were taken out of the body; refuse when a Basic is posted."""
    if (message.resource or {}).get("resourceType") == "Basic":
        raise FhirError("business-rule", "Refused.")
    sizes = [{"name": token, "valueInteger": staged.size} for token, staged in message.content.items()]
    parameters = [*sizes, {"name": "body", "resource": message.resource}]
    return ResponseMessage(200, {"resourceType": "Parameters", "parameter": parameters})


async def search(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer with the message itself."""
    pairs = [*message.query, ("url", message.url), ("method", message.method), ("format", message.format)]
    parameters = [{"name": name, "valueString": value} for name, value in pairs]
    links = [{"name": "own", "valueUri": f"{BASE}/Binary/1"}]
    return ResponseMessage(200, {"resourceType": "Parameters", "parameter": [*parameters, *links]})


OWN = Transaction(
    code="OWN-1",
    name="Test the edge",
    client="Client",
    server="Server",
    interactions=(
        *read("Patient", read_patient),
        *search_type("Patient", search),
        *read("Binary", read_binary),
        *transaction(echo),
        Interaction("operation", "POST", "Binary/$documents", documents, "Binary"),
    ),
)

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def settings(mongodb_url: str, database_name: str) -> Settings:
    """Settings for a server on the run's MongoDB."""
    return Settings(
        mongodb_url=SecretStr(mongodb_url),
        mongodb_database=f"{database_name}_rest",
        base_url=BASE_URL,
        profiles_dir=Path(__file__).parent.parent.parent / "profiles",
    )


@pytest.fixture(scope="session")
def serve(settings: Settings) -> Serve:
    """Runs a server: `async with serve(max_body_bytes=…) as client`; its transactions may be others."""

    @asynccontextmanager
    async def running(
        transactions: tuple[Transaction, ...] = (OWN,), **changes: object
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(settings.model_copy(update=changes), transactions)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=transport, base_url="http://test.example.org", headers={"Accept": ""}
            ) as client,
        ):
            client.app = app  # type: ignore[attr-defined]
            yield client

    return running


@pytest.fixture(scope="session")
async def http(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with `OWN`."""
    async with serve() as client:
        yield client
