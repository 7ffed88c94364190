"""The one table of settings: name, default, unit and meaning of each, and what its value must be like.

Its rows stand in groups, each of which goes on where the one before ended: `serving.py`, `edge.py`, `documents.py`,
`patients.py`, `access.py`, `auditing.py`, `authority.py`.
"""

from __future__ import annotations

from dataclasses import fields
from hashlib import sha256

from app.settings.authority import Authority
from app.settings.shape import PREFIX
from app.switches import Switches

__all__ = ["PREFIX", "Settings"]


class Settings(Authority):
    """The table as a whole, and what follows from it."""

    @property
    def url(self) -> str:
        """The public `[base]`, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.tls_certificate else "http"
        return self.base_url.rstrip("/") or f"{scheme}://{host}:{self.port}/fhir"

    @property
    def signing_key(self) -> str:
        """The key of page links: stable over restarts, and as secret as the URL of the database."""
        place = self.mongodb_url.get_secret_value() or self.data_dir.resolve()
        return self.page_key.get_secret_value() or sha256(f"{place} {self.mongodb_database}".encode()).hexdigest()

    @property
    def switches(self) -> Switches:
        """The deployment's choices, as handlers see them."""
        return Switches(**{field.name: getattr(self, field.name) for field in fields(Switches)})
