"""Who writes: the mark that every record carries of the request that wrote it.

A process may die between a commit and the audit event that tells of it. By the mark such a write is found again, and
told after all (docs/decisions/0023). The mark is this server's own: a client may repeat its `X-Request-Id`.

Own choice: a context variable. The mark would otherwise be handed through every function between HTTP and the store,
all of whose other arguments mean something to them.
"""

from __future__ import annotations

from contextvars import ContextVar
from itertools import count
from secrets import token_hex

_PROCESS = token_hex(6)
_NUMBERS = count(1)
_WRITER: ContextVar[str] = ContextVar("writer", default="")


def begin_writing() -> None:
    """Mark what is written from here on, in this task, as that of a new request."""
    _WRITER.set(f"{_PROCESS}-{next(_NUMBERS):x}")


def writer() -> str:
    """Return the mark of the request that is being answered; empty outside of one."""
    return _WRITER.get()
