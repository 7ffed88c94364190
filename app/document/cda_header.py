"""The header of a CDA R2 document, read while the document streams by; its body is passed over.

Nothing of the size of the document is ever in memory. A document type is refused before its first entity is read, so
there is nothing to expand and nothing to fetch.

Spec: HL7 CDA R2; MHD-106-05, MHD-SEC-08.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

V3 = "urn:hl7-org:v3"
ROOT = "ClinicalDocument"
BODIES = frozenset({"structuredBody", "nonXMLBody"})

# Own choice: what real headers need many times over.
MAX_DEPTH = 100
MAX_ELEMENTS = 20_000
MAX_TEXT = 1_000_000


class CdaError(Exception):
    """The document cannot be read as CDA; the message says why.

    Attributes:
        root: namespace and name of the root element when it is another one: `http://hl7.org/fhir Bundle`.
    """

    def __init__(self, message: str, root: str = "") -> None:
        super().__init__(message)
        self.root = root


@dataclass(slots=True)
class Element:
    """An element of the v3 namespace: its name, its attributes, the elements in it, its text."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return an attribute; "" when it is not there."""
        return self.attributes.get(name, "")

    def all(self, path: str) -> Iterator[Element]:
        """Yield the elements at `path`, names with `/` between."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                yield from child.all(rest) if rest else (child,)

    def first(self, path: str) -> Element | None:
        """Return the first element at `path`."""
        return next(self.all(path), None)

    def string(self, path: str = "") -> str:
        """Return the text of the first element at `path`, white space normalised, that of its own elements included."""
        found = self.first(path) if path else self
        if found is None:
            return ""
        return " ".join(" ".join(["".join(found.texts), *(child.string() for child in found.children)]).split())


class CdaHeaderReader:
    """Reads a document piece by piece: `feed` each, then `close`."""

    def __init__(self) -> None:
        self._root: Element | None = None
        self._open: list[Element] = []
        self._depth = 0
        self._passed_over = 0  # depth of the element that is passed over with all that is in it; 0: none
        self._elements = self._text = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse_document_type

    def feed(self, piece: bytes) -> None:
        """Read the next piece.

        Raises:
            CdaError: it is not well-formed, declares a document type, or is no CDA document.
        """
        self._parse(piece, is_last=False)

    def close(self) -> Element:
        """Return the root element, without the body.

        Raises:
            CdaError: the document is not complete.
        """
        self._parse(b"", is_last=True)
        if self._root is None:
            raise CdaError("The document is empty.")
        return self._root

    def _parse(self, piece: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise CdaError(f"Line {error.lineno}, column {error.offset + 1}: {reason}.") from None

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CdaError(f"The document is nested more than {MAX_DEPTH} levels deep.")
        namespace, _, name = qualified.rpartition(" ")
        if self._root is None and qualified != f"{V3} {ROOT}":
            raise CdaError(f"The root element is `{name[:64]}`.", qualified)
        if self._passed_over:
            return
        if namespace != V3 or name in BODIES:
            self._passed_over = self._depth
            return
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise CdaError(f"The header has more than {MAX_ELEMENTS} elements.")
        element = Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
            self._open[-1].texts.append(" ")
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        if not self._passed_over:
            self._open.pop()
        elif self._passed_over == self._depth:
            self._passed_over = 0
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._passed_over or not self._open:
            return
        self._text += len(text)
        if self._text > MAX_TEXT:
            raise CdaError(f"The header has more than {MAX_TEXT} characters of text.")
        self._open[-1].texts.append(text)

    def _refuse_document_type(self, *_: object) -> None:
        raise CdaError("The document declares a document type (DOCTYPE), which is refused.")
