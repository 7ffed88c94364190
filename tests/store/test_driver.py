"""The connection and its transactions: architecture 9, 13 and 14."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from pymongo.errors import DuplicateKeyError, ExecutionTimeout, OperationFailure

from app.fhir.outcome import FhirError
from app.search.definitions import Definitions
from app.store.driver import Connection, Driver, Session, connect, failures_told
from app.store.managed import find_mongod
from app.store.resources import Store


async def test_majority_is_the_rule(database: Connection) -> None:
    """Architecture 14: writes wait for the journals of a majority, reads see what a majority has."""
    assert database.database.write_concern.document == {"w": "majority", "j": True, "wtimeout": 20_000}
    assert database.database.read_concern.level == "majority"


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("mongodb://db.example.org", "", "mhd"),
        ("mongodb://db.example.org/region", "", "region"),
        ("mongodb://db.example.org/region", "chosen", "chosen"),
    ],
)
async def test_name_of_the_database(driver: Driver, url: str, name: str, expected: str) -> None:
    """A database is named by setting, by URL, or by default."""
    connection = connect(url, driver, name)
    assert connection.database.name == expected
    await connection.close()


async def test_url_decides_over_defaults(driver: Driver) -> None:
    """What the operator's URL says is not overridden."""
    connection = connect("mongodb://db.example.org/?serverSelectionTimeoutMS=70&retrywrites=false", driver)
    options = connection.database.client.options
    assert (options.server_selection_timeout, options.retry_writes) == (0.07, False)
    await connection.close()


async def test_transaction_that_fails_writes_nothing(database: Connection) -> None:
    """Architecture 13: what a transaction wrote before it failed is not there."""
    records = database.database["Patient"]

    async def work(session: Session) -> None:
        await records.insert_one({"_id": "1"}, session=session)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await database.in_transaction(work)
    assert await records.count_documents({}) == 0


async def test_transaction_that_meets_another_is_tried_again(database: Connection) -> None:
    """Architecture 13: a conflict with another transaction is resolved by trying again, not told to the client."""
    records = database.database["Patient"]
    await records.insert_one({"_id": "1", "value": 0})
    attempts: list[int] = []

    async def work(session: Session) -> int:
        found = await records.find_one({"_id": "1"}, session=session)
        assert found is not None
        if not attempts:
            await records.update_one({"_id": "1"}, {"$inc": {"value": 10}})
        attempts.append(found["value"])
        await records.update_one({"_id": "1"}, {"$set": {"value": found["value"] + 1}}, session=session)
        return int(found["value"])

    assert await database.in_transaction(work) == 10
    assert attempts == [0, 10]
    assert await records.find_one({"_id": "1"}) == {"_id": "1", "value": 11}


async def test_what_retrying_cannot_cure_is_raised_at_once(database: Connection) -> None:
    """Architecture 13: an error that is nobody else's fault ends the transaction."""
    attempts: list[int] = []

    async def work(session: Session) -> None:
        attempts.append(1)
        await database.database["Patient"].insert_one({"_id": "1"}, session=session)
        await database.database["Patient"].insert_one({"_id": "1"}, session=session)

    with pytest.raises(DuplicateKeyError):
        await database.in_transaction(work)
    assert attempts == [1]


@pytest.mark.parametrize("url", ["http://db.example.org", "mongodb://", "mongodb://db.example.org:port"])
def test_unreadable_url_is_explained(driver: Driver, url: str) -> None:
    """A wrong setting stops the start with a sentence."""
    with pytest.raises(FhirError, match="URL of the database cannot be read"):
        connect(url, driver)


async def test_single_server_is_refused(tmp_path: Path, driver: Driver, definitions: Definitions) -> None:
    """Architecture 13: a MongoDB without transactions is refused at the start, with the way out."""
    socket = tmp_path / "mongod.sock"
    arguments = [f"--dbpath={tmp_path}", f"--bind_ip={socket}", f"--logpath={tmp_path / 'log'}"]
    with subprocess.Popen([find_mongod(), *arguments]) as mongod:
        store = Store(connect(f"mongodb://{quote(str(socket), safe='')}", driver), definitions)
        with pytest.raises(FhirError, match="not a replica set"):
            await store.ensure(["Patient"])
        await store.close()
        mongod.terminate()


def test_refused_user_is_explained() -> None:
    """A wrong password is a sentence, and not the password."""
    with pytest.raises(FhirError, match="user or password is wrong"), failures_told():
        raise OperationFailure("Authentication failed.", 18)


def test_error_of_ours_is_not_disguised() -> None:
    """FHIR R4 http.html#Status-Codes: a command that MongoDB refuses is our fault (500), not a reason to try again."""
    with pytest.raises(OperationFailure), failures_told():
        raise OperationFailure("unknown operator", 2)


def test_meeting_others_is_not_an_absent_database() -> None:
    """MAT-65, FHIR R4 http.html#Status-Codes: who wrote at the same time as others is told so, and when to come back."""
    met = {"errorLabels": ["TransientTransactionError"]}
    with pytest.raises(FhirError, match="Send it again") as error, failures_told():
        raise OperationFailure("WriteConflict", 112, met)
    assert (error.value.status, error.value.issues[0].code) == (503, "transient")
    assert error.value.headers == {"Retry-After": "1"}
    with pytest.raises(FhirError, match="does not answer"), failures_told():
        raise OperationFailure("not primary", 10107, met)


def test_slow_answer_is_a_timeout() -> None:
    """FHIR R4 http.html#Status-Codes: a search that takes too long is 503 with the issue `timeout`."""
    with pytest.raises(FhirError) as error, failures_told():
        raise ExecutionTimeout("operation exceeded time limit", 50)
    assert (error.value.status, error.value.issues[0].code) == (503, "timeout")
