"""Internet User Authorization (IUA), as far as this server issues or describes tokens.

Actors and transactions as in ITI TF-1:34. What a deployment offers is made of its authorization servers, so the
transactions are made by functions.
"""

from collections.abc import Sequence

from app.iua.authority import Authority
from app.iua.iti71_get_access_token import iti71
from app.iua.iti102_introspect_token import iti102
from app.iua.iti103_get_authorization_server_metadata import Find, iti103, iti103_below_base
from app.iua.smart_configuration import smart
from app.transaction import Transaction


def authorization_server(authority: Authority, scopes: Sequence[str]) -> tuple[Transaction, ...]:
    """Return the transactions of the actor Authorization Server, whose paths begin at the root of the host."""
    return iti71(authority), iti102(authority), iti103(authority, scopes)


def discovery(base_path: str, find: Find | None, *, is_iua: bool) -> tuple[Transaction, ...]:
    """Return what stands below `[base]` about the authorization server that is trusted: SMART's document, and IUA's.

    Args:
        find: None when none is trusted: then nothing is there, which everybody may know (IUA-06).
    """
    return smart(base_path, find), iti103_below_base(base_path, find if is_iua else None)
