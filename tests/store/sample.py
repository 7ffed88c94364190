"""Random resources and random questions about them, the same in every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from app.fhir.resource import Resource
from tests.store.plain_search import DATES, NAMES

BASE_URL = "https://here.example/fhir"

SYSTEMS = (None, "http://a.example", "http://b.example")
CODES = ("x", "y", "Y")
IDENTIFIERS = [{"value": "1"}, {"system": "urn:oid:2.999.1", "value": "1"}, {"system": "urn:oid:2.999.1", "value": "2"}]
IDENTIFIERS += [{"value": "urn:oid:2.25.7"}, {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.25.8"}]
PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
COMMUNITIES = ("urn:oid:1.2.3", "urn:oid:1.2.4")
MATCHES = ("", ":exact", ":contains")


class Sample:
    """Random resources and random questions about them, the same in every run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.people = [self._person("Patient", f"p{n}") for n in range(6)]
        self.people += [self._person("Practitioner", f"d{n}") for n in range(5)]
        roles = [
            {"resourceType": "PractitionerRole", "id": f"r{n}", "practitioner": {"reference": f"Practitioner/d{n}"}}
            for n in range(2)
        ]
        self.documents = [self._document(n) for n in range(150)]
        self.stored = {f"{each['resourceType']}/{each['id']}": each for each in [*self.people, *roles, *self.documents]}

    def maybe(self, **elements: Any) -> Resource:
        """Return a random part of `elements`."""
        return {name: value for name, value in elements.items() if self.random.random() < 0.7}

    def pick(self, options: Sequence[Any]) -> Any:
        """Return one of `options`."""
        return self.random.choice(options)

    def some(self, options: Sequence[Any], most: int = 2) -> list[Any]:
        """Return up to `most` of `options`."""
        return self.random.sample(list(options), self.random.randint(1, most))

    def _person(self, resource_type: str, record_id: str) -> Resource:
        name = {"family": self.pick(list(NAMES)), "given": self.some(list(NAMES))}
        identifier = self.some(IDENTIFIERS)
        return {"resourceType": resource_type, "id": record_id, "name": [name], "identifier": identifier}

    def _coding(self) -> Resource:
        system = self.pick(SYSTEMS)
        code: Resource = {"code": self.pick(CODES)}
        return code | ({"system": system} if system else {})

    def _concept(self) -> Resource:
        return {"coding": [self._coding() for _ in range(self.random.randint(1, 2))]}

    def _period(self) -> Resource:
        start, end = sorted(self.random.sample(list(DATES), 2), key=lambda each: DATES[each][0])
        periods: list[Resource] = [{"start": start, "end": end}, {"start": start}, {"end": end}]
        return self.random.choice(periods)

    def _document(self, number: int) -> Resource:
        contained = [self._person("Practitioner", "a"), self._person("Practitioner", "b")]
        contained.append({"resourceType": "PractitionerRole", "id": "c", "practitioner": {"reference": "#b"}})
        authors = ["#a", "#c", "Practitioner/d0", "Practitioner/d3", "PractitionerRole/r1", "Patient/p2"]
        subject = self.pick(
            [{"reference": f"Patient/p{self.random.randint(0, 6)}"}, {"identifier": self.pick(IDENTIFIERS)}]
        )
        related = [{"reference": "Encounter/1"}, {"reference": "Patient/p1"}, {"identifier": self.pick(IDENTIFIERS)}]
        attachments = [
            {"attachment": self.maybe(creation=self.pick(list(DATES)))} | self.maybe(format=self._coding())
            for _ in range(self.random.randint(1, 2))
        ]
        community = {"url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-HomeCommunityId"}
        return {
            "resourceType": "DocumentReference",
            "id": f"{self.random.getrandbits(64):016x}{number:04}",
            "status": self.pick(["current", "superseded", "entered-in-error"]),
            "content": attachments,
            "contained": contained,
            "context": self.maybe(period=self._period(), related=self.some(related)),
        } | self.maybe(
            subject=subject,
            type=self._concept(),
            category=[self._concept() for _ in range(2)],
            date=self.pick(list(DATES)),
            author=[{"reference": each} for each in self.some(authors, 3)],
            masterIdentifier=self.pick(IDENTIFIERS),
            identifier=self.some(IDENTIFIERS),
            extension=[community | {"valueOid": self.pick(COMMUNITIES)}],
        )

    def question(self) -> tuple[str, str]:
        """Return a random parameter, with or without a modifier, and one or two values."""
        name, values = self.pick(self.questions())
        self.random.shuffle(values)
        return name, ",".join(values[: self.random.randint(1, 2)])

    def questions(self) -> list[tuple[str, list[str]]]:
        """Return a question for each parameter, with two values or more."""
        return [  # one line a parameter
            ("status", [self.pick(["current", "superseded", "|current", "none"]) for _ in range(2)]),
            (self.pick(["type", "category", "format"]) + self.pick(["", "", ":not"]), self._tokens(SYSTEMS, CODES)),
            ("identifier" + self.pick(["", ":not"]), self._identifiers()),
            (self.pick(["type", "date", "related", "author"]) + ":missing", [self.pick(["true", "false"])]),
            (self.pick(["date", "creation", "period"]), self._dates()),
            ("patient" + self.pick(["", ":Patient"]), [f"p{self.random.randint(0, 7)}", f"{BASE_URL}/Patient/p3"]),
            ("related", ["Encounter/1", "p1", "1"]),
            ("related:identifier", self._identifiers()),
            (self.pick(["patient.identifier", "author.identifier"]), self._identifiers()),
            (self.pick(["author.family", "author.given"]) + self.pick(MATCHES), self._names()),
            ("targetCommunityIdList", [*COMMUNITIES, "urn:oid:1.2"]),
        ]  # fmt: skip

    def _tokens(self, systems: Sequence[str | None], codes: Sequence[str]) -> list[str]:
        pairs = [(self.pick(systems), self.pick(codes)) for _ in range(2)]
        return [self.pick([code, f"{system or ''}|{code}", f"{system or systems[1]}|"]) for system, code in pairs]

    def _identifiers(self) -> list[str]:
        systems = [None, "urn:oid:2.999.1", "urn:ietf:rfc:3986"]
        return self._tokens(systems, ["1", "2", "urn:oid:2.25.7", "urn:oid:2.25.8"])

    def _dates(self) -> list[str]:
        return [self.pick(PREFIXES) + self.pick(list(DATES)) for _ in range(2)]

    def _names(self) -> list[str]:
        return [self.pick([*NAMES, "mu", "MARIA", "n", "dhomhnaill", "lucja", "'"]) for _ in range(2)]
