"""Where events go: kept before the answer is sent."""

from __future__ import annotations

from app.transaction import Occurrence


class Unrecorded:
    """Keeps nothing."""

    async def record(self, occurrence: Occurrence) -> None:
        """Return at once."""
