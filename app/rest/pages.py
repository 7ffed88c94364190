"""The pages for people: `/` says what this is, `/docs` lists every operation; and `/openapi.json` for tools.

Own choice: pages of our own instead of FastAPI's, which load their scripts from a public server; these work without
the internet, need no scripts at all, and come from the same records as the URLs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.capability import NAME, SECURITY
from app.examples.tour import curl_lines, faulty_submission, fresh_submission
from app.fhir.media_type import JSON
from app.fhir.resource import Resource, to_json
from app.rest.media import to_json_for_people
from app.rest.openapi import Examples, openapi, read_examples, request_example, response_example, summary
from app.security.guard import Mode
from app.transaction import Interaction, Transaction

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.2rem; margin-top: 2rem; }} h3 {{ font-size: 1rem; margin-bottom: 0; }}
table {{ border-collapse: collapse; }} th, td {{ text-align: left; padding: .3rem 1rem .3rem 0; vertical-align: top; }}
th, td {{ border-bottom: 1px solid #8884; }}
pre {{ background: #8882; padding: .6rem .8rem; overflow-x: auto; }}
code, pre {{ font: .9em/1.4 ui-monospace, monospace; }}
</style></head><body>
{body}
</body></html>
"""


class Pages:
    """The pages of one server; what they show of the profile packages is read when it is first asked for."""

    def __init__(
        self,
        base_url: str,
        transactions: Sequence[Transaction],
        profiles: Path,
        tour: Sequence[tuple[str, str]],
        security: str,
    ) -> None:
        self._base_url = base_url
        self._security = security
        self._transactions = transactions
        self._profiles = profiles
        self._tour = tour

    async def start(self, http: Request) -> Response:
        """Answer `/`."""
        lines = [*_start(self._base_url, self._transactions, self._tour), f"<p>{escape(self._security)}</p>"]
        return _page(NAME, "\n".join(lines))

    async def docs(self, http: Request) -> Response:
        """Answer `/docs`."""
        return _page(f"{NAME}: operations", "\n".join(_docs(self._base_url, self._transactions, self._examples)))

    async def openapi(self, http: Request) -> Response:
        """Answer `/openapi.json`."""
        description = openapi(self._base_url, self._transactions, self._examples)
        return Response(to_json(description), media_type="application/json")

    @cached_property
    def _examples(self) -> Examples:
        return read_examples(self._profiles)


def add_pages(
    app: FastAPI,
    base_url: str,
    transactions: Sequence[Transaction],
    profiles: Path,
    mode: Mode,
    *,
    with_examples: bool,
) -> None:
    """Serve the pages; they are found before anything below `[base]`.

    Args:
        app: gets the routes.
        base_url: public `[base]`.
        transactions: what is served.
        profiles: the folder of the profile packages, whose examples are shown.
        mode: how it is found out who asks; told on the first page.
        with_examples: whether the example data are there, so that the requests of the tour work.
    """
    pages = Pages(base_url, transactions, profiles, tour_of(base_url) if with_examples else (), SECURITY[mode])
    app.router.routes += [
        Route("/", pages.start, name="start"),
        Route("/docs", pages.docs, name="docs"),
        Route("/openapi.json", pages.openapi, name="openapi"),
    ]
    if with_examples:
        app.router.routes += [
            Route("/examples/submission", _fresh_submission, name="submission"),
            Route("/examples/faulty-submission", _faulty_submission, name="faulty submission"),
        ]


def tour_of(base_url: str) -> tuple[tuple[str, str], ...]:
    """Return requests that work by copy and paste on the example data: what each shows, and the command."""
    parts = urlsplit(base_url)
    return tuple(curl_lines(base_url, f"{parts.scheme}://{parts.netloc}"))


async def _fresh_submission(http: Request) -> Response:
    return Response(to_json(fresh_submission()), media_type=JSON)


async def _faulty_submission(http: Request) -> Response:
    return Response(to_json(faulty_submission()), media_type=JSON)


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(PAGE.format(title=escape(title), body=body), headers=HEADERS)


def _start(base_url: str, transactions: Sequence[Transaction], tour: Sequence[tuple[str, str]]) -> Iterator[str]:
    base = escape(base_url)
    yield f"<h1>{escape(NAME)}</h1>"
    yield "<p>FHIR R4 resources and IHE transactions over HTTP: publish, find and fetch health documents.</p>"
    yield f"<p>FHIR base: <code>{base}</code></p>"
    yield f'<p><a href="{base}/metadata">CapabilityStatement</a> · <a href="/docs">operations and examples</a> · '
    yield '<a href="/openapi.json">OpenAPI</a> · <a href="/health/ready">health</a></p>'
    yield "<h2>Transactions</h2><table><tr><th>Number</th><th>Name</th><th>This server is the</th></tr>"
    for each in transactions:
        if each.code:
            yield f"<tr><td>{escape(each.code)}</td><td>{escape(each.name)}</td><td>{escape(each.server)}</td></tr>"
    yield "</table><h2>First requests</h2>"
    for title, command in tour or _first_requests(base_url, transactions):
        yield f"<p>{escape(title)}</p><pre>{escape(command)}</pre>"


def _docs(base_url: str, transactions: Sequence[Transaction], examples: Examples) -> Iterator[str]:
    yield f'<h1>Operations</h1><p>FHIR base: <code>{escape(base_url)}</code> · <a href="/">start</a> · '
    yield '<a href="/openapi.json">OpenAPI description</a> for Postman and other tools</p>'
    for transaction in transactions:
        code = f" [{transaction.code}]" if transaction.code else ""
        yield f"<h2>{escape(transaction.name + code)}</h2><p>{escape(transaction.documentation)}</p>"
        for interaction in transaction.interactions:
            yield f"<h3>{escape(summary(transaction, interaction))}</h3>"
            yield f"<pre>{escape(_curl(base_url, interaction))}</pre>"
            if interaction.code == "search-type" and interaction.method == "GET":
                codes = transaction.search_parameters.get(interaction.resource_type, ())
                yield "<p>Parameters: " + ", ".join(f"<code>{escape(code)}</code>" for code in codes) + "</p>"
            yield _shown("Example request", request_example(interaction, examples))
            yield _shown("Example answer", response_example(interaction, examples))


def _curl(base_url: str, interaction: Interaction) -> str:
    url = f"{base_url}/{interaction.path}" if interaction.path else base_url
    if interaction.method == "GET":
        query = "?_count=5" if interaction.code == "search-type" else ""
        return f"curl '{url}{query}'"
    if interaction.code == "search-type":
        return f"curl '{url}' --data '_count=5'"
    return f"curl '{url}' -H 'Content-Type: application/fhir+json' --data-binary @request.json"


def _first_requests(base_url: str, transactions: Sequence[Transaction]) -> Iterator[tuple[str, str]]:
    """Yield what can be sent without knowing an id: what it is, and the command."""
    for transaction in transactions:
        for interaction in transaction.interactions:
            if "{" not in interaction.path and not interaction.path.endswith("_search"):
                yield transaction.name, _curl(base_url, interaction)


def _shown(title: str, example: Resource | None) -> str:
    if example is None:
        return ""
    text = escape(to_json_for_people(to_json(example)).decode())
    return f"<details><summary>{title}</summary><pre>{text}</pre></details>"
