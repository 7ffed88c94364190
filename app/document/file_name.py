"""What a document is called when it is saved, and whether a browser may show it: `Content-Disposition`.

The title of a document was written by somebody else. What a file system, a header field or the eye of a reader would
take for something else is taken out of it, and what a browser would run is saved instead of shown.

Spec: RFC 6266; RFC 8187 (`filename*`); MHD-SEC-11.
"""

from __future__ import annotations

import mimetypes
import unicodedata
from urllib.parse import quote

from app.fhir.media_type import JSON, XML, split

LONGEST_BYTES = 200  # file systems take 255, and an extension follows

# Types that a browser shows without running anything. Own choice: a list of what is harmless, not of what is not;
# HTML, SVG and everything else that is XML are not on it.
SHOWN = frozenset({"application/pdf", "text/plain", "application/json", JSON, "application/dicom+json"})
SHOWN_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/tiff", "image/webp", "image/bmp"})

# Media types that Python's table does not know, and those it has no clear answer for.
EXTENSIONS = {
    JSON: ".json",
    XML: ".xml",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "image/tiff": ".tif",
    "application/dicom": ".dcm",
}

# What Windows keeps for devices.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))})
_SEPARATORS = frozenset('/\\:*?"<>|%;')


def is_shown(media_type: str) -> bool:
    """Tell whether a browser may show a document of `media_type` in the place of a page of this server."""
    name = split(media_type)[0]
    return name in SHOWN | SHOWN_IMAGES or name.startswith(("audio/", "video/"))


def content_disposition(title: str, media_type: str, document_id: str) -> str:
    """Return the header field for a document with this `title`; without one it is called by its id.

    Examples:
        "Laborbefund März", application/pdf -> inline; filename="Laborbefund Marz.pdf";
                                               filename*=UTF-8''Laborbefund%20M%C3%A4rz.pdf
        "../../etc/passwd", text/html       -> attachment; filename="etc passwd.html"
    """
    name = file_name(title, media_type) or file_name(f"document-{document_id}", media_type)
    kind = "inline" if is_shown(media_type) else "attachment"
    plain = _ascii(name) or _ascii(file_name(f"document-{document_id}", media_type))
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def file_name(title: str, media_type: str) -> str:
    """Return `title` as the name of a file whose extension is that of `media_type`; "" when nothing of it is left."""
    stem = " ".join("".join(map(_harmless, unicodedata.normalize("NFC", title))).split()).strip(". ")
    extension = _extension(media_type)
    if extension and stem.lower().endswith(extension):
        stem = stem[: -len(extension)].rstrip(". ")
    if not stem:
        return ""
    stem = f"_{stem}" if stem.partition(".")[0].lower() in _DEVICES else stem
    return stem.encode()[:LONGEST_BYTES].decode(errors="ignore").rstrip(". ") + extension


def _harmless(character: str) -> str:
    """Return a character as a file name may hold it: no separators, no controls, nothing that turns text around."""
    if character in _SEPARATORS or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return " "
    return character


def _extension(media_type: str) -> str:
    name = split(media_type)[0]
    return EXTENSIONS.get(name) or mimetypes.guess_extension(name, strict=True) or ""


def _ascii(name: str) -> str:
    """Return what old clients read: `name` without accents and without letters that are not ASCII."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = " ".join(letters.split())
    return plain if plain.rpartition(".")[0].strip(". ") or "." not in name else ""
