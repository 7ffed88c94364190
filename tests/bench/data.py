"""The data that is measured on: patients, each with as many documents, as the store itself would keep them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from app.fhir.resource import BASE, Resource
from app.main import new_id
from app.search.definitions import Definitions
from app.store.content import StagedContent
from app.store.record import record
from tests.builders import binary, patient
from tests.submissions import concept, document_reference, submission_set

DOCUMENTS_EACH = 50
# So many of a patient's documents are letters: one page.
LETTERS_EACH = 20
# SubmissionSets of a patient: one page.
LISTS_EACH = 20
DOMAIN = "urn:oid:2.999.40.1"
LETTER, REPORT = "18842-5", "11502-2"
DOCUMENT_ID, DOCUMENT_BYTES = "bench-document", 1_000_000

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is: `patients`, and of documents `DOCUMENTS_EACH` times as many."""

    patients: int

    @property
    def documents(self) -> int:
        """The number of DocumentReferences."""
        return self.patients * DOCUMENTS_EACH


def load(mongodb_url: str, database: str, definitions: Definitions, extent: Extent) -> str:
    """Fill `database`; return the id of one DocumentReference."""
    now = datetime.now(UTC)
    last = ""
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        records = client.get_database(database, write_concern=WriteConcern(1))
        made = {"Patient": _patients(extent), "List": _lists(extent), "DocumentReference": _documents(extent)}
        for resource_type, resources in made.items():
            batch = []
            for resource in resources:
                batch.append(record(definitions, resource, 1, now, None))
                last = resource["id"]
                if len(batch) == _BATCH:
                    records[resource_type].insert_many(batch, ordered=False)
                    batch = []
            if batch:
                records[resource_type].insert_many(batch, ordered=False)
        held = StagedContent(DOCUMENT_ID, DOCUMENT_BYTES, bytes(20), bytes(range(250)) * (DOCUMENT_BYTES // 250))
        resource = binary(DOCUMENT_ID, "application/pdf")
        records["Binary"].insert_one(record(definitions, resource, 1, now, held))
    return last


def _patients(extent: Extent) -> Iterator[Resource]:
    for number in range(extent.patients):
        identifier = [{"system": DOMAIN, "value": str(number)}]
        address = [{"city": "Musterstadt", "country": "DE", "line": ["Am Beispiel 1"], "postalCode": "00000"}]
        name = [{"family": f"Example{number}", "given": ["Ada", "Invented"]}]
        birth = f"{1920 + number % 100}-05-17"
        yield patient(
            f"p{number}",
            active=True,
            identifier=identifier,
            name=name,
            gender="female",
            birthDate=birth,
            address=address,
        )


def _lists(extent: Extent) -> Iterator[Resource]:
    """Yield a SubmissionSet of each patient, then another one of each."""
    for _ in range(LISTS_EACH):
        for each in range(extent.patients):
            subject = {"reference": f"Patient/p{each}"}
            yield submission_set("DocumentReference/x", id=new_id(), subject=subject)


def _documents(extent: Extent) -> Iterator[Resource]:
    """Yield a document of each patient, then another one of each: those of one patient do not lie together."""
    for number in range(DOCUMENTS_EACH):
        code = LETTER if number < LETTERS_EACH else REPORT
        for each in range(extent.patients):
            subject = {"reference": f"Patient/p{each}"}
            yield document_reference(
                f"{BASE}/Binary/{DOCUMENT_ID}", id=new_id(), subject=subject, type=concept("http://loinc.org", code)
            )
