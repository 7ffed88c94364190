"""ITI-68 Retrieve Document, 2:3.68: what a document is called, and whether a browser may show it."""

from __future__ import annotations

import httpx
import pytest

from app.document.file_name import content_disposition, file_name
from tests.mhd.conftest import Publish, locations
from tests.submissions import submission

PDF = "application/pdf"


async def published(publish: Publish, title: str | None, content_type: str) -> str:
    """Return where a document with this title and type lies."""
    made = submission(b"<svg/>", content_type=content_type)
    attachment = made["entry"][1]["resource"]["content"][0]["attachment"]
    attachment |= {"title": title} if title is not None else {}
    if title is None:
        del attachment["title"]
    return locations(await publish(made))[2]


async def test_called_by_its_title(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-68-16: the file name is the title, for old clients in ASCII; GET and HEAD agree."""
    url = await published(publish, "Laborbefund März", PDF)

    for response in (await client.get(url), await client.head(url)):
        assert response.headers["content-disposition"] == (
            "inline; filename=\"Laborbefund Marz.pdf\"; filename*=UTF-8''Laborbefund%20M%C3%A4rz.pdf"
        )


async def test_called_by_its_id_without_a_title(client: httpx.AsyncClient, publish: Publish) -> None:
    """MHD-68-16, MHD-SEC-06: no title, and the name is that of no person."""
    url = await published(publish, None, PDF)

    expected = f'inline; filename="document-{url.rpartition("/")[2]}.pdf"'
    assert (await client.get(url)).headers["content-disposition"] == expected


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "text/xml", "application/xhtml+xml; charset=utf-8"]
)
async def test_active_content_is_saved(client: httpx.AsyncClient, publish: Publish, content_type: str) -> None:
    """MHD-SEC-11: HTML, SVG and XML are not shown in the place of a page of this server, nor guessed, nor run."""
    headers = (await client.get(await published(publish, "A page", content_type))).headers

    assert headers["content-disposition"].startswith('attachment; filename="A page.')
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox"
    assert headers["content-type"] == content_type


@pytest.mark.parametrize("content_type", [PDF, "text/plain; charset=utf-8", "image/png", "video/mp4"])
async def test_harmless_content_is_shown(client: httpx.AsyncClient, publish: Publish, content_type: str) -> None:
    """MHD-SEC-11: a viewer may show what runs nothing."""
    headers = (await client.get(await published(publish, "A picture", content_type))).headers

    assert headers["content-disposition"].startswith("inline; ")
    assert "content-security-policy" not in headers


@pytest.mark.parametrize(
    ("title", "media_type", "expected"),
    [
        ("../../etc/passwd", PDF, "etc passwd.pdf"),
        ("C:\\Windows\\system.ini", PDF, "C Windows system.ini.pdf"),
        ("a\r\nSet-Cookie: x=1", PDF, "a Set-Cookie x=1.pdf"),
        ('say "hi"; filename=x', PDF, "say hi filename=x.pdf"),
        ("report\u202efdp.exe", PDF, "report fdp.exe.pdf"),  # an override that turns letters around
        ("con", "text/plain", "_con.txt"),
        ("LPT1.report", "text/plain", "_LPT1.report.txt"),
        (".profile", "text/plain", "profile.txt"),
        ("scan.PDF", PDF, "scan.pdf"),
        ("x" * 500, PDF, "x" * 200 + ".pdf"),
        ("日" * 500, PDF, "日" * 66 + ".pdf"),
        ("...", PDF, ""),
        ("", PDF, ""),
        ("of an unknown type", "application/x-unknown", "of an unknown type"),
    ],
)
def test_safe_names(title: str, media_type: str, expected: str) -> None:
    """MHD-SEC-11: nothing in a title leads out of a folder, ends a header, or poses as another type."""
    assert file_name(title, media_type) == expected


@pytest.mark.parametrize(
    ("title", "header"),
    [
        ("日本", "inline; filename=\"document-7.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
        ("Łódź", "inline; filename=\"odz.pdf\"; filename*=UTF-8''%C5%81%C3%B3d%C5%BA.pdf"),
        ("plain", 'inline; filename="plain.pdf"'),
    ],
)
def test_both_forms(title: str, header: str) -> None:
    """RFC 6266, 4.3: the extended form when the plain one says less; both name a file."""
    found = content_disposition(title, PDF, "7")

    assert found == header
    assert found.isascii()
