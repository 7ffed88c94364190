"""Every URL of the server: the FHIR interactions below `[base]`, from the transactions, and the pages beside them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.fhir.outcome import FhirError
from app.rest.body import Limits
from app.rest.decode import path_below_base
from app.rest.exchange import exchange, refuse
from app.rest.table import Table
from app.transaction import Context, Transaction


class FhirEndpoint:
    """The ASGI application below `[base]`: finds the interaction and lets `exchange` answer.

    Own choice: one table look-up instead of a route for each URL. Starlette tries its routes one by one, which costs
    1 µs each; and the way out of a wrong path or method is told by the same table.
    """

    def __init__(self, base_path: str, transactions: Iterable[Transaction], limits: Limits) -> None:
        self._base_path = base_path
        self._table = Table(transactions)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the context is that of the running server."""
        context: Context = scope["app"].state.context
        scope["root_path"] = self._base_path
        http = Request(scope, receive, send)
        try:
            transaction, interaction, scope["path_params"] = self._table.find(http.method, path_below_base(http))
        except FhirError as error:
            response = refuse(http, error, context)
        else:
            response = await exchange(http, transaction, interaction, context, self._limits)
        await response(scope, receive, send)


def add_fhir(app: FastAPI, base_url: str, transactions: Iterable[Transaction], limits: Limits) -> None:
    """Serve `transactions` below the path of `base_url`, which itself answers with and without a slash.

    Raises:
        DoubleRouteError: two transactions claim one method and path.
    """
    path = urlsplit(base_url).path.rstrip("/")
    endpoint = FhirEndpoint(path, transactions, limits)
    if path:
        app.router.routes.append(Route(path, endpoint, name="base", include_in_schema=False))
    app.router.routes.append(Route(path + "/{path:path}", endpoint, name="fhir", include_in_schema=False))
