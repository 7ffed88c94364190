"""Identifier domains from a file and from packages: PIXM-DOM-01 to PIXM-DOM-08."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.__main__ import main
from app.domains import Domain, Domains, DomainsError, of_naming_systems, parse

BASE = "https://index.example.org/fhir"
GOOD = """
[[domain]]
system = "urn:oid:2.999.1"
aliases = ["https://one.example.org"]
name = "One"
fed_by = "one-adt"

[[domain]]
system = "https://two.example.org/fhir"
name = "Two"
kind = "fhir-server"
assertion = "any"
trusted = true
revealed = false
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "domains.toml"
    file.write_text(text)
    return file


def test_every_member(tmp_path: Path) -> None:
    """PIXM-DOM-01: what a domain may say."""
    one, two = parse(written(tmp_path, GOOD))
    assert one == Domain("urn:oid:2.999.1", ("https://one.example.org",), "One", "one-adt")
    assert (two.kind, two.assertion, two.trusted, two.revealed) == ("fhir-server", "any", True, False)
    assert (one.source, two.source) == ("one-adt", "https://two.example.org/fhir")


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ('name = "One"', 'name = "One', 5, "TOML"),
        ('name = "One"', "", 2, "no `name`"),
        ('system = "urn:oid:2.999.1"', "", 2, "no `system`"),
        ('system = "urn:oid:2.999.1"', 'system = "2.999.1"', 3, "absolute URI"),
        ('system = "urn:oid:2.999.1"', 'system = "urn:oid:9.x"', 3, "OID"),
        ('system = "urn:oid:2.999.1"', "system = 1", 3, "text"),
        ('fed_by = "one-adt"', 'feed_by = "one-adt"', 6, "`feed_by` is not known"),
        ("trusted = true", 'trusted = "yes"', 13, "true or false"),
        ('assertion = "any"', 'assertion = "all"', 12, "one of owner-only, any"),
        ('"https://one.example.org"]', '"https://two.example.org/fhir"]', 9, "already"),
        ("aliases = [", "aliases = [1, ", 4, "list of texts"),
        ("[[domain]]", "[domain]", 2, "[[domain]]"),
    ],
)
def test_mistakes_are_told_by_line(tmp_path: Path, old: str, new: str, line: int, word: str) -> None:
    """A wrong file names the line that is wrong."""
    text = (
        GOOD.replace(old, new, 2 if old == "[[domain]]" else 1) if old != "[[domain]]" else '\n[domain]\nsystem = "x"\n'
    )
    with pytest.raises(DomainsError) as raised:
        parse(written(tmp_path, text))
    assert f"line {line}" in str(raised.value)
    assert word in str(raised.value)
    assert "domains.toml" in str(raised.value)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, and one that is no text."""
    with pytest.raises(DomainsError, match="cannot be read"):
        parse(tmp_path / "nothing.toml")
    (tmp_path / "domains.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DomainsError, match="UTF-8"):
        parse(tmp_path / "domains.toml")


def test_wrong_file_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mongodb_url: str
) -> None:
    """One sentence on standard error, and a status that is not zero."""
    monkeypatch.setenv("MHD_DOMAINS", str(written(tmp_path, "[[domain]]\nsystem = 1\n")))
    monkeypatch.setenv("MHD_MONGODB_URL", mongodb_url)
    monkeypatch.setenv("MHD_MONGODB_DATABASE", "test_domains")
    monkeypatch.setenv("MHD_PORT", "0")
    assert main(["serve"]) == 1
    assert "domains.toml, line 2: `system` must be a text in quotation marks." in capsys.readouterr().err


def test_naming_systems() -> None:
    """PIXM-DOM-01: of packages: the URI leads, OID and UUID are other spellings; code systems are none."""
    ids = [
        {"type": "oid", "value": "2.999.7"},
        {"type": "uri", "value": "https://seven.example.org", "preferred": True},
    ]
    named = {"resourceType": "NamingSystem", "kind": "identifier", "name": "Seven", "status": "active", "uniqueId": ids}
    (found,) = of_naming_systems([named, named | {"kind": "codesystem"}, named | {"status": "retired"}])
    assert found == Domain("https://seven.example.org", ("urn:oid:2.999.7",), "Seven")


def test_one_domain_by_each_spelling() -> None:
    """PIXM-DOM-03, PIXM-DOM-05, PIXM-DOM-07: spellings are exact; the own base is there with and without a slash; inactive ones are not."""
    one, old = Domain("urn:oid:2.999.1", ("urn:other",), "One"), Domain("urn:oid:2.999.2", active=False)
    domains = Domains([one, old], BASE)
    assert domains.find("urn:other") is domains.find("urn:oid:2.999.1") is one
    assert domains.find(BASE) is domains.find(f"{BASE}/") is domains.own
    assert domains.find("2.999.1") is domains.find("urn:oid:2.999.2") is None
    assert domains.canonical("urn:other") == "urn:oid:2.999.1"


def test_who_may_feed() -> None:
    """PIXM-DOM-02: the named client, and while nobody is asked for a token, whoever reaches the server."""
    domain = Domain("urn:oid:2.999.1", fed_by="one-adt")
    assert [domain.may_be_fed_by(client) for client in ("one-adt", "two-adt", "")] == [True, False, True]
