"""One submission, checked against what is stored and kept, or refused as a whole: the steps that every way in shares.

Spec: ITI-65, 2:3.65.4.1.3; ITI-105, 2:3.105.4.1.3; ITI-106, 2:3.106.4.1.3; MHD-65-20, 110, 120.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from app.document.accepted import publication_of
from app.document.claims import broken_claims, require_claims
from app.document.entry import Submission
from app.document.folders import file_in_folders
from app.document.lifecycle import relate
from app.document.meaning import meaning_of
from app.document.policy import check_policy
from app.document.publication import Overtaken, Publication, key_taken
from app.document.recipients import check_recipients, check_references
from app.document.staging import staged_documents
from app.document.submission import check_contents, check_submission, refuse
from app.document.transformed import add_transformed
from app.fhir.outcome import FhirError
from app.store.change import KeyTaken, VersionConflict
from app.store.resources import Kept
from app.switches import Switches
from app.transaction import Context, RequestMessage

# How often a submission is read anew when another one changed what it refers to.
ATTEMPTS = 8

Answer = TypeVar("Answer")


@contextmanager
def statuses(switches: Switches) -> Iterator[None]:
    """Let refusals have the status that the deployment wants: perhaps 400 for 409 and 422 (MHD-ERR-06)."""
    try:
        yield
    except FhirError as error:
        if switches.validation_status == "400" and error.status in (409, 422):
            error.status = 400
        raise


async def until_settled(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return what `attempt` to store a submission returns; it is made again when another submission overtakes it.

    Raises:
        FhirError: what `attempt` raises; `transient` (503) when it is overtaken too often.
    """
    for _ in range(ATTEMPTS):
        with suppress(Overtaken):
            return await attempt()
    raise FhirError("transient", "Others are changing the same records. Try again.", details="XDSRepositoryBusy")


async def publish(
    submission: Submission, message: RequestMessage, context: Context, keys: Sequence[str] = ()
) -> tuple[Publication, dict[str, Kept]]:
    """Store what `submission` means as things stand now: all of it, or nothing.

    Args:
        keys: what only one of several requests at the same instant may hold.

    Returns:
        what it changes, and the records as they are kept, by name.

    Raises:
        FhirError: the submission breaks a rule.
        Overtaken: what it was read from has changed before the commit, or one of `keys` is taken.
    """
    require_claims(broken := list(broken_claims(submission.entries, context)))
    meaning = await meaning_of(submission, context)
    refuse(check_submission(submission, meaning.links, context.switches))
    asked = list(check_policy(submission, context))
    refuse(issue for _, issue in asked)
    refuse(await check_references(submission, meaning.links, context))
    contents = await staged_documents(submission, meaning.links, message, context)
    refuse(check_contents(submission, meaning.links, contents, context.switches))
    publication = publication_of(submission, meaning, contents, context)
    for entry, issues in (*broken, *((entry, [issue]) for entry, issue in asked)):
        publication.warn(entry, issues)
    publication.warn(submission.submission_set, await check_recipients(submission, meaning.links, context))
    await add_transformed(submission, meaning.links, publication, context)
    await relate(submission, meaning, publication, context)
    await file_in_folders(submission, meaning, publication, context)
    for entry in submission.documents[:1]:
        publication.claim(entry, keys)
    return publication, await _commit(publication, context)


async def _commit(publication: Publication, context: Context) -> dict[str, Kept]:
    """Store all or nothing; an identifier that was free when the submission came may be taken by now."""
    try:
        changes = (*publication.changes.values(), *publication.requirements.values())
        kept = await context.store.commit(changes, context.now())
    except KeyTaken as taken:
        raise await key_taken(taken.key, publication, context) from taken
    except VersionConflict as conflict:
        raise Overtaken from conflict
    return dict(zip(publication.changes, kept, strict=False))
