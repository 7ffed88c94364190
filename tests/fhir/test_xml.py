"""FHIR's XML: nothing is lost on the way through, and what is not FHIR is refused with its name and place.

Spec: FHIR R4 xml.html, json.html, narrative.html; MHD-GEN-09, MHD-SEC-08.
"""

from __future__ import annotations

import json
import re
import string
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from app.fhir.packages import load
from app.fhir.resource import DecimalText, Resource, parse_json
from app.fhir.structure import Element
from app.fhir.xml import XmlError, from_xml, to_xml
from app.fhir.xml_reader import MAX_DEPTH

REPOSITORY = Path(__file__).resolve().parents[2]
IHE = REPOSITORY.parent / "shared" / "ihe"
STRUCTURES = load(REPOSITORY / "profiles").structures
XHTML = "http://www.w3.org/1999/xhtml"


def spelled(value: Any) -> str:
    """Return `value` so that two are equal only when names, values, types and the text of decimals are."""
    return json.dumps(value, sort_keys=True, default=lambda decimal: f"decimal {decimal.text}")


def patient(inside: str, root: str = '<Patient xmlns="http://hl7.org/fhir">') -> bytes:
    """Return a Patient in XML with `inside` as its content."""
    return f"{root}{inside}</Patient>".encode()


def read(body: bytes) -> Resource:
    """Return the resource in `body`."""
    return from_xml(body, STRUCTURES)


def written(resource: Resource) -> bytes:
    """Return `resource` as XML."""
    return to_xml(resource, STRUCTURES)


@pytest.mark.skipif(not IHE.is_dir(), reason="the guides' examples are not at hand")
@pytest.mark.parametrize("path", sorted(IHE.glob("*/examples/*.json")), ids=lambda path: path.name)
def test_official_examples_come_back_equal(path: Path) -> None:
    """MHD-GEN-09: JSON and XML are loss-free with respect to each other; another parser reads the XML too."""
    resource = parse_json(path.read_bytes())
    body = written(resource)
    assert etree.fromstring(body).tag == f"{{http://hl7.org/fhir}}{resource['resourceType']}"
    assert spelled(read(body)) == spelled(resource)


ROUND_TRIPS: dict[str, Resource] = {
    "an extension on a primitive": {
        "birthDate": "1970-03-30",
        "_birthDate": {"id": "b", "extension": [{"url": "urn:time", "valueDateTime": "1970-03-30T12:00:00Z"}]},
    },
    "an extension in place of a value": {"_birthDate": {"extension": [{"url": "urn:why", "valueCode": "unknown"}]}},
    "a list with extensions on some": {
        "name": [{"given": ["A", None, "C"], "_given": [None, {"extension": [{"url": "urn:x"}]}, {"id": "c"}]}]
    },
    "a list of extensions alone": {"name": [{"_given": [{"id": "a"}, {"id": "b"}]}]},
    "attributes": {"name": [{"id": "n", "family": "F"}], "extension": [{"id": "e", "url": "urn:x", "valueId": "v"}]},
    "contained resources": {
        "contained": [
            {"resourceType": "Organization", "id": "o", "name": "O"},
            {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "QQ=="},
        ]
    },
    "a choice": {"deceasedBoolean": False, "multipleBirthInteger": 2},
    "a decimal's own text": {
        "extension": [
            {"url": "urn:d", "valueDecimal": DecimalText(text)} for text in ("1.10", "-0.0", "1E+3", "0.000000000001")
        ]
    },
    "a whole decimal": {"extension": [{"url": "urn:d", "valueDecimal": 5}]},
    "characters XML escapes": {"name": [{"text": "<&>\"'\t\n\r]]> \u00a0\U0001f600 "}]},
    "narrative": {
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML}"><p title="a>b">x &#160;&lt; y<br/></p></div>'}
    },
    "an empty narrative": {"text": {"status": "empty", "div": f'<div xmlns="{XHTML}"/>'}},
    "narrative with a comment": {"text": {"status": "empty", "div": f'<div xmlns="{XHTML}"><!-- a --> <i>b</i></div>'}},
}


