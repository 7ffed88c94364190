"""What an operator did is an audit event like any request: who, what, to which records, and why.

Spec: AUD-02.
"""

from __future__ import annotations

from collections.abc import Iterable
from getpass import getuser

from app.audit.own import Command, administered
from app.settings import Settings
from app.transaction import Context


async def tell(
    settings: Settings, context: Context, words: str, names: Iterable[str] = (), *, reason: str = "", by: str = ""
) -> None:
    """Keep the event of a command that was carried out; where no events are kept, none.

    Args:
        words: of the command, without what it was told: `patients link`.
        names: of the records that it was about; a Patient may be named by its id alone.
        by: who says so; the account of the operator unless given.

    Raises:
        FhirError: `transient` (503) when the event cannot be kept.
    """
    keeping = settings.keeping(settings.url)
    if keeping is None:
        return
    named = tuple(name if "/" in name else f"Patient/{name}" for name in names)
    patients = tuple(name for name in named if name.startswith("Patient/"))
    data = tuple(name for name in named if name not in patients)
    event = administered(keeping.events, context.now(), Command(words, by or getuser(), reason, data, patients))
    await context.recorder.keep([event])
