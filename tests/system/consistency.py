"""What must be true of a database at any time, read from the database itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from app.store.content import CHUNK_BYTES

OWN_BASE = "\x00/"


def contradictions(database: Any) -> list[str]:
    """Return what does not fit together in `database`; an empty list when every record is whole."""
    return [
        *_dangling(database),
        *_documents(database),
        *_lost_chunks(database),
        *_keys(database),
    ]


def _names(database: Any, *types: str) -> set[str]:
    return {f"{name}/{record['_id']}" for name in types for record in database[name].find({}, {"_id": 1})}


def _dangling(database: Any) -> Iterator[str]:
    """Yield links below our own base, and local ones, that lead to no record."""
    there = _names(database, "Binary", "DocumentReference", "List", "Patient")
    for name in ("Binary", "DocumentReference", "List"):
        for record in database[name].find({}, {"json": 1}):
            for link in _links(orjson.loads(record["json"])):
                if link not in there:
                    yield f"{name}/{record['_id']} refers to {link}, which is not there"


def _links(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key in ("reference", "url") and isinstance(one, str):
                local = one.removeprefix(OWN_BASE)
                if local.partition("/")[0] in ("Binary", "DocumentReference", "List", "Patient"):
                    yield local
            else:
                yield from _links(one)
    elif isinstance(value, list):
        for one in value:
            yield from _links(one)


def _documents(database: Any) -> Iterator[str]:
    """Yield Binaries whose document is not, to the last byte, what the record says of it."""
    for record in database["Binary"].find({}, {"content": 1}):
        content = record["content"]
        if content.get("data") is None:
            found = database["content_chunk"].find({"_id.content": content["id"]}).sort("_id.n")
            pieces = [chunk["data"] for chunk in found]
            if len(pieces) != -(-content["size"] // CHUNK_BYTES):
                yield f"Binary/{record['_id']} lacks chunks"
        else:
            pieces = [content["data"]]
        if (size := sum(map(len, pieces))) != content["size"]:
            yield f"Binary/{record['_id']} has {size} bytes"
        if hashlib.sha1(b"".join(pieces), usedforsecurity=False).digest() != content["sha1"]:
            yield f"Binary/{record['_id']} has another hash"


def _lost_chunks(database: Any) -> Iterator[str]:
    """Yield chunks that no Binary owns and no sweep would find."""
    owned = {record["content"]["id"] for record in database["Binary"].find({}, {"content.id": 1})}
    marked = {marker["_id"] for marker in database["staged_content"].find({}, {"_id": 1})}
    for content in database["content_chunk"].distinct("_id.content"):
        if content not in owned | marked:
            yield f"the chunks of {content} belong to nobody"
    for content in owned & marked:
        yield f"the document {content} would be swept"


def _keys(database: Any) -> Iterator[str]:
    """Yield keys that nobody holds, and records without a key."""
    described = _names(database, "DocumentReference", "List")
    there = described | _names(database, "Patient")
    held = set()
    for key in database["unique_key"].find({}):
        holders = {key["holder"]} if "holder" in key else set(key["holders"])
        held |= holders
        if not holders or holders - there:
            yield f"a unique key is held by {holders - there or 'nobody'}"
    for name in described - held:
        yield f"{name} holds no unique key"