@pytest.mark.parametrize("properties", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_comes_back_equal(properties: Resource) -> None:
    """MHD-GEN-09: JSON to XML to JSON keeps everything."""
    resource = {"resourceType": "Patient", **properties}
    assert spelled(read(written(resource))) == spelled(resource)


def test_elements_are_written_in_the_order_of_the_definition() -> None:
    """xml.html: order is fixed, whatever order the JSON has; attributes stand in the start tag."""
    resource = {
        "gender": "male",
        "active": True,
        "resourceType": "Patient",
        "id": "1",
        "extension": [{"valueCode": "c", "url": "u"}],
    }
    assert written(resource) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Patient xmlns="http://hl7.org/fhir"><id value="1"/>'
        b'<extension url="u"><valueCode value="c"/></extension><active value="true"/><gender value="male"/></Patient>'
    )


def test_large_content_passes() -> None:
    """xml.html: base64 of 30 MB in one attribute is an ordinary Binary."""
    resource = {"resourceType": "Binary", "contentType": "application/pdf", "data": "QUJD" * 7_500_000}
    assert read(written(resource)) == resource


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ('<active value="true"/>', {"active": True}),
        ('<active value="TRUE"/>', {"active": "TRUE"}),
        ('<multipleBirthInteger value="2"/>', {"multipleBirthInteger": 2}),
        ('<multipleBirthInteger value="2.5"/>', {"multipleBirthInteger": "2.5"}),
        ('<multipleBirthInteger value="02"/>', {"multipleBirthInteger": "02"}),
        (f'<multipleBirthInteger value="{"9" * 5000}"/>', {"multipleBirthInteger": "9" * 5000}),
        ('<gender value=""/>', {"gender": ""}),
        ("<contact/>", {"contact": [{}]}),
        ("<!-- a comment --><?and an instruction?>\n <active value='true'/>", {"active": True}),
        ('<gender id="g" value="male"/>', {"gender": "male", "_gender": {"id": "g"}}),
    ],
)
def test_values_get_their_json_type(element: str, value: Resource) -> None:
    """json.html#primitive: numbers and booleans by their type; what is none stays text, for validation to name."""
    assert read(patient(element)) == {"resourceType": "Patient", **value}


@pytest.mark.parametrize(
    "body",
    [
        b'<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value="true"/></f:Patient>',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>' + patient('<active value="true"/>'),
        b'<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xsi:schemaLocation="http://hl7.org/fhir ../fhir.xsd"><active value="true"/></Patient>',
    ],
    ids=["prefix", "byte order mark", "schema location"],
)
def test_other_ways_to_write_the_same(body: bytes) -> None:
    """xml.html: prefixes are free, and schemaLocation says nothing."""
    assert read(body) == {"resourceType": "Patient", "active": True}


def test_narrative_with_prefixes_is_written_anew() -> None:
    """narrative.html: a `div` that leans on prefixes declared above it becomes one that stands alone."""
    inside = (
        '<f:text><f:status value="empty"/><h:div xml:lang="de" title="&quot;"><h:p>a &amp; b</h:p></h:div></f:text>'
    )
    body = f'<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="{XHTML}">{inside}</f:Patient>'.encode()
    div = read(body)["text"]["div"]
    assert div == f'<div xmlns="{XHTML}" xml:lang="de" title=\'&quot;\'><p>a &amp; b</p></div>'.replace(
        "'&quot;'", "'\"'"
    )


