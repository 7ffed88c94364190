"""Random documents and lists with everything that ITI-66 and ITI-67 can ask, and random questions about them."""

from __future__ import annotations

from app.fhir.resource import Resource
from tests.store.plain_search import NAMES
from tests.store.sample import CODES, COMMUNITIES, IDENTIFIERS, MATCHES, SYSTEMS, Sample
from tests.submissions import SD

Question = tuple[str, list[str]]

# Those of tests/store, and two that say of which type they are.
TYPED = [
    {"type": {"coding": [{"system": "http://types.example", "code": code}]}, "system": "urn:oid:2.999.1", "value": "3"}
    for code in ("MR", "PI")
]
MANY_IDENTIFIERS = [*IDENTIFIERS, *TYPED]


class Documents(Sample):
    """DocumentReferences: tests/store asks the parameters that are hard; here are the rest of 2:3.67.4.1.2.1."""

    resource_type = "DocumentReference"

    @property
    def resources(self) -> list[Resource]:
        """What is searched."""
        return self.documents

    def _document(self, number: int) -> Resource:
        made = super()._document(number)
        made["context"] |= self.maybe(event=[self._concept() for _ in range(2)], facilityType=self._concept())
        made["context"] |= self.maybe(practiceSetting=self._concept())
        return made | self.maybe(
            securityLabel=[self._concept() for _ in range(2)], identifier=self.some(MANY_IDENTIFIERS)
        )

    def questions(self) -> list[Question]:
        """Return those of tests/store and of the parameters that are missing there."""
        token = self.pick(["event", "facility", "setting", "security-label"])
        return [
            *super().questions(),
            (token + self.pick(["", "", ":not"]), self._tokens(SYSTEMS, CODES)),
            (self.pick(["event", "setting", "period", "creation"]) + ":missing", [self.pick(["true", "false"])]),
            ("identifier:of-type", self._typed()),
            ("related.identifier", self._identifiers()),
            ("_id", [self.pick(self.documents)["id"], self.pick(self.documents)["id"]]),
            (self.pick(["date", "creation", "period"]), [f"ap{self._dates()[0].lstrip('eqnltgsab')}"]),
        ]

    def _typed(self) -> list[str]:
        return [f"http://types.example|{self.pick(['MR', 'PI', 'XX'])}|{self.pick(['3', '1'])}" for _ in range(2)]


class Lists(Documents):
    """Lists: SubmissionSets, Folders and others, with the parameters of 2:3.66.4.1.2.1."""

    resource_type = "List"

    def _document(self, number: int) -> Resource:
        contained = [self._person("Practitioner", "a"), self._person("Practitioner", "b")]
        contained.append({"resourceType": "PractitionerRole", "id": "c", "practitioner": {"reference": "#b"}})
        subject = [{"reference": f"Patient/p{self.random.randint(0, 6)}"}, {"identifier": self.pick(IDENTIFIERS)}]
        sources = ["#a", "#c", "Practitioner/d0", "Practitioner/d3", "PractitionerRole/r1", "Patient/p2"]
        extensions = [
            *({"url": f"{SD}/ihe-designationType", "valueCodeableConcept": self._concept()} for _ in range(2)),
            {"url": f"{SD}/ihe-sourceId", "valueIdentifier": self.pick(IDENTIFIERS)},
            {"url": f"{SD}/ihe-HomeCommunityId", "valueOid": self.pick(COMMUNITIES)},
        ]
        return {
            "resourceType": "List",
            "id": f"{self.random.getrandbits(64):016x}{number:04}",
            "status": self.pick(["current", "retired", "entered-in-error"]),
            "mode": "working",
            "contained": contained,
        } | self.maybe(
            subject=self.pick(subject),
            code=self._concept(),
            date=self._dates()[0].lstrip("eqnltgsab"),
            source={"reference": self.pick(sources)},
            identifier=self.some(MANY_IDENTIFIERS),
            extension=self.some(extensions, 4),
        )

    def questions(self) -> list[Question]:
        """Return a question for each parameter of ITI-66."""
        return [
            ("status", [self.pick(["current", "superseded", "retired", "|current", "none"]) for _ in range(2)]),
            ("code" + self.pick(["", "", ":not"]), self._tokens(SYSTEMS, CODES)),
            ("designationType" + self.pick(["", "", ":not"]), self._tokens(SYSTEMS, CODES)),
            ("identifier" + self.pick(["", ":not"]), self._identifiers()),
            ("identifier:of-type", self._typed()),
            ("sourceId" + self.pick(["", ":not"]), self._identifiers()),
            (self.pick(["code", "date", "source", "sourceId", "patient"]) + ":missing", [self.pick(["true", "false"])]),
            ("date", self._dates()),
            ("date", [f"ap{self._dates()[0].lstrip('eqnltgsab')}"]),
            ("patient" + self.pick(["", ":Patient"]), [f"p{self.random.randint(0, 7)}", "Patient/p3"]),
            (self.pick(["patient.identifier", "source.identifier"]), self._identifiers()),
            (self.pick(["source.family", "source.given"]) + self.pick(MATCHES), self._names()),
            ("targetCommunityIdList", list(COMMUNITIES)),
            ("_id", [self.pick(self.documents)["id"]] if hasattr(self, "documents") else list(NAMES)[:1]),
        ]
