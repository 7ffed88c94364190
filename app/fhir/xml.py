"""FHIR's XML and back: the same resource as the JSON object that the rest of the server works with.

Nothing is lost on the way: primitive extensions, contained resources, the narrative's own text, decimals as they were
written. The order of elements and what is a list, an attribute or a choice come from the type tables.

Spec: FHIR R4 xml.html; json.html.
"""

from __future__ import annotations

from app.fhir.resource import Resource
from app.fhir.structure import Structures
from app.fhir.xml_complaints import XmlError
from app.fhir.xml_reader import read_resource
from app.fhir.xml_writer import write_resource

__all__ = ["XmlError", "from_xml", "to_xml"]


def from_xml(body: bytes, structures: Structures) -> Resource:
    """Return the resource that the UTF-8 document `body` spells.

    A value that is no number or boolean where its type asks for one stays text: validation says so with the element's
    path, as it does for JSON.

    Raises:
        XmlError: `body` is not well-formed, declares a document type, is nested too deep, or has elements, attributes
            or text where FHIR has none; the message names the element, `line` and `column` say where.
    """
    return read_resource(body, structures)


def to_xml(resource: Resource, structures: Structures) -> bytes:
    """Return `resource` as an XML document in UTF-8, elements in the order FHIR demands.

    Raises:
        ValueError: a property that FHIR does not know, a wrong shape, or text that XML cannot carry; the message
            names the path.
    """
    return write_resource(resource, structures)