@pytest.mark.parametrize(
    ("div", "inside"),
    [("<div>a</div>", "a"), (f'<div xmlns="{XHTML}">a&nbsp;b&eacute;</div>', "a\u00a0b\u00e9")],
)
def test_narrative_that_json_lets_pass_is_made_whole(div: str, inside: str) -> None:
    """narrative.html: laxer: a missing namespace is added, and HTML's named characters are spelled out."""
    body = written({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
    assert etree.fromstring(body).findtext(f".//{{{XHTML}}}div") == inside


HOSTILE: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "not well-formed XML: no element found"),
    ("JSON", b'{"resourceType": "Patient"}', "not well-formed XML"),
    ("an open element", b'<Patient xmlns="http://hl7.org/fhir">', "not well-formed XML: no element found"),
    ("two roots", patient("") + patient(""), "not well-formed XML: junk after document element"),
    ("an undefined entity", patient('<gender value="&male;"/>'), "not well-formed XML: undefined entity"),
    ("a control character", patient('<gender value="&#1;"/>'), "not well-formed XML"),
    ("UTF-16", patient("").decode().encode("utf-16"), "The body is in UTF-16"),
    ("another encoding", b"<?xml version='1.0' encoding='latin1'?>" + patient(""), "an encoding other than UTF-8"),
    (
        "an external entity",
        b'<!DOCTYPE Patient [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + patient('<gender value="m"/>&x;'),
        "document type (DOCTYPE)",
    ),
    (
        "a billion laughs",
        b'<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>' + patient("&b;"),
        "document type (DOCTYPE)",
    ),
    ("a remote document type", b'<!DOCTYPE Patient SYSTEM "http://127.0.0.1:9/x.dtd">' + patient(""), "DOCTYPE"),
    (
        "depth",
        patient("<extension url='u'>" * 100 + "</extension>" * 100),
        f"nested more than {MAX_DEPTH} elements deep",
    ),
    (
        "depth of narrative",
        patient(f"<text><div xmlns='{XHTML}'>" + "<b>" * 100 + "</b>" * 100 + "</div></text>"),
        "narrative is nested more than 64 elements deep",
    ),
    (
        "another namespace",
        b'<Patient xmlns="urn:x"/>',
        "`Patient` is in the namespace `urn:x`; expected is `http://hl7.org/fhir`",
    ),
    ("no namespace", b"<Patient/>", "`Patient` is in no namespace; expected is `http://hl7.org/fhir`"),
    (
        "another namespace inside",
        patient('<active xmlns="urn:x" value="true"/>'),
        "`active` is in the namespace `urn:x`",
    ),
    (
        "no resource",
        b'<Pateint xmlns="http://hl7.org/fhir"/>',
        "no resource type of FHIR R4; `Patient` is the nearest one",
    ),
    ("an abstract type", b'<Resource xmlns="http://hl7.org/fhir"/>', "`Resource`, which is no resource type"),
    (
        "an unknown element",
        patient('<birthdate value="x"/>'),
        "`Patient.birthdate` is not an element of FHIR R4; `birthDate`",
    ),
    (
        "an unknown element below",
        patient('<name><givenName value="x"/></name>'),
        "`Patient.name.givenName` is not an element of FHIR R4; `given` is the nearest one",
    ),
    (
        "a primitive's child",
        patient('<gender value="male"><code/></gender>'),
        "`Patient.gender.code` is not an element",
    ),
    (
        "an attribute as element",
        patient("<extension><url value='u'/></extension>"),
        "`Patient.extension.url` is an attribute",
    ),
    (
        "an unknown attribute",
        patient('<gender Value="male"/>'),
        "`Patient.gender` has the attribute `Value`; FHIR knows `value`",
    ),
    (
        "an attribute where none is",
        patient("", '<Patient xmlns="http://hl7.org/fhir" id="1">'),
        "`Patient` has the attribute `id`",
    ),
    (
        "text",
        patient("<gender>male</gender>"),
        "`Patient.gender` has text; in FHIR's XML a value is the attribute `value`",
    ),
    ("text between", patient("hello"), "`Patient` has text"),
    ("wrong order", patient('<gender value="male"/><active value="true"/>'), "`Patient.active` comes after `gender`"),
    ("a list in two parts", patient("<name/><gender value='male'/><name/>"), "`Patient.name` comes after `gender`"),
    ("twice", patient('<active value="true"/><active value="true"/>'), "`Patient.active` occurs more than once"),
    (
        "two of a choice",
        patient('<deceasedBoolean value="true"/><deceasedDateTime value="2020"/>'),
        "`Patient.deceasedDateTime` occurs more than once",
    ),
    ("nothing in it", patient("<gender/>"), "`Patient.gender` has neither a value nor an extension"),
    ("nothing contained", patient("<contained/>"), "`Patient.contained` holds no resource"),
    (
        "two contained in one",
        patient("<contained><Basic/><Basic/></contained>"),
        "`Patient.contained` holds more than one",
    ),
    ("a datatype contained", patient("<contained><Period/></contained>"), "`Patient.contained` holds `Period`"),
    (
        "a div of FHIR",
        patient("<text><div/></text>"),
        f"`div` is in the namespace `http://hl7.org/fhir`; expected is `{XHTML}`",
    ),
    (
        "two divs",
        patient(f"<text><div xmlns='{XHTML}'/><div xmlns='{XHTML}'/></text>"),
        "`Patient.text.div` occurs more than once",
    ),
    (
        "a foreign element in the div",
        patient(f"<text><div xmlns='{XHTML}'><x xmlns='urn:x'/></div></text>"),
        "has `x`, which is not",
    ),
]


