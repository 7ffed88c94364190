"""TLS of the started program: IUA-29, AUD-86, MHD-SEC-01, PIXM-SEC-04."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from tests.system.certificates import Authority, Pair
from tests.system.program import Program, run, served


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def url(program: Program, path: str) -> str:
    return f"https://127.0.0.1:{program.port}{path}"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls(folder: Path) -> None:
    """IUA-29, MHD-SEC-01: what is served by TLS says so to browsers, and takes neither plain HTTP nor old versions."""
    authority = Authority(folder, "root")
    pair = authority.pair("server", "secret-of-the-key")
    (folder / "password").write_text("secret-of-the-key\n")
    settings = {
        "MHD_TLS_CERTIFICATE": str(pair.certificate),
        "MHD_TLS_KEY": str(pair.key),
        "MHD_TLS_KEY_PASSWORD_FILE": str(folder / "password"),
    }
    with served(folder, "--workers", "2", **settings) as program:
        assert program.url == f"https://127.0.0.1:{program.port}/fhir"
        with httpx.Client(verify=trusting(authority)) as client:
            found = client.get(f"{program.url}/Patient?family=muster")
        assert found.headers["strict-transport-security"].startswith("max-age=")
        assert all(entry["fullUrl"].startswith(f"{program.url}/Patient/") for entry in found.json()["entry"])
        with pytest.raises(httpx.HTTPError):
            httpx.get(program.url.replace("https", "http"))
        old = trusting(authority)
        old.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the server who refuses
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with httpx.Client(verify=old) as client, pytest.raises(httpx.ConnectError, match=r"(?i)alert|eof|reset"):
            client.get(url(program, "/health/live"))
        assert "secret-of-the-key" not in program.log.read_text()


def test_mutual_tls(folder: Path) -> None:
    """AUD-86: only who has a certificate of a known authority is talked to."""
    authority, other = Authority(folder, "root"), Authority(folder, "other")
    pair = authority.pair("server")
    settings = {
        "MHD_TLS_CERTIFICATE": str(pair.certificate),
        "MHD_TLS_KEY": str(pair.key),
        "MHD_TLS_CLIENT_CA": str(authority.file),
    }
    with served(folder, "--no-examples", **settings) as program:
        with httpx.Client(verify=trusting(authority, authority.pair("recorder"))) as client:
            assert client.get(url(program, "/fhir/metadata")).status_code == 200
        for stranger in (None, other.pair("recorder-of-others")):
            with httpx.Client(verify=trusting(authority, stranger)) as client, pytest.raises(httpx.HTTPError):
                client.get(url(program, "/fhir/metadata"))


def test_files_that_cannot_be_used(folder: Path) -> None:
    """style.md 10: one sentence with the files and the settings, before anything is started."""
    authority = Authority(folder, "root")
    one, another = authority.pair("one"), authority.pair("another")
    (folder / "empty.pem").touch()
    for certificate, key in ((one.certificate, another.key), (folder / "empty.pem", one.key)):
        ended = run("serve", "--port", "0", MHD_TLS_CERTIFICATE=str(certificate), MHD_TLS_KEY=str(key))
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1), ended.stderr
        assert "MHD_TLS_KEY" in ended.stderr
        assert str(certificate) in ended.stderr
