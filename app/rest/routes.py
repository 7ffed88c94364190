"""Every URL of the server: the FHIR interactions below `[base]`, from the transactions, and the pages beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.fhir.outcome import FhirError
from app.rest.decode import path_below_base
from app.rest.edge import Edge
from app.rest.exchange import decline, exchange
from app.rest.front import Front
from app.rest.table import Table
from app.transaction import Context, Transaction


class FhirEndpoint:
    """The ASGI application below `[base]`: finds the interaction and lets `exchange` answer.

    Own choice: one table look-up instead of a route for each URL. Starlette tries its routes one by one, which costs
    1 µs each; and the way out of a wrong path or method is told by the same table. It stands before the router and
    what FastAPI puts around that, which costs 20 µs and does nothing for requests that are all answered here.
    """

    def __init__(self, app: ASGIApp, *, front: Front, table: Table, pages: Mapping[str, Collection[str]]) -> None:
        """Answer below `[base]`, but for the paths in `pages` with their methods, which like all others go to `app`."""
        self._app = app
        self._base_path = front.base_path
        self._table = table
        self._front = front
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "http" and self._is_below(scope["method"], scope["path"]):
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_below(self, method: str, path: str) -> bool:
        if method in self._pages.get(path, ()):
            return False
        return path == self._base_path or path.startswith(f"{self._base_path}/")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the context is that of the running server."""
        context: Context = scope["app"].state.context
        scope["root_path"] = self._base_path
        http = Request(scope, receive, send)
        try:
            transaction, interaction, scope["path_params"] = self._table.find(http.method, path_below_base(http))
        except FhirError as error:
            near = self._table.near(path_below_base(http))
            response = await decline(http, error, near, context, self._front)
        else:
            response = await exchange(http, transaction, interaction, context, self._front)
        await response(scope, receive, send)


def add_fhir(app: FastAPI, transactions: Iterable[Transaction], front: Front) -> None:
    """Serve `transactions` below the path of `[base]`, which itself answers with and without a slash.

    The pages that `app` has by now go before: without a path, `[base]` is all of the server but for them.

    Raises:
        DoubleRouteError: two transactions claim one method and path.
    """
    pages = {route.path: route.methods or () for route in app.router.routes if isinstance(route, Route)}
    app.state.front = front
    app.add_middleware(FhirEndpoint, front=front, table=Table(transactions), pages=pages)
    app.add_middleware(Edge, front=front)
