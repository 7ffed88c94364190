"""Narrative: the XHTML of `text.div`, with nothing in it that could act.

Spec: FHIR R4 narrative.html#Narrative (txt-1, txt-2).
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from app.validation.finding import Finding, Findings, shown
from app.validation.place import Place

_XHTML = "{http://www.w3.org/1999/xhtml}"
# Source: narrative.html: basic formatting of HTML 4.0 chapters 7-11 (but section 4 of 9) and 15, `<a>`, images.
ELEMENTS = frozenset({
    "a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd",
    "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li", "ol", "p",
    "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "tt", "ul", "u", "s", "strike", "var",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "title", "style", "class", "id", "xml:lang", "lang", "dir", "accesskey", "tabindex", "abbr", "align", "alt",
    "axis", "bgcolor", "border", "cellhalign", "cellpadding", "cellspacing", "cellvalign", "char", "charoff",
    "charset", "cite", "colspan", "compact", "coords", "frame", "headers", "height", "href", "hreflang", "hspace",
    "longdesc", "name", "noshade", "nowrap", "rel", "rev", "rowspan", "rules", "scope", "shape", "span", "src",
    "start", "summary", "type", "valign", "value", "vspace", "width", "xml:space",
})  # fmt: skip
_LONGEST = 2**21
_LINKS = ("href", "src", "cite", "longdesc")
_ACTIVE = ("javascript:", "vbscript:", "data:text/html")


def check_narrative(value: Any, place: Place) -> Findings:
    """Return what is wrong with an XHTML `div`: not well-formed, not allowed, empty."""
    if type(value) is not str or not value:
        return [Finding("structure", "`div` must be a string of XHTML.")]
    if len(value) > _LONGEST or "<!" in value.replace("<!--", ""):
        return [Finding("invariant", "Narrative may have no document type, and at most 2 MB (FHIR R4 `txt-1`).")]
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(value.encode("utf-8", "surrogatepass"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return [Finding("invariant", "Narrative is not well-formed XHTML (FHIR R4 `txt-1`).")]
    return _check_tree(root)


def _check_tree(root: etree._Element) -> Findings:
    if root.tag != f"{_XHTML}div":
        return [Finding("invariant", "Narrative must be one `div` in the XHTML namespace (FHIR R4 `txt-1`).")]
    found: list[Finding] = []
    content = False
    for element in root.iter():
        if not isinstance(element.tag, str):
            found += _not_a_comment(element)
            continue
        name = element.tag.removeprefix(_XHTML)
        content = content or name == "img" or bool((element.text or "").strip() or (element.tail or "").strip())
        found += _check_element(element, name)
    if not content:
        found.append(Finding("invariant", "Narrative has neither text nor an image (FHIR R4 `txt-2`)."))
    return found[:20] or None


def _not_a_comment(element: etree._Element) -> list[Finding]:
    if isinstance(element, etree._Comment):
        return []
    return [Finding("invariant", "Narrative may have no processing instructions or entities (FHIR R4 `txt-1`).")]


def _check_element(element: etree._Element, name: str) -> list[Finding]:
    if name not in ELEMENTS:
        return [Finding("invariant", f"Narrative may not have the element {shown(name)} (FHIR R4 `txt-1`).")]
    found = []
    for key, text in element.attrib.items():
        plain = str(key).replace("{http://www.w3.org/XML/1998/namespace}", "xml:")
        if plain not in ATTRIBUTES:
            found.append(
                Finding("invariant", f"Narrative may not have the attribute {shown(plain)} (FHIR R4 `txt-1`).")
            )
        elif plain in _LINKS and "".join(str(text).split()).lower().startswith(_ACTIVE):
            found.append(Finding("invariant", f"`{plain}` in a narrative may not be active (FHIR R4 `txt-1`)."))
    return found
