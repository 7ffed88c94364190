"""Settings: who may - tokens, scopes, restrictions, the own authorization server."""

from __future__ import annotations

from app.settings.patients import Patients


class Access(Patients):
    """Issuers, policy, IUA."""
