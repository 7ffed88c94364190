"""How records are withheld: what is said instead, and what the audit learns of it.

Another patient's records, and what the query of a scope leaves out, do not exist for the caller: 404. What
confidentiality or the patient's restriction withholds is refused, 403, unless denials are concealed.

Spec: MHD-SEC-04, MHD-SEC-13, A-19; EHDS-11, EHDS-20; IUA-24, IUA-32; PDQM-SEC-04.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.fhir.outcome import FhirError
from app.search.criteria import EVERYTHING, NOTHING, Criterion
from app.security.access import Access, Layer
from app.security.decision import Decision
from app.security.principal import Principal
from app.security.redaction import without_request
from app.security.refusal import RefusedError, denied

CONCEALED = 404

# Layers for which a record does not exist, whoever conceals what.
_ABSENT = frozenset({"patient", "scope"})

# What a search may ask of a Patient that it goes through: what names one.
_NAMES = frozenset({"identifier", "_id"})

FOREIGN = "This access is bound to another patient."
RESTRICTED = "The patient has restricted access to this."
CONFIDENTIAL = "This is more confidential than what this access is cleared for."
DEMOGRAPHICS = "Patients may be asked for by identifier only: the scope for demographics is missing."
OUT_OF_REACH = "This access does not reach as far as a record that the request would write."


@dataclass(frozen=True, slots=True)
class Withholding:
    """What the store asks of an access (`app.store.sight.Sights`)."""

    access: Access

    @property
    def is_bound(self) -> bool:
        """Whether the caller is bound to a patient."""
        return self.access.patients is not None

    def layers(self, resource_type: str) -> tuple[Criterion, ...]:
        """Return what a record of a type must meet to be seen: one criterion for each layer."""
        return tuple(layer.sight(resource_type) for layer in self.access.active)

    def shows(self, resource_type: str) -> bool:
        """Tell whether records of a type may be shown at all."""
        return self.access.shows(resource_type)

    def reach(self, resource_type: str) -> Criterion:
        """Return what a record must meet that is created or changed."""
        return self.access.reaches.get(resource_type, NOTHING if self.is_bound else EVERYTHING)

    def disclosing(self) -> Withholding:
        """Return the same for a part of a request that publishes, and would disclose something."""
        return replace(self, access=replace(self.access, is_publishing=False, decisions=self.access.decisions))

    def withheld(self, layer: int, name: str, patients: Sequence[str]) -> FhirError | None:
        """Return how the read of a record is refused that does not pass a layer; None: as if it did not exist.

        Args:
            layer: place in `layers`.
            name: of the record, `Type/id`.
            patients: names of the Patients whose record it is.
        """
        return self._withheld(self.access.active[layer], name, patients)

    def _withheld(self, layer: Layer, name: str, patients: Sequence[str]) -> FhirError | None:
        consents = tuple(dict.fromkeys(one for each in patients for one in layer.consents.get(each, ())))
        self._note(Decision(False, layer.reason, (name,), tuple(patients), consents))
        if layer.reason in _ABSENT or self.access.principal.denial == CONCEALED:
            return None
        return self._refused(layer)

    def shown(self, resource_type: str, json: bytes) -> bytes:
        """Return what of a record that the caller sees is shown: of an event about several people, one's own part."""
        return without_request(json) if self.is_bound and resource_type == "AuditEvent" else json

    def asked(self, questions: Iterable[Sequence[str]]) -> None:
        """Look at the patients, names, for whom a search asks; each question names several who would do.

        Raises:
            RefusedError: `forbidden` (403, 401): it asks for others than the one to whom the caller is bound.
        """
        for names in questions:
            if self._is_foreign(names):
                raise self.foreign()
            for layer in self.access.active:
                if consents := tuple(dict.fromkeys(one for each in names for one in layer.consents.get(each, ()))):
                    restricted = tuple(each for each in names if each in layer.consents)
                    self._note(Decision(False, layer.reason, (), restricted, consents))

    def chained(self, resource_type: str, parameter: str) -> None:
        """Let a search go through people to their documents by identifier alone, unless the caller may search people.

        Who could ask for documents by a patient's name or birth date would learn both, value by value.

        Raises:
            RefusedError: `forbidden` (403, 401).
        """
        if resource_type == "Patient" and parameter not in _NAMES and not self.access.shows(resource_type):
            raise self._with_access(denied(self.access.principal, DEMOGRAPHICS))

    def out_of_reach(self) -> FhirError:
        """Return the refusal of a write beyond what the caller may write."""
        self._note(Decision(False, "patient" if self.is_bound else "scope"))
        return self._with_access(denied(self.access.principal, OUT_OF_REACH))

    def foreign(self) -> FhirError:
        """Return the refusal of an explicit question about another patient."""
        self._note(Decision(False, "patient"))
        return self._with_access(denied(self.access.principal, FOREIGN))

    def _is_foreign(self, names: Sequence[str]) -> bool:
        bound = self.access.patients
        is_told = self.access.refuses_others and self.access.principal.denial != CONCEALED
        return bound is not None and is_told and bound.isdisjoint(names)

    def _refused(self, layer: Layer) -> FhirError:
        if layer.reason == "consent":  # not the token's fault: 403 in every dialect
            return self._with_access(denied(_without_dialect(self.access.principal), RESTRICTED))
        return self._with_access(denied(self.access.principal, CONFIDENTIAL))

    def _with_access(self, error: RefusedError) -> RefusedError:
        error.access = self.access
        return error

    def _note(self, decision: Decision) -> None:
        if decision not in self.access.decisions:
            self.access.decisions.append(decision)


def unknown(access: Access, absent: FhirError) -> FhirError:
    """Return the refusal of a question about somebody who is nobody the caller may know: `absent` to the unbound.

    Who is bound to a patient asked for another one, whether there is such a one or not (IUA-32).
    """
    is_told = access.patients is not None and access.principal.denial != CONCEALED
    return Withholding(access).foreign() if is_told else absent


def _without_dialect(principal: Principal) -> Principal:
    return replace(principal, denial=403) if principal.denial == 401 else principal
