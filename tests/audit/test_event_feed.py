"""Events of the feed: what was added, revised, merged, removed, and whose persons changed. AUD-33 to AUD-38."""

from __future__ import annotations

from app.fhir.resource import Resource
from app.validation.validator import Validator
from tests.audit.collecting import World, entity
from tests.audit.test_event import problems
from tests.audit.transactions import PIXM
from tests.patients import JSON, KATARINA, KATARINA_SOUTH, NORTH, SOUTH, fed, feed, person


def data(event: Resource) -> list[str]:
    return [one["what"]["reference"] for one in event["entity"] if one.get("role", {}).get("code") == "4"]


def key(event: Resource) -> str:
    found = entity(event, "1")["what"]
    assert set(found) == {"identifier"}
    return "|".join(found["identifier"].values())


def profiles(events: list[Resource]) -> list[str]:
    return [each for one in events for each in one.get("meta", {}).get("profile", [""])]


async def test_create_then_update(nobody: World) -> None:
    """AUD-26, AUD-33..35: 201 is a create, 200 an update; the data is the version that was written."""
    for version, done, action in ((1, "Create", "C"), (2, "Update", "U"), (2, "Update", "U")):
        record = await fed(nobody.client, person(gender="male" if version > 1 else "female"))
        (event,) = nobody.told()
        assert profiles([event]) == [f"{PIXM}.Feed.{done}.Audit.Manager"]
        assert event["action"] == action
        assert (data(event), key(event)) == ([f"Patient/{record}/_history/{version}"], f"{NORTH}|N-1001")


async def test_conditional_create_of_what_is_there(nobody: World) -> None:
    """AUD-33: 200 is an update, of the version that was there."""
    headers = JSON | {"If-None-Exist": f"identifier={NORTH}|N-1001"}
    for done in ("Create", "Update"):
        await nobody.client.post("Patient", json=person(), headers=headers)
        assert profiles(nobody.told()) == [f"{PIXM}.Feed.{done}.Audit.Manager"]


async def test_removal(nobody: World, validator: Validator) -> None:
    """AUD-36: the Patient that was removed; of nobody, the condition as it was in the URL."""
    record = await fed(nobody.client, person())
    nobody.told()
    for expected in (f"Patient/{record}", f"Patient?identifier={NORTH}|N-1001"):
        answer = await nobody.client.delete(f"Patient?identifier={NORTH}|N-1001")
        assert answer.status_code == 204
        (event,) = nobody.told()
        assert [one.replace("%7C", "|") for one in data(event)] == [expected]
        assert profiles([event]) == [f"{PIXM}.Feed.Delete.Audit.Manager"]
        assert problems(event, validator) == []


async def test_merge_is_told_of_both(nobody: World, validator: Validator) -> None:
    """AUD-37: an update of the subsumed key, and one of the surviving key that says what was merged into it."""
    survivor, subsumed = await fed(nobody.client, person()), person(value="N-1002", birthDate="1931-05-05")
    await fed(nobody.client, subsumed)
    nobody.told()
    link = {"other": {"identifier": {"system": NORTH, "value": "N-1001"}}, "type": "replaced-by"}
    record = await fed(nobody.client, subsumed | {"link": [link], "active": False})

    first, second, *_ = nobody.told()

    assert [key(first), key(second)] == [f"{NORTH}|N-1002", f"{NORTH}|N-1001"]
    assert (data(first), data(second)) == ([f"Patient/{record}/_history/2"], [f"Patient/{survivor}"])
    assert "detail" not in entity(first, "4")
    assert entity(second, "4")["detail"] == [{"type": "merged-from", "valueString": f"Patient/{record}"}]
    assert profiles([first, second]) == [f"{PIXM}.Feed.Update.Audit.Manager"] * 2
    for event in (first, second):
        assert problems(event, validator) == []
        assert "outcomeDesc" not in event
    again = await feed(nobody.client, subsumed | {"link": [link], "active": False, "gender": "other"})
    assert again.status_code == 200
    assert [key(one) for one in nobody.told() if "meta" in one] == [f"{NORTH}|N-1002"]


async def test_link_is_told_once(nobody: World, validator: Validator) -> None:
    """AUD-38: a feed that links tells of the cluster: all of its Patients, by the feeding client; unlinking does too."""
    north = await fed(nobody.client, KATARINA)
    assert len(nobody.told()) == 1
    south = await fed(nobody.client, KATARINA_SOUTH)

    created, moved = nobody.told()

    assert (data(created), sorted(data(moved))) == (
        [f"Patient/{south}/_history/1"],
        sorted(f"Patient/{one}" for one in (north, south)),
    )
    assert (moved["action"], [one["code"] for one in moved["subtype"]]) == ("U", ["update", "ITI-104"])
    assert moved["agent"] == created["agent"]
    assert "meta" not in moved
    assert problems(moved, validator) == []
    assert "1" not in [one["role"]["code"] for one in moved["entity"]]
    await nobody.client.delete("Patient", params={"identifier": f"{SOUTH}|S-77"})
    removed, apart = nobody.told()
    assert (removed["action"], apart["action"], sorted(data(apart))) == ("D", "U", sorted(data(moved)))


async def test_updates_without_a_change_of_persons(nobody: World) -> None:
    """AUD-38: nothing is told of clusters that stay as they are."""
    await fed(nobody.client, KATARINA)
    await fed(nobody.client, KATARINA_SOUTH)
    nobody.told()
    await fed(nobody.client, KATARINA | {"gender": "female", "maritalStatus": {"text": "none"}})
    assert profiles(nobody.told()) == [f"{PIXM}.Feed.Update.Audit.Manager"]
