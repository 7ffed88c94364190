"""README.md is true: its table of settings is that of the program, its words are those of the Makefile."""

from __future__ import annotations

import re

from app.main import TRANSACTIONS
from app.settings import Settings, table
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()


def test_every_setting_is_listed_as_it_is() -> None:
    """README, settings: name, unit and meaning of each, in the order of the program, and none besides."""
    rows = re.findall(r"^\| `(MHD_\w+)` \| (.*) \| (.*) \| (.*) \|$", README, re.MULTILINE)

    assert [(name, unit, meaning) for name, _, unit, meaning in rows] == [
        (row.name, row.unit or "-", row.meaning) for row in table(Settings(_env_file=None))
    ]
    for name, default, _, _ in rows:
        field = Settings.model_fields[name.removeprefix("MHD_").lower()]
        if isinstance(field.default, bool | int):
            assert default == f"`{str(field.default).lower()}`", name


def test_every_transaction_is_listed() -> None:
    """README, transactions: number and name of each."""
    for transaction in TRANSACTIONS:
        if transaction.code:
            assert f"| {transaction.code} {transaction.name} |" in README


def test_every_word_is_in_the_makefile() -> None:
    """README, working on it: each `make` word exists and says in `make help` what it does."""
    words = re.search(r"\| `make` \|.*?\n\n", README, re.DOTALL)
    assert words
    makefile = (PROJECT / "Makefile").read_text()
    for word in re.findall(r"^\| `([\w-]+)` \|", words[0], re.MULTILINE)[1:]:
        assert re.search(rf"^{word}:.*## \w+", makefile, re.MULTILINE), word
