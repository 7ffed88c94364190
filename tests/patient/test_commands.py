"""`python -m app patients …`: MAT-63, MAT-64, as an administrator types it."""

from __future__ import annotations

from argparse import ArgumentParser

import httpx
import pytest
from fastapi import FastAPI

from app.__main__ import main
from app.patient.commands import add_commands, run
from app.transaction import Context
from tests.patients import NORTH, SOUTH, fed, person


async def typed(context: Context, *words: str) -> list[str]:
    """Carry out a command; return the lines that it prints."""
    parser = ArgumentParser()
    add_commands(parser)
    return [line async for line in run(parser.parse_args(words), context)]


async def test_from_review_to_undo(index_app: FastAPI, index: httpx.AsyncClient) -> None:
    """MAT-63, MAT-64: seen, explained, linked, shown, undone; and listed again."""
    context: Context = index_app.state.context
    names = {NORTH: "Malá", SOUTH: "Kováčová"}
    a, b = [
        await fed(index, person(system, "1", name=[{"family": name, "given": ["Eva"]}], birthDate="1980-08-08"))
        for system, name in names.items()
    ]
    (case,) = await typed(context, "review")
    assert a in case
    assert b in case
    explained = await typed(context, "explain", f"Patient/{a}", b)
    assert any("birthDate: exact" in line for line in explained)
    assert "same person: no" in explained
    (linked,) = await typed(context, "link", a, b, "--reason", "married", "--author", "admin")
    assert "same, by admin: married" in linked
    assert await typed(context, "review") == ["nothing to review"]
    assert (await typed(context, "person", a))[:2] == [f"Patient/{a}", f"Patient/{b}"]
    (undone,) = await typed(context, "undo", linked.split()[0], "--reason", "other Eva", "--author", "admin")
    assert "undone by admin: other Eva" in undone
    assert await typed(context, "person", a) == [f"Patient/{a}", undone]
    assert len(await typed(context, "review")) == 1


def test_at_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mongodb_url: str
) -> None:
    """MAT-64: the program itself, beside or without a running server; a mistake is one sentence and a status."""
    monkeypatch.setenv("MHD_MONGODB_URL", mongodb_url)
    monkeypatch.setenv("MHD_MONGODB_DATABASE", "test_commands")
    assert main(["patients", "review"]) == 0
    assert "nothing to review" in capsys.readouterr().out
    assert main(["patients", "link", "a", "b", "--reason", "x"]) == 1
    assert "There is no Patient/a." in capsys.readouterr().err
