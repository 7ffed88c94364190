"""Settings: who did - audit events, how long they are kept, where they are sent."""

from __future__ import annotations

from app.settings.access import Access


class Auditing(Access):
    """What is recorded, kept and forwarded."""
