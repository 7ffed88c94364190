"""Narrative: XHTML that shows and does nothing.

Spec: FHIR R4 narrative.html, txt-1, txt-2.
"""

from __future__ import annotations

import pytest

from app.validation.validator import Validator
from tests.validation.conftest import errors


def div(content: str, attributes: str = 'xmlns="http://www.w3.org/1999/xhtml"') -> str:
    return f"<div {attributes}>{content}</div>"


@pytest.mark.parametrize(
    "text",
    [
        div("Text"),
        div('<p class="a">A <b>b</b><br/></p><table border="1"><tr><td colspan="2">x</td></tr></table>'),
        div('<a href="http://example.org">link</a><!-- note -->'),
        div('<img src="#x" alt="y"/>'),
        div("Text", 'xmlns="http://www.w3.org/1999/xhtml" xml:lang="de" lang="de"'),
        "<x:div xmlns:x='http://www.w3.org/1999/xhtml'>a &lt; b</x:div>",
    ],
)
def test_allowed(validator: Validator, text: str) -> None:
    """narrative.html: basic formatting, tables, links, images."""
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": text}}
    assert errors(validator.validate(resource)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Text",
        "<div>Text</div>",
        div(""),
        div("   <p/> "),
        div("<b>open"),
        div("<script>alert(1)</script>"),
        div('<p onclick="x()">a</p>'),
        div('<a href="java\nscript:x()">a</a>'),
        div('<a href=" JavaScript:x()">a</a>'),
        div("<iframe src='http://x'/>"),
        div("<form>a</form>"),
        div("<object>a</object>"),
        div("<?php x ?>a"),
        div("&nbsp;a"),
        '<!DOCTYPE div [<!ENTITY a "b">]>' + div("&a;"),
        div("<p xmlns='urn:other'>a</p>"),
        "<p xmlns='http://www.w3.org/1999/xhtml'>a</p>",
        div("a\x01"),
    ],
)
def test_refused(validator: Validator, text: str) -> None:
    """txt-1, txt-2: not well-formed, not allowed, active, or empty."""
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": text}}
    assert set(errors(validator.validate(resource))) == {("invariant", "Patient.text.div")}
