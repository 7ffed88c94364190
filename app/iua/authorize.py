"""The authorization endpoint: a user says who it is and agrees, and the client gets a code by redirect.

The form is good only in the browser that was shown it: it sends back what stands in a cookie. A browser that another
site makes send it brings no such cookie.

Spec: IHE ITI TF-2:3.71.4.2; RFC 6749 4.1.1, 10.12; IUA-53 to IUA-56, IUA-60.
"""

from __future__ import annotations

from dataclasses import replace
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

from app.iua.access_token import FORMATS, authorization_of
from app.iua.authority import Authority
from app.iua.authorization_code import issue_code
from app.iua.authorization_request import AuthorizationRequest, PageError, RedirectError, read_request
from app.iua.client_authentication import check_secret
from app.iua.form import NO_STORE
from app.iua.login_page import login_page, refusal_page
from app.iua.oauth_error import OAuthError
from app.iua.registration import User, key_of, user_of
from app.iua.secret import new_secret
from app.security.principal import Principal
from app.transaction import About, Context, RequestMessage, ResponseMessage

COOKIE = "authorize"
WRONG = "User or password is wrong."
STALE = "The form was open for too long, or comes from elsewhere. Try again."


async def authorize(authority: Authority, message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer an authorization request, and the form that is the answer to it.

    Returns:
        200 and the form; 302 to the client with a code or an error; 400, 403 or 429 and a page.
    """
    try:
        request = await read_request(message.query, authority, context.store.authority)
    except PageError as error:
        return refusal_page(str(error))
    except RedirectError as error:
        return ResponseMessage(302, None, NO_STORE | {"Location": error.url})
    if message.method != "POST":
        return _form(request, authority)
    sent = dict(message.query)
    if not _is_from_our_form(sent.get("csrf", ""), message.headers.get("cookie", "")):
        return _form(request, authority, told=STALE, status=400)
    if sent.get("decision") != "allow":
        return _redirect(request.answer(error="access_denied"), authority)
    return await _agreed(request, sent, authority, context)


async def _agreed(
    request: AuthorizationRequest, sent: dict[str, str], authority: Authority, context: Context
) -> ResponseMessage:
    store, now = context.store.authority, context.now()
    try:
        user = await _user(sent, authority, context)
    except OAuthError as error:
        return _alerting(refusal_page("Too many failures. Try again in a minute.", error.status), request)
    if user is None:
        return _alerting(_form(request, authority, told=WRONG, status=403), request)
    format_ = FORMATS[request.parameters.get("requested_token_type", "")]
    given = authorization_of(context.new_id(), request.client, user, request.audience, request.scope, format_)
    code = await issue_code(request, given, authority, store, now)
    return _redirect(request.answer(code=code), authority)


def _alerting(page: ResponseMessage, request: AuthorizationRequest) -> ResponseMessage:
    """Return `page` as the refusal of somebody whom the client sent here."""
    return replace(page, about=About(principal=Principal(client=request.client.name), is_refusal=True))


async def _user(sent: dict[str, str], authority: Authority, context: Context) -> User | None:
    """Return the user whose password was sent; None for a wrong one.

    Raises:
        OAuthError: `slow_down` (429).
    """
    store, name = context.store.authority, sent.get("username", "").strip()[:64]
    user = await user_of(store, authority.tenant, name)
    who, kept = f"user {key_of(authority.tenant, name)}", user.password if user else ""
    is_right = await check_secret(who, sent.get("password", ""), kept, authority, store, context.now())
    return user if is_right else None


def _form(request: AuthorizationRequest, authority: Authority, told: str = "", status: int = 200) -> ResponseMessage:
    token = new_secret()
    hidden = {**request.parameters, "csrf": token}
    page = login_page(request.client.name, request.scope, hidden, request.redirect_uri, told=told, status=status)
    return replace(page, headers={**page.headers, "Set-Cookie": _cookie(token, authority)})


def _redirect(url: str, authority: Authority) -> ResponseMessage:
    return ResponseMessage(
        302, None, NO_STORE | {"Location": url, "Set-Cookie": f"{_cookie('', authority)}; Max-Age=0"}
    )


def _cookie(token: str, authority: Authority) -> str:
    secure = "; Secure" if authority.issuer.startswith("https:") else ""
    return f"{COOKIE}={token}; Path={authority.path}/authorize; HttpOnly; SameSite=Strict{secure}"


def _is_from_our_form(csrf: str, cookies: str) -> bool:
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return False
    return bool(csrf) and found is not None and compare_digest(csrf.encode(), found.value.encode())
