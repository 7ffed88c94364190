"""Documents follow a merge and its undoing, in the transaction of the feed (docs/decisions/0022).

Spec: PIXM-104-31; MHD-MHDS-05.
"""

from __future__ import annotations

from app.patient.cross_reference import locks_of_records
from app.store.atomic import Atomic
from app.store.merged import heirs_of, refile


async def follow(atomic: Atomic, patient: str, former: str, survivor: str) -> None:
    """Let the documents of `patient` be found under `survivor`, and no longer under the one it was merged into before.

    Args:
        former, survivor: ids of Patients; empty where there was, or is, none.
    """
    if survivor == former:
        return
    before, after = await heirs_of(atomic, former), await heirs_of(atomic, survivor)
    # Merges of one chain wait for each other: each must see the documents that the other brings along.
    await atomic.lock(locks_of_records([patient, *before, *after]))
    await refile(atomic, patient, before, after)
