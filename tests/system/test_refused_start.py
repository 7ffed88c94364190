"""A start that is refused: one sentence on standard error, nothing on standard output, an exit status."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.system.program import PATIENCE_S, PROJECT, command, environment, run, served, wait_until


def assert_one_sentence(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


def test_port_is_taken(folder: Path) -> None:
    """A taken port is explained, with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run("serve", "--port", port, "--data", str(folder))
    assert_one_sentence(ended, port, "MHD_PORT", "--port")
    assert list(folder.iterdir()) == []


def test_data_folder_is_in_use(folder: Path) -> None:
    """A second server on one data folder is told who has it; the first one does not notice."""
    with served(folder) as program:
        ended = run("serve", "--port", "0", "--data", str(folder))
        assert httpx.get(f"{program.url}/Patient/ida").status_code == 200
    assert_one_sentence(ended, str(folder), f"process {program.process.pid}", "MHD_DATA_DIR")


def test_data_folder_cannot_be_made(folder: Path) -> None:
    """style.md 10: the folder is named."""
    (folder / "file").touch()
    assert_one_sentence(run("serve", "--port", "0", "--data", str(folder / "file" / "below")), str(folder / "file"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MHD_PORT", "http"),
        ("MHD_PORT", "70000"),
        ("MHD_WORKERS", "0"),
        ("MHD_MONGODB_DRIVER", "pymysql"),
        ("MHD_BASE_URL", "example.org/fhir"),
        ("MHD_MAX_BODY_BYTES", "1GB"),
        ("MHD_PROFILES_DIR", "/nowhere/at/all"),
        ("MHD_WORKES", "2"),
    ],
)
def test_wrong_setting(folder: Path, name: str, value: str) -> None:
    """A wrong setting stops the start with a sentence that names it and where it came from."""
    port = [] if name == "MHD_PORT" else ["--port", "0"]
    assert_one_sentence(run("serve", *port, "--data", str(folder), **{name: value}), name, "the environment")


def test_wrong_setting_in_a_file(folder: Path) -> None:
    """A `.env` file is read, and named when it is wrong."""
    (folder / ".env").write_text("MHD_WORKERS=many\n")
    ended = subprocess.run(
        command("serve", "--port", "0"),
        cwd=folder,
        env=environment(PYTHONPATH=str(PROJECT)),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert_one_sentence(ended, "MHD_WORKERS", ".env", "many")


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://somebody:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100",
        "mongodb+srv://somebody:hunter2@nowhere.invalid/?serverSelectionTimeoutMS=100",
        "http://somebody:hunter2@127.0.0.1/",
    ],
)
def test_password_of_the_database_is_not_told(url: str) -> None:
    """style.md 10: a database that does not answer is explained without its URL, which may hold a password."""
    ended = run("serve", "--port", "0", MHD_MONGODB_URL=url)
    assert_one_sentence(ended, "MHD_MONGODB_URL")
    assert "hunter2" not in ended.stderr


def test_open_to_the_network_needs_a_word(folder: Path) -> None:
    """Decision: without access control the server listens to other machines only when it is told so twice."""
    ended = run("serve", "--port", "0", "--data", str(folder), MHD_HOST="0.0.0.0")
    assert_one_sentence(ended, "MHD_HOST", "MHD_ALLOW_OPEN")


def test_settings_are_listed_with_their_origin(folder: Path) -> None:
    """`python -m app settings` lists every setting, its value and where that came from."""
    (folder / ".env").write_text("MHD_SHUTDOWN_GRACE_S=7\n")
    ended = subprocess.run(
        [sys.executable, "-m", "app", "settings", "--port", "8090"],
        cwd=folder,
        env=environment(PYTHONPATH=str(PROJECT), MHD_WORKERS="3", MHD_MONGODB_URL="mongodb://u:hunter2@db"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    lines = {line.split()[0]: line for line in ended.stdout.splitlines()[1:]}
    assert ended.returncode == 0
    assert {"MHD_HOST", "MHD_PORT", "MHD_BASE_URL", "MHD_MONGODB_URL", "MHD_MONGODB_DRIVER", "MHD_DATA_DIR"} < set(
        lines
    )
    assert "8090" in lines["MHD_PORT"]
    assert "the command line" in lines["MHD_PORT"]
    assert "the environment" in lines["MHD_WORKERS"]
    assert ".env" in lines["MHD_SHUTDOWN_GRACE_S"]
    assert "the default" in lines["MHD_HOST"]
    assert "hunter2" not in ended.stdout
    assert all(name.startswith("MHD_") for name in lines)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable for root")
def test_data_folder_cannot_be_written(folder: Path) -> None:
    """style.md 10: the folder is named, and what is wrong with it."""
    folder.chmod(0o500)
    assert_one_sentence(run("serve", "--port", "0", "--data", str(folder)), str(folder))


def test_reader_that_has_seen_enough() -> None:
    """`python -m app settings | head -n 1` ends without a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        command("settings"),
        cwd=PROJECT,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_faulty_package_is_told_once(folder: Path, workers: str) -> None:
    """A warning about a package stands in the log once, however many workers there are."""
    shutil.copytree(PROJECT / "profiles", folder / "profiles")
    package = folder / "profiles" / "example.faulty-1.0.0"
    package.mkdir()
    manifest = {"name": "example.faulty", "version": "1.0.0", "canonical": "http://example.org/faulty"}
    (package / "package.json").write_text(json.dumps({**manifest, "dependencies": {"example.missing": "1.0.0"}}))
    with served(folder, "--no-examples", MHD_PROFILES_DIR=str(folder / "profiles"), MHD_WORKERS=workers) as program:
        wait_until(lambda: "example.missing" in program.log.read_text())
        program.end()
        told = [line for line in program.log.read_text().splitlines() if "example.missing" in line]
    assert len(told) == 1, told
