"""Log lines: one JSON object each, on standard error.

A line about a request has the transaction, the interaction, the status, the duration and the request id: never a
query, a body or anything else about a person. Of an exception the type and the places are told; its message, which may
quote a value, only at the level `debug`.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from time import perf_counter
from types import TracebackType

import orjson

from app.fhir.resource import instant
from app.transaction import Interaction, Transaction

log = logging.getLogger("app")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; `extra={"fields": {...}}` adds to it."""

    def __init__(self, *, with_messages: bool) -> None:
        super().__init__()
        self._with_messages = with_messages

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": instant(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the name in `logging`
        """Return type and places of the exception and of those that led to it."""
        if self._with_messages:
            return super().formatException(ei)
        return "\n".join(_places(ei[1]))


def configure(level: str) -> None:
    """Send every log line of this process to standard error, from `level` up."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # in no line; asked for in each
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(with_messages=level == "debug"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("pymongo", "uvicorn.access", "httpx", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def log_request(served: tuple[Transaction, Interaction] | None, status: int, started: float, request_id: str) -> None:
    """Log that a request was answered.

    Args:
        served: what answered it; None when no interaction was found.
        status: of the answer.
        started: value of `perf_counter` at the beginning.
        request_id: of the request.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    fields: dict[str, object] = {
        "status": status,
        "ms": round((perf_counter() - started) * 1000, 2),
        "request": request_id,
    }
    if served:
        transaction, interaction = served
        names = {"transaction": transaction.code or transaction.name, "interaction": interaction.code}
        fields = {**names, "path": interaction.path, **fields}
    # Without looking for who calls: `log.info` walks the stack for names that no line of ours has.
    log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "answered", (), None, extra={"fields": fields}))


def log_failure(transaction: Transaction, request_id: str) -> None:
    """Log the exception that is being handled: our fault, with its places."""
    name = transaction.code or transaction.name
    log.exception("%s failed", name, extra={"fields": {"transaction": name, "request": request_id}})


def _places(error: BaseException | None) -> list[str]:
    lines: list[str] = []
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"{type(error).__name__} at", *(f"  {one.filename}:{one.lineno} {one.name}" for one in frames), *lines]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines
