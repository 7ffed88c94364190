"""Which search parameters exist: R4's and those of the loaded packages, as data.

Adding a SearchParameter resource to a package makes it searchable, indexed and listed; no Python knows its name.

Spec: FHIR R4 searchparameter.html; search.html#all; MHD-66 and MHD-67 parameter tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.fhir.packages import Packages
from app.fhir.path import Unsupported
from app.fhir.resource import Resource
from app.search import expression
from app.search.steps import Extract

# The search types that have a file here. Parameters of the others (number, quantity, composite, special) do not exist
# for this server: they are ignored, or refused with `Prefer: handling=strict`.
SEARCH_TYPES = frozenset({"token", "string", "date", "reference", "uri"})

# Not indexed: the record itself has them. The first is its id, the second the time of its last change.
RECORD_PARAMETERS = ("_id", "_lastUpdated")

# Parameters that R4 lacks and an IHE chain needs: `author.family` asks a RelatedPerson too (MHD-67, A-23).
OWN: tuple[Resource, ...] = (
    {"code": "family", "base": ["RelatedPerson"], "type": "string", "expression": "RelatedPerson.name.family"},
    {"code": "given", "base": ["RelatedPerson"], "type": "string", "expression": "RelatedPerson.name.given"},
)

# R4 names an extension that does not exist; the one that PDQm and everybody uses is another (PDQM-78-04).
CORRECTED: Mapping[str, str] = {
    "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName": (
        "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName').value"
    ),
}

# A chain that a resource type does not know goes on through this parameter of it: a role is asked for its person.
THROUGH: Mapping[str, str] = {"PractitionerRole": "practitioner"}

MAX_CHAIN = 3


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter of one resource type.

    Attributes:
        code: the name in the query string; of a chain `author.family`.
        type: one of `SEARCH_TYPES`.
        url: canonical URL; empty for a chain.
        targets: resource types a reference may point to.
        root: the element of the resource without which there are no values; empty when there is no such one.
        systems: the code systems that plain `code` elements imply: code -> system.
        extract: (resource, container) -> the values that are indexed.
    """

    code: str
    type: str
    url: str
    targets: tuple[str, ...] = ()
    root: str = ""
    systems: Mapping[str, str] = field(default_factory=dict)
    extract: Extract = field(default=lambda resource, container: [], compare=False)


class Definitions:
    """The search parameters by resource type and code; each type's are compiled when it is first asked for.

    Attributes:
        problems: parameters whose expression cannot be evaluated, by URL, for the start-up report.
    """

    def __init__(self, packages: Packages) -> None:
        self.problems: list[str] = []
        self._packages = packages
        self._sources: dict[str, dict[str, Resource]] = {}
        self._compiled: dict[str, dict[str, SearchParameter]] = {}
        self._indexed: dict[str, tuple[SearchParameter, ...]] = {}
        # R4's own come first, so that a package may say it better.
        for source in (*OWN, *sorted(packages.all("SearchParameter"), key=lambda each: not _is_core(each))):
            if source.get("type") in SEARCH_TYPES and source.get("expression"):
                for base in source.get("base", ()):
                    self._sources.setdefault(base, {})[source["code"]] = source

    def of(self, resource_type: str) -> tuple[SearchParameter, ...]:
        """Return the parameters of `resource_type`, those of every resource included."""
        return tuple(self._of(resource_type).values())

    def indexed(self, resource_type: str) -> tuple[SearchParameter, ...]:
        """Return the parameters of `resource_type` but for those that its record has beside the index."""
        found = self._indexed.get(resource_type)
        if found is None:
            found = tuple(each for each in self.of(resource_type) if each.code not in RECORD_PARAMETERS)
            self._indexed[resource_type] = found
        return found

    def get(self, resource_type: str, code: str) -> SearchParameter | None:
        """Return a parameter of `resource_type`, or None when there is none.

        Args:
            code: the parameter's code, or a chain of codes: `patient`, `patient.identifier`.
        """
        first, _, rest = code.partition(".")
        parameter = self._of(resource_type).get(first)
        if not rest or parameter is None:
            return parameter
        return self._chained(code, parameter, rest)

    def targets_of(self, parameter: SearchParameter, code: str) -> tuple[tuple[str, str], ...]:
        """Return whom a chain asks: pairs of target type and the code or chain of codes to ask it for.

        Example:
            `author`, "family" -> ("Practitioner", "family"), ("PractitionerRole", "practitioner.family"), …
        """
        if parameter.type != "reference" or code.count(".") >= MAX_CHAIN:
            return ()
        asked = ((target, self._spelling(target, code)) for target in parameter.targets)
        return tuple((target, spelling) for target, spelling in asked if spelling)

    def _spelling(self, resource_type: str, code: str) -> str:
        if self.get(resource_type, code):
            return code
        through = THROUGH.get(resource_type)
        return f"{through}.{code}" if through and self.get(resource_type, f"{through}.{code}") else ""

    def _chained(self, code: str, parameter: SearchParameter, rest: str) -> SearchParameter | None:
        for target, spelling in self.targets_of(parameter, rest):
            end = self.get(target, spelling)
            if end is not None:
                return SearchParameter(code, end.type, "", end.targets)
        return None

    def _of(self, resource_type: str) -> dict[str, SearchParameter]:
        found = self._compiled.get(resource_type)
        if found is None:
            sources = (self._sources.get(base, {}) for base in ("Resource", "DomainResource", resource_type))
            merged = {code: source for each in sources for code, source in each.items()}
            compiled = ((code, self._compile(source, resource_type)) for code, source in merged.items())
            found = self._compiled[resource_type] = {code: each for code, each in compiled if each}
        return found

    def _compile(self, source: Resource, resource_type: str) -> SearchParameter | None:
        url = source.get("url", "")
        try:
            text = CORRECTED.get(url, source["expression"])
            found = expression.compile(text, resource_type, self._packages.structures)
        except Unsupported as reason:
            self.problems.append(f"Search parameter `{source['code']}` of `{resource_type}` ({url}): {reason}")
            return None
        if found is None:
            return None
        targets = found.targets or tuple(source.get("target", ()))
        systems = self._systems(found.value_sets) if source["type"] == "token" else {}
        return SearchParameter(source["code"], source["type"], url, targets, found.root, systems, found.extract)

    def _systems(self, value_sets: Iterable[str]) -> dict[str, str]:
        codes = (self._packages.codes(url) or () for url in value_sets)
        return {code: system for each in codes for system, code in each}


def _is_core(source: Resource) -> bool:
    return str(source.get("url", "")).startswith("http://hl7.org/fhir/")
