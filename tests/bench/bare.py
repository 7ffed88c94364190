"""The limit of the machine: routes without framework over the bare driver that answer with the server's bytes.

Run as `python -m tests.bench.bare PORT MONGODB_URL DATABASE BASE_URL`. What a route does not do is what it measures:
nothing is parsed, checked, negotiated or logged. It counts only what does not fit on the page.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from pymongo import AsyncMongoClient

# What the server's own search reads.
PROJECTION = {"json": 1}
PAGE = 20


class Bare:
    """The ASGI application."""

    def __init__(self, url: str, database: str, base_url: str) -> None:
        self._url, self._name, self._base = url, database, base_url.encode()
        self._stored = b'"\\u0000/'
        self._database: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if self._database is None:
            self._database = AsyncMongoClient(self._url)[self._name]
        path = scope["path"].split("/")
        media_type = b"application/pdf" if path[-2] == "Binary" else b"application/fhir+json; charset=utf-8"
        body = await self._body(path, scope["query_string"])
        headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _body(self, path: list[str], query: bytes) -> bytes:
        if path[-1] in ("DocumentReference", "List", "Patient"):
            return await self._search(path[-1], query)
        if path[-2] == "Binary":
            found = await self._database["Binary"].find_one({"_id": path[-1]}, {"index": 0})
            return bytes(found["content"]["data"])
        if path[-2] == "DocumentReference":
            found = await self._database["DocumentReference"].find_one({"_id": path[-1]}, {"index": 0})
            return bytes(found["json"].replace(self._stored, b'"' + self._base + b"/"))
        return b"{}"

    async def _search(self, resource_type: str, query: bytes) -> bytes:
        asked = parse_qs(query.decode())
        if resource_type == "Patient":
            terms = {"index.identifier": asked["identifier"][0]}
        else:
            terms = {"index.patient": asked["patient"][0], "index.status": "current"}
            terms |= {f"index.{name}": asked[name][0] for name in ("type", "code") if name in asked}
        cursor = self._database[resource_type].find(
            terms, PROJECTION, sort=[("_id", -1)], limit=PAGE + 1, batch_size=PAGE + 2
        )
        found = await cursor.to_list(None)
        more = len(found) > PAGE
        total = await self._database[resource_type].count_documents(terms, limit=1_000) if more else len(found)
        return self._joined(resource_type.encode(), query, found, total)

    def _joined(self, resource_type: bytes, query: bytes, found: list[Any], total: int) -> bytes:
        base, own = self._base, b'"' + self._base + b"/"
        entries = b",".join(
            [
                b'{"fullUrl":"%b/%b/%b","resource":%b,"search":{"mode":"match"}}'
                % (base, resource_type, each["_id"].encode(), each["json"].replace(self._stored, own))
                for each in found[:PAGE]
            ]
        )
        link = b'[{"relation":"self","url":"%b/%b?%b"}]' % (base, resource_type, query)
        return b'{"resourceType":"Bundle","type":"searchset","total":%d,"link":%b,"entry":[%b]}' % (
            total,
            link,
            entries,
        )


if __name__ == "__main__":
    port, mongodb_url, database, base_url = sys.argv[1:]
    uvicorn.run(
        Bare(mongodb_url, database, base_url),
        host="127.0.0.1",
        port=int(port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
        server_header=False,
    )
