"""The one place where the parts of the server are put together."""

from __future__ import annotations

from fastapi import FastAPI

from app.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Return the server for `settings`; its parts start and stop with the ASGI lifespan.

    While it runs, `app.state.context` is the `Context` that handlers get.
    """
    raise NotImplementedError
