"""The narrative's `div`: XHTML inside FHIR's XML, one string in FHIR's JSON.

As long as the `div` declares its namespaces itself, its text is taken over as it was written, so that it comes back
equal. One that leans on prefixes declared above it is written anew, without prefixes.

Spec: FHIR R4 narrative.html; json.html#xhtml.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import name2codepoint
from typing import Any, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from app.fhir.xml_plan import XHTML

MAX_DEPTH = 64  # elements in elements, below the div
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"


class DivReader:
    """Takes over the handlers of `parser` at the start tag of a `div`, and hands its text to `close` at the end."""

    def __init__(
        self,
        parser: Any,
        body: bytes,
        attributes: list[str],
        close: Callable[[str], None],
        fail: Callable[[str], NoReturn],
        *,
        as_written: bool,
    ) -> None:
        """Begin; `as_written` says that no namespace prefix is in force, so that the text can stand alone."""
        self._parser, self._body, self._close, self._fail = parser, body, close, fail
        self._begin: int = parser.CurrentByteIndex
        self._depth = 1
        self._parts: list[str] | None = None if as_written else [f'<div xmlns="{XHTML}"{self._written(attributes)}>']
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _start(self, qualified: str, attributes: list[str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if namespace != XHTML:
            self._fail(f"The narrative has `{name[:MAX_DEPTH]}`, which is not in the namespace `{XHTML}`.")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"The narrative is nested more than {MAX_DEPTH} elements deep.")
        if self._parts is not None:
            self._parts.append(f"<{name}{self._written(attributes)}>")

    def _end(self, qualified: str) -> None:
        self._depth -= 1
        if self._parts is not None:
            self._parts.append(f"</{qualified.rpartition(' ')[2]}>")
        if self._depth == 0:
            self._close("".join(self._parts) if self._parts is not None else self._as_written())

    def _text(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(escape(text))

    def _as_written(self) -> str:
        """Return the bytes from the start tag to the end tag; an empty `<div/>` ends where the parser stands."""
        end: int = self._parser.CurrentByteIndex
        if self._body.startswith(b"</div", end):
            end = self._body.index(b">", end) + 1
        return self._body[self._begin : end].decode().replace("\r\n", "\n").replace("\r", "\n")

    def _written(self, attributes: list[str]) -> str:
        written = ""
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if " " in name and name != _LANGUAGE:
                self._fail(f"The narrative has the attribute `{name[:MAX_DEPTH]}`, which is not XHTML's.")
            written += f" {'xml:lang' if name == _LANGUAGE else name}={quoteattr(value)}"
        return written


def embedded_div(text: str) -> str:
    """Return the JSON string `text` as it can stand inside an XML document: one `div`, nothing beside it.

    Laxer than the specification: a missing namespace is added, and HTML's named characters are spelled out.

    Raises:
        ValueError: `text` is not one well-formed `div`.
    """
    if text.startswith(("<div>", "<div ")) and "xmlns" not in text.partition(">")[0]:
        text = f'<div xmlns="{XHTML}"{text[4:]}'
    try:
        _require_div(text)
    except expat.ExpatError:
        text = _NAMED.sub(_spelled_out, text)
        _require_well_formed(text)
    return text


def _require_well_formed(text: str) -> None:
    try:
        _require_div(text)
    except expat.ExpatError as error:
        raise ValueError(f"it is not well-formed XHTML ({expat.ErrorString(error.code)})") from None


def _require_div(text: str) -> None:
    """Raise ExpatError or ValueError unless `text` is a `div` of XHTML; what begins so declares no document type."""
    if not text.startswith("<div"):
        raise ValueError("it is not a `div`")
    root: list[str] = []
    parser = expat.ParserCreate("utf-8", " ")

    def start(name: str, _attributes: object) -> None:
        root.append(name)
        parser.StartElementHandler = None

    parser.StartElementHandler = start
    parser.Parse(text, True)
    if root != [f"{XHTML} div"]:
        raise ValueError(f"it is not a `div` in the namespace `{XHTML}`")


_NAMED = re.compile("&([A-Za-z][A-Za-z0-9]*);")


def _spelled_out(match: re.Match[str]) -> str:
    name = match[1]
    known = name in name2codepoint and name not in ("amp", "lt", "gt", "quot")
    return chr(name2codepoint[name]) if known else match[0]