@pytest.mark.parametrize(("body", "complaint"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_what_is_not_fhir_is_refused(body: bytes, complaint: str) -> None:
    """MHD-SEC-08: no entities, no document type, limited depth; xml.html: each complaint names the element."""
    with pytest.raises(XmlError) as raised:
        read(body)
    assert complaint in raised.value.message
    assert "/etc/passwd" not in raised.value.message
    assert raised.value.line >= 1
    assert raised.value.column >= 1


def test_the_place_of_a_mistake_is_told() -> None:
    """MHD-SEC-08: line and column count from one."""
    with pytest.raises(XmlError) as raised:
        read(b'<Patient xmlns="http://hl7.org/fhir">\n  <active value="true"/>\n  <nmae/>\n</Patient>')
    assert (raised.value.line, raised.value.column) == (3, 3)


def test_a_message_repeats_no_endless_name() -> None:
    """style.md section 10: a message is a sentence, whatever the document holds."""
    with pytest.raises(XmlError) as raised:
        read(patient(f"<{'x' * 100_000}/>"))
    assert len(raised.value.message) < 500


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ({"birthdate": "1970"}, "`Patient.birthdate` cannot be written as XML: FHIR R4 has no such element."),
        (
            {"name": [{"given": ["a", {}]}]},
            "`Patient.name.given` cannot be written as XML: it is not a primitive value.",
        ),
        ({"name": {"family": "x"}}, "`Patient.name` cannot be written as XML: it is not a list."),
        ({"maritalStatus": "M"}, "`Patient.maritalStatus` cannot be written as XML: it is not an object."),
        ({"gender": "\x00/x"}, "`Patient.gender` cannot be written as XML: it has the character U+0000."),
        ({"gender": "\ud800"}, "`Patient.gender` cannot be written as XML: it has the character U+D800."),
        (
            {"contained": [{"id": "1"}]},
            "`Patient.contained.resource` cannot be written as XML: it has no `resourceType`",
        ),
        ({"contained": [{"resourceType": "Basic", "x": 1}]}, "`Patient.contained.x` cannot be written"),
        ({"contained": ["x"]}, "`Patient.contained.resource` cannot be written"),
        ({"_gender": "x"}, "`Patient.gender` cannot be written as XML: it is not an object."),
        ({"text": {"div": "</div></text><active value='false'/><text>"}}, "`Patient.text.div` cannot be written"),
        ({"text": {"div": f'<div xmlns="{XHTML}"/><div xmlns="{XHTML}"/>'}}, "`Patient.text.div` cannot be written"),
        ({"text": {"div": f'<!DOCTYPE div><div xmlns="{XHTML}"/>'}}, "`Patient.text.div` cannot be written"),
        ({"text": {"div": f'<p xmlns="{XHTML}"/>'}}, "`Patient.text.div` cannot be written"),
        ({"text": {"div": "\x01"}}, "`Patient.text.div` cannot be written as XML: it has the character U+0001."),
        ({"text": {"div": 1}}, "`Patient.text.div` cannot be written as XML: it is not text."),
    ],
)
def test_what_cannot_be_written_is_named(properties: Resource, complaint: str) -> None:
    """MHD-GEN-09: never a document that says something else, and never a crash without a path."""
    with pytest.raises(ValueError, match="^" + re.escape(complaint)):
        written({"resourceType": "Patient", **properties})


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Nothing"}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource_cannot_be_written(resource: Resource) -> None:
    """resourcelist.html: the root is a resource of R4."""
    with pytest.raises(ValueError, match="`resource` cannot be written as XML"):
        written(resource)


def test_endless_depth_cannot_be_written() -> None:
    """MHD-SEC-08: nesting is limited on the way out too."""
    resource: Resource = {"resourceType": "Patient"}
    holder = resource
    for _ in range(100_000):
        holder["extension"] = [{"url": "u"}]
        holder = holder["extension"][0]
    with pytest.raises(ValueError, match="nested too deep"):
        written(resource)


