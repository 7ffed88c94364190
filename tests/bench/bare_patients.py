"""The limit of ITI-83 and ITI-119: routes without framework over the bare driver that read the same records.

Run as `python -m tests.bench.bare_patients PORT MONGODB_URL DATABASE BASE_URL`; see `beside`.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qs

import orjson
import uvicorn
from pymongo import AsyncMongoClient

_CANDIDATES = {"derived.mv": 1, "derived.state": 1, "derived.replacedBy": 1, "beside.feed": 1}


class BarePatients:
    """The ASGI application."""

    def __init__(self, url: str, database: str) -> None:
        self._url, self._name = url, database
        self._database: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if self._database is None:
            self._database = AsyncMongoClient(self._url)[self._name]
        if scope["path"] == "/pix":
            body = await self._pix(parse_qs(scope["query_string"].decode())["token"][0])
        elif scope["path"] == "/match":
            body = await self._match(orjson.loads((await receive())["body"]))
        else:
            body = b"{}"
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _pix(self, token: str) -> bytes:
        patients = self._database["Patient"]
        owners = await patients.find({"index.identifier:own": {"$in": [token]}}, {"json": 1}).to_list(None)
        ids = [one["_id"] for one in owners]
        persons = await self._database["person"].find({"members": {"$in": ids}}, {"members": 1}).to_list(None)
        others = [each for one in persons for each in one["members"] if each not in ids]
        records = [
            *owners,
            *(await patients.find({"_id": {"$in": others}}, {"json": 1}).to_list(None) if others else ()),
        ]
        found = [identifier for one in records for identifier in orjson.loads(one["json"])["identifier"]]
        return orjson.dumps(
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "targetIdentifier", "valueIdentifier": one} for one in found],
            }
        )

    async def _match(self, asked: dict[str, Any]) -> bytes:
        patients = self._database["Patient"]
        await patients.find({"derived.keys": {"$in": asked["keys"]}}, _CANDIDATES, limit=2001).to_list(None)
        found = await patients.find({"_id": {"$in": asked["ids"]}}, {"json": 1}).to_list(None) if asked["ids"] else []
        return b'{"resourceType":"Bundle","entry":[%b]}' % b",".join(
            [b'{"resource":%b}' % one["json"] for one in found]
        )


if __name__ == "__main__":
    port, mongodb_url, database, _ = sys.argv[1:]
    uvicorn.run(
        BarePatients(mongodb_url, database),
        host="127.0.0.1",
        port=int(port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
        server_header=False,
    )
