"""The CapabilityStatement: computed from the transactions, the loaded profile packages and the deployment's choices."""

from app.capability.deployment import Deployment
from app.capability.resource import MissingDefinitionError
from app.capability.security import SECURITY
from app.capability.statement import NAME, capabilities, capability_statement, require_definitions

__all__ = [
    "NAME",
    "SECURITY",
    "Deployment",
    "MissingDefinitionError",
    "capabilities",
    "capability_statement",
    "require_definitions",
]
