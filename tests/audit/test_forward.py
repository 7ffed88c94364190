"""Every event is sent on: in order, at least once, and after every outage (AUD-15, MHD-AU-60, MHD-AU-61)."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.audit.fhir_feed import ClientCredentials, FhirFeed, Given, NotTakenError
from app.audit.forward import Forwarder, Pace
from app.audit.syslog import SyslogFeed
from app.store.audit import AuditStore
from tests.audit.keeping import START, event, kept, recorder
from tests.audit.repository import Repository, collector, repository

BASE = "https://here.example.org/fhir"


@pytest.fixture
async def elsewhere() -> AsyncIterator[Repository]:
    """A repository that is up."""
    async with repository() as found:
        yield found


def forwarder(store: AuditStore, to: Repository, holder: str = "one", later: timedelta = timedelta(0)) -> Forwarder:
    """A forwarder, as each worker has one; its clock may be ahead."""
    feed = FhirFeed(to.url, Given("secret-token"))
    return Forwarder(store, feed, lambda: START + later, holder=holder, base_url=BASE, pace=Pace(batch=3))


async def all_sent(each: Forwarder) -> None:
    """Let a forwarder do what there is to do."""
    while await each.step():
        pass


async def test_events_are_sent_in_order(audit: AuditStore, elsewhere: Repository) -> None:
    """AUD-15, MHD-AU-60: as ITI-20 batches, with the token, our base filled in, each event once."""
    await kept(audit, "aaaaaa", 8)

    await all_sent(forwarder(audit, elsewhere))

    assert [each["agent"][0]["who"]["display"] for each in elsewhere.events] == [f"client {n}" for n in range(1, 9)]
    assert set(elsewhere.tokens) == {"Bearer secret-token"}
    assert len(elsewhere.tokens) == 3


async def test_outage_loses_nothing(audit: AuditStore, elsewhere: Repository) -> None:
    """MHD-AU-61: what happened while the repository was down comes afterwards, in order."""
    elsewhere.is_up = False
    process = recorder(audit, "aaaaaa")
    sending = forwarder(audit, elsewhere)
    for number in range(1, 6):
        await process.keep([event(number)])
        with pytest.raises(NotTakenError):
            await sending.step()
    elsewhere.is_up = True

    await all_sent(sending)
    await process.close()

    assert [each["agent"][0]["who"]["display"] for each in elsewhere.events] == [f"client {n}" for n in range(1, 6)]


async def test_successor_goes_on_where_the_first_one_stopped(audit: AuditStore, elsewhere: Repository) -> None:
    """AUD-15: the cursor lies in the database; after the lease another worker has it."""
    await kept(audit, "aaaaaa", 7)
    await forwarder(audit, elsewhere, "one").step()

    assert await forwarder(audit, elsewhere, "two").step() == 0
    await all_sent(forwarder(audit, elsewhere, "two", later=timedelta(seconds=46)))

    assert len(elsewhere.events) == len(elsewhere.ids) == 7


async def test_unacknowledged_events_come_again_with_their_ids(audit: AuditStore, elsewhere: Repository) -> None:
    """AUD-15: at least once; a duplicate is known by its id."""
    await kept(audit, "aaaaaa", 3)
    sending = forwarder(audit, elsewhere)
    await sending.step()
    await audit.note_chain("aaaaaa", {"forwarded": 0})  # it died before it could note what was acknowledged

    await all_sent(sending)

    assert len(elsewhere.events) == 6
    assert len(elsewhere.ids) == 3
    stored = [one["_id"] for one in await audit.walk("aaaaaa", 0, 9)]
    assert elsewhere.ids == stored


async def test_refused_event_does_not_hold_the_others_up(audit: AuditStore, elsewhere: Repository) -> None:
    """AUD-15: what the repository refuses for good stays here, and is counted."""
    await kept(audit, "aaaaaa", 5)
    second = (await audit.walk("aaaaaa", 1, 1))[0]["_id"]
    elsewhere.refuse = {second}
    sending = forwarder(audit, elsewhere)

    await all_sent(sending)

    assert len(elsewhere.ids) == 4
    assert (sending.progress.sent, sending.progress.refused) == (5, 1)


async def test_lag_is_the_age_of_the_oldest_event(audit: AuditStore, elsewhere: Repository) -> None:
    """MHD-AU-61: operators see that something waits."""
    await kept(audit, "aaaaaa", 2)
    elsewhere.is_up = False
    sending = forwarder(audit, elsewhere, later=timedelta(minutes=10))
    with pytest.raises(NotTakenError):
        await sending.step()

    assert sending.progress.lag_s == 600

    elsewhere.is_up = True
    await all_sent(sending)
    assert sending.progress.lag_s == 0


async def test_event_that_is_not_there_yet_is_waited_for(audit: AuditStore, elsewhere: Repository) -> None:
    """AUD-15: in order: a gap, which a spool fills later, is not jumped."""
    await kept(audit, "aaaaaa", 4)
    third = (await audit.walk("aaaaaa", 2, 1))[0]
    await audit._events.delete_one({"seq": 3})
    sending = forwarder(audit, elsewhere)
    await all_sent(sending)
    before = len(elsewhere.events)
    await audit.append([third | {"index": {}}])

    await all_sent(sending)

    assert before == 2
    assert [each["agent"][0]["who"]["display"] for each in elsewhere.events] == [f"client {n}" for n in range(1, 5)]


async def test_token_of_client_credentials(audit: AuditStore, elsewhere: Repository) -> None:
    """AUD-15: a token endpoint gives the token."""
    await kept(audit, "aaaaaa", 2)
    bearer = ClientCredentials(f"http://127.0.0.1:{elsewhere.port}/token", "us", "secret")
    sending = Forwarder(audit, FhirFeed(elsewhere.url, bearer), lambda: START, holder="one", base_url=BASE)

    await all_sent(sending)

    assert set(elsewhere.tokens) == {"Bearer from-the-endpoint"}


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    names = folder / "certificate.pem", folder / "key.pem"
    asked = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {names[1]} -out {names[0]} -days 1"
    )
    line = ["openssl", *asked.split(), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(line, check=True, capture_output=True)
    return names


async def test_syslog_over_tls(audit: AuditStore, tmp_path: Path) -> None:
    """MHD-AU-60: RFC 5424 messages in RFC 5425 frames, the event in them, its id as MSGID."""
    await kept(audit, "aaaaaa", 4)
    mine, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mine, key)
    async with collector(context) as got:
        feed = SyslogFeed("127.0.0.1", got.port, ssl.create_default_context(cafile=mine))
        await all_sent(Forwarder(audit, feed, lambda: START, holder="one", base_url=BASE))

    assert [each["agent"][0]["who"]["display"] for each in got.events] == [f"client {n}" for n in range(1, 5)]
    for message, each in zip(got.messages, got.events, strict=True):
        priority, version_time, *_ = message.split(b" ")
        assert priority == b"<85>1"
        assert version_time == b"2026-01-15T09:00:00.120Z"
        assert message.split(b" ")[5] == each["id"].encode()
