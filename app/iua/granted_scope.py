"""What is granted of the scopes that are asked for: the part that the client may have.

A scope that a registered one covers is granted as it was asked for; of one that is wider, the part that both have.
A word that is no scope is refused where the request speaks IUA's dialect, and dropped where it speaks SMART's, whose
clients ask for `openid` and `launch` everywhere: IUA-64 and EHDS-16 disagree, and each has its own way.

Spec: IUA-64, EHDS-12, EHDS-16; SMART App Launch 2.2, scopes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.iua.oauth_error import OAuthError
from app.security.scope import ALLOWED, Grant, is_iua, parse

# Of a resource server that asks for its token to introspect with.
INTROSPECT = "introspect"

LETTERS = "cruds"


def granted(asked: str, registered: Sequence[str]) -> str:
    """Return the scopes that are granted, blank-separated; without `asked`, all that are `registered`.

    Examples:
        "ITI-104 ITI-83"      of ITI-83                  -> "ITI-83"
        "system/*.rs"         of system/List.cruds       -> "system/List.rs"
        "system/List.read"    of system/*.rs             -> "system/List.read"

    Raises:
        OAuthError: `invalid_scope` when nothing is left, or a word of an IUA request is no scope.
    """
    words = tuple(dict.fromkeys(asked.split()))
    if is_iua(asked) and (unknown := [word for word in words if not is_known(word)]):
        raise OAuthError("invalid_scope", f"`{_plain(unknown[0])}` is no scope here")
    found = dict.fromkeys(part for word in words or registered for part in _parts(word, registered))
    if not found:
        raise OAuthError("invalid_scope", "nothing of what was asked for is registered for this client")
    return " ".join(found)


def is_known(word: str) -> bool:
    """Whether `word` is a scope: a transaction's name, one of SMART's, or one of our own."""
    return word in (*ALLOWED, INTROSPECT) or bool(parse(word))


def _parts(word: str, registered: Sequence[str]) -> Iterator[str]:
    if word in registered:
        yield word
        return
    wish = _smart(word)
    common = [part for each in registered if wish and (had := _smart(each)) and (part := _common(wish, had))]
    if wish in common:
        yield word
        return
    yield from map(_written, common)


def _smart(word: str) -> Grant | None:
    """Return what a scope of SMART says; None for any other."""
    found = parse(word)
    return found[0] if found and found[0].resource_type else None


def _common(a: Grant, b: Grant) -> Grant | None:
    """Return what both grant; None when that is nothing."""
    rights = a.rights & b.rights
    types = {a.resource_type, b.resource_type} - {"*"}
    if a.context != b.context or len(types) > 1 or not rights:
        return None
    return Grant("", a.context, types.pop() if types else "*", rights, tuple(dict.fromkeys((*a.query, *b.query))))


def _written(grant: Grant) -> str:
    letters = "".join(letter for letter in LETTERS if letter in grant.rights)
    query = "&".join(f"{name}={value}" for name, value in grant.query)
    return f"{grant.context}/{grant.resource_type}.{letters}" + (f"?{query}" if query else "")


def _plain(word: str) -> str:
    """Return `word` fit for an error description (RFC 6749 5.2)."""
    return "".join(letter for letter in word[:64] if " " <= letter <= "~" and letter not in '"\\')