# Resources from the type tables: any element, any choice, extensions and ids on primitives, lists, nesting.

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r"),
    min_size=1,
    max_size=8,
)
NUMBER = st.from_regex(r"-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,4}|[eE][+-]?[0-9]{1,2})", fullmatch=True).map(DecimalText)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "decimal": NUMBER | st.integers(-1000, 1000),
    "code": st.text(string.ascii_letters, min_size=1, max_size=5),
}


@st.composite
def resources(draw: st.DrawFn, depth: int = 0) -> Resource:
    """Draw a resource of any type; below depth 2 it holds no other."""
    name = draw(st.sampled_from(STRUCTURES.resource_types()))
    return {"resourceType": name, **draw(objects(name, depth))}


@st.composite
def objects(draw: st.DrawFn, path: str, depth: int) -> Resource:
    """Draw an object with up to four of the properties that `path` allows, one of each choice."""
    names = STRUCTURES.names(path)
    chosen: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(list(names)), max_size=4, unique=True)):
        chosen[names[name][0].path] = name
    found: Resource = {"url": draw(TEXT)} if path == "Extension" else {}
    for name in chosen.values():
        element, code, below = names[name]
        if element.is_xml_attribute:
            found[name] = draw(TEXT)
        elif code != "xhtml" and STRUCTURES.kind(code) == "primitive-type":
            found |= draw(primitives(name, element, code, depth))
        elif depth < 3:
            found[name] = draw(values(element, code, below, depth + 1))
    return found


def values(element: Element, code: str, below: str, depth: int) -> st.SearchStrategy[Any]:
    """Return the strategy for a property that is no primitive."""
    if code == "xhtml":
        return TEXT.map(div_of)
    one = resources(depth) if code == "Resource" else objects(below, depth)
    return one if element.max == 1 else st.lists(one, min_size=1, max_size=2)


def div_of(text: str) -> str:
    """Return a narrative's `div` around `text`."""
    return f'<div xmlns="{XHTML}">{escape(text.replace(chr(13), " "))}</div>'


@st.composite
def primitives(draw: st.DrawFn, name: str, element: Element, code: str, depth: int) -> Resource:
    """Draw the property of a primitive and, at times, the one beside it with id and extensions."""
    value = PRIMITIVES.get(code, TEXT)
    extras = st.fixed_dictionaries({"id": TEXT}) | objects("Extension", 3).map(lambda each: {"extension": [each]})
    if element.max == 1:
        kinds: dict[str, st.SearchStrategy[Any]] = {name: value, f"_{name}": extras}
        keys = draw(st.sampled_from([[name], [f"_{name}"], list(kinds)]))
        return {key: draw(kinds[key]) for key in keys}
    pairs = draw(
        st.lists(
            st.one_of(value.map(lambda v: (v, None)), extras.map(lambda e: (None, e)), st.tuples(value, extras)),
            min_size=1,
            max_size=3,
        )
    )
    both = {name: [pair[0] for pair in pairs], f"_{name}": [pair[1] for pair in pairs]}
    return {key: beside for key, beside in both.items() if any(each is not None for each in beside)}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(resources())
def test_any_resource_comes_back_equal(resource: Resource) -> None:
    """MHD-GEN-09: whatever the tables allow goes to XML and back without loss."""
    assert spelled(read(written(resource))) == spelled(resource)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=40), st.integers(0, 60))
def test_damaged_documents_are_refused_and_never_crash(noise: str | bytes, place: int) -> None:
    """MHD-SEC-08: a document with noise in it is read or refused, and nothing else."""
    body = patient("<name><given value='A'/></name><gender value='male'/>")
    damaged = (
        body[:place] + (noise.encode("utf-8", "surrogatepass") if isinstance(noise, str) else noise) + body[place:]
    )
    try:
        resource = read(damaged)
    except XmlError:
        return
    assert resource["resourceType"] == "Patient"


def test_decimals_from_xml_compare_as_numbers() -> None:
    """datatypes.html#decimal: the text is kept, and the value is a number."""
    (extension,) = read(patient("<extension url='u'><valueDecimal value='1.10'/></extension>"))["extension"]
    assert extension["valueDecimal"] == Decimal("1.1")
    assert extension["valueDecimal"].text == "1.10"
