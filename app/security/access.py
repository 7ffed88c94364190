"""What the caller of one request may see and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.search.criteria import EVERYTHING, Criterion
from app.security.principal import ANONYMOUS, Principal


@dataclass(frozen=True, slots=True)
class Access:
    """The outcome of authorization: who asks, and which part of the records exists for them.

    Attributes:
        principal: who asks.
        sights: resource type -> what the caller sees of it; types that are not listed are seen as `otherwise` says.
        otherwise: what is seen of any other type.
        is_whole: nothing is withheld: no sight is looked at.
    """

    principal: Principal = ANONYMOUS
    sights: Mapping[str, Criterion] = field(default_factory=dict)
    otherwise: Criterion = EVERYTHING
    is_whole: bool = True

    def sight(self, resource_type: str) -> Criterion:
        """Return what the caller sees of `resource_type`."""
        return EVERYTHING if self.is_whole else self.sights.get(resource_type, self.otherwise)


UNRESTRICTED = Access()
