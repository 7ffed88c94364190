"""The pages of the authorization server: the form where a user says who it is and agrees, and the page of a refusal.

Spec: IUA-56, IUA-60. Own choice: who asks and agreement on one page, so that there is no session that another site
could use; no scripts; nothing may frame it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from html import escape
from urllib.parse import urlsplit

from app.iua.form import NO_STORE
from app.transaction import Content, ResponseMessage

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; }} label {{ display: block; margin: .8rem 0 .2rem; }}
input {{ font: inherit; width: 100%; box-sizing: border-box; padding: .3rem; }}
button {{ font: inherit; margin: 1.2rem .6rem 0 0; padding: .3rem 1.2rem; }}
[role=alert] {{ border-left: .3rem solid #c33; padding-left: .6rem; }}
</style></head><body>
<main><h1>{title}</h1>
{body}
</main></body></html>
"""


def login_page(
    client: str, scope: str, hidden: Mapping[str, str], redirect_uri: str, *, told: str = "", status: int = 200
) -> ResponseMessage:
    """Return the form.

    Args:
        hidden: what it sends back as it is.
        redirect_uri: where the answer to the form leads to, which browsers must be allowed to follow.
        told: why it is shown again.
    """
    fields = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in hidden.items()
    )
    wishes = "".join(f"<li><code>{escape(one)}</code></li>" for one in scope.split())
    alert = f'<p role="alert">{escape(told)}</p>' if told else ""
    body = f"""{alert}<p><strong>{escape(client)}</strong> asks for access in your name:</p><ul>{wishes}</ul>
<form method="post">
{fields}
<label for="username">User</label><input id="username" name="username" autocomplete="username" autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password">
<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>
</form>"""
    return _page("Allow access", body, status, f"{_POLICY} {_source(redirect_uri)}")


def refusal_page(text: str, status: int = 400) -> ResponseMessage:
    """Return the page of a refusal that no client is told."""
    return _page("This is not possible", f'<p role="alert">{escape(text)}</p>', status, _POLICY)


def _page(title: str, body: str, status: int, policy: str) -> ResponseMessage:
    page = _PAGE.format(title=title, body=body).encode()
    headers = {
        **NO_STORE,
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return ResponseMessage(status, Content("text/html; charset=utf-8", len(page), _whole(page)), headers)


async def _whole(page: bytes) -> AsyncIterator[bytes]:
    yield page


def _source(url: str) -> str:
    """Return the source expression of where `url` leads: a host, or the scheme of an application."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"
