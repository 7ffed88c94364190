"""Pure functions that every request pays for: validation, XML."""

from __future__ import annotations

import time
from collections.abc import Callable

from lxml import etree

from app.document.level import STRUCTURE_DEFINITION
from app.fhir.packages import Packages
from app.fhir.resource import parse_json
from app.fhir.xml import from_xml, to_xml
from app.validation.validator import Validator
from tests.bench.row import Row, at_most, microseconds, milliseconds
from tests.submissions import document_reference

PROFILE = f"{STRUCTURE_DEFINITION}/IHE.MHD.Comprehensive.DocumentReference"
ROUNDS = 9


def validation(packages: Packages) -> Row:
    """Measure the validation of one DocumentReference."""
    validator, resource = Validator(packages), document_reference("urn:uuid:5e1c7a1e-0000-4000-8000-000000000001")
    if issues := validator.validate(resource, PROFILE):
        raise RuntimeError(f"the DocumentReference is not valid: {issues}")
    took = _cpu_s(lambda: validator.validate(resource, PROFILE), 500)
    return at_most("validate DocumentReference, Comprehensive", took, 200e-6, microseconds)


def xml(packages: Packages, searchset: bytes) -> list[Row]:
    """Measure a searchset of 20 in both directions; the limit is lxml alone, which knows nothing of FHIR."""
    bundle = parse_json(searchset)
    text = to_xml(bundle, packages.structures)
    tree = etree.fromstring(text)
    written = _cpu_s(lambda: to_xml(bundle, packages.structures), 30), _cpu_s(lambda: etree.tostring(tree), 30)
    read = _cpu_s(lambda: from_xml(text, packages.structures), 30), _cpu_s(lambda: etree.fromstring(text), 30)
    return [_row("XML out, searchset of 20", written), _row("XML in, searchset of 20", read)]


def _row(name: str, times: tuple[float, float]) -> Row:
    ours, limit = times
    return Row(name, milliseconds(ours), milliseconds(limit), f"{ours / limit:.1f}")


def _cpu_s(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of `work`: the best of rounds."""
    work()
    return min(_round(work, times) for _ in range(ROUNDS))


def _round(work: Callable[[], object], times: int) -> float:
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) / times
