"""The operation `$validate`: would this resource do? Nothing is stored.

Asked of `[base]/$validate` or of a type; the resource is the body, or the parameter `resource` of a Parameters
body, beside `profile` and `mode`.

Spec: FHIR R4 resource-operation-validate.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.fhir.outcome import FhirError, Issue, operation_outcome
from app.fhir.resource import Resource
from app.transaction import Context, Interaction, RequestMessage, ResponseMessage, Transaction

DEFINITION = "http://hl7.org/fhir/OperationDefinition/Resource-validate"

# Modes of the operation: FHIR R4 valueset-resource-validation-mode.html.
MODES = ("create", "update", "delete", "profile")

# Parameters beside `resource`, in the URL or in the body.
NAMES = ("profile", "mode")

# Stands for a value that is no text; no mode and no profile has this name.
_NO_TEXT = "?"

# Claims that are looked at; nobody means more.
_MOST_CLAIMS = 50


async def validate(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer `$validate`.

    Without `profile` the resource is held against FHIR R4 and the profiles that its own `meta.profile` claims.

    Returns:
        200 and an OperationOutcome, whatever the verdict; one issue of severity information when there is none else.

    Raises:
        FhirError: `required` (400) without a resource, `invalid` (400) for two of them or two modes, `code-invalid`
            (400) for a mode that there is not, `not-found` (404) for a profile that no package has, and for a path
            whose type R4 does not have.
    """
    _require_type(message, context)
    resource, asked = _asked(message)
    mode, profiles = asked.get("mode", [""])[0], asked.get("profile", [])
    _require_known(mode, profiles, context)
    issues = [*_check_type(message, resource), *_check_mode(mode, resource), *_unknown(message)]
    for profile in profiles or [""]:
        issues += context.validator.validate(resource, profile, claims=not profiles)
    issues += [] if profiles else _check_claims(resource, context)
    return ResponseMessage(200, operation_outcome(issues or [_valid(resource, profiles)]))


def _require_type(message: RequestMessage, context: Context) -> None:
    kind, _, operation = message.url.partition("?")[0].partition("/")
    if operation and not context.validator.knows_type(kind):
        raise FhirError("not-found", f"FHIR R4 has no type of resource `{kind[:64]}`.")


def _asked(message: RequestMessage) -> tuple[Resource, dict[str, list[str]]]:
    """Return the resource, and the values of `profile` and `mode` from the URL and the body."""
    asked: dict[str, list[str]] = {}
    for name, text in message.query:
        if name in NAMES and text:
            asked.setdefault(name, []).append(text)
    resource = message.resource
    if resource and resource.get("resourceType") == "Parameters" and not _is_of_type(message, "Parameters"):
        resource = _unpacked(resource, asked)
    if resource is None:
        text = "`$validate` needs a resource: as the body, or as the parameter `resource` of a Parameters body."
        raise FhirError("required", text, expression="Parameters.parameter")
    return resource, asked


def _unpacked(parameters: Resource, asked: dict[str, list[str]]) -> Resource | None:
    found: list[object] = []
    for parameter in _parameters(parameters):
        name = parameter.get("name")
        if name == "resource":
            found.append(parameter.get("resource"))
        elif name in NAMES:
            value = next((value for key, value in parameter.items() if key.startswith("value")), None)
            asked.setdefault(str(name), []).append(value if isinstance(value, str) else _NO_TEXT)
    for name, values in (("resource", found), ("mode", asked.get("mode", []))):
        if len(values) > 1:
            text = f"`$validate` takes one parameter `{name}`. Came: {len(values)}."
            raise FhirError("invalid", text, expression="Parameters.parameter")
    return found[0] if found and isinstance(found[0], dict) else None


def _parameters(parameters: Resource) -> list[Resource]:
    sent = parameters.get("parameter")
    return [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []


def _unknown(message: RequestMessage) -> Iterator[Issue]:
    """Warn of parameters that the operation does not have: what they were to bring about does not happen."""
    for name in dict.fromkeys(name for name, _ in message.query):
        if name not in (*NAMES, "_format", "_pretty"):
            yield Issue("not-supported", f"`$validate` has no parameter `{name[:64]}`; ignored.", severity="warning")
    resource = message.resource or {}
    if resource.get("resourceType") != "Parameters" or _is_of_type(message, "Parameters"):
        return
    for position, parameter in enumerate(_parameters(resource)):
        name = str(parameter.get("name", ""))
        if name not in (*NAMES, "resource"):
            text, at = f"`$validate` has no parameter `{name[:64]}`; ignored.", f"Parameters.parameter[{position}]"
            yield Issue("not-supported", text, at, severity="warning")


def _is_of_type(message: RequestMessage, kind: str) -> bool:
    return message.variables.get("type") == kind


def _require_known(mode: str, profiles: list[str], context: Context) -> None:
    if mode and mode not in MODES:
        raise FhirError("code-invalid", f"`mode`: `{mode[:32]}` came, expected was one of {', '.join(MODES)}.")
    for profile in profiles:
        if not context.validator.knows(profile):
            raise FhirError("not-found", f"`profile`: no package of this server has `{profile[:200]}`.")


def _check_type(message: RequestMessage, resource: Resource) -> Iterator[Issue]:
    """What is sent to a type is of that type."""
    path = message.url.partition("?")[0].split("/")
    came = str(resource.get("resourceType", ""))[:64]
    if len(path) > 1 and path[0] != came:
        yield Issue("invalid", f"A `{came}` was sent to `{path[0]}/$validate`.", came)


def _check_mode(mode: str, resource: Resource) -> Iterator[Issue]:
    """Say what an update needs beyond a valid resource; whether this server takes it is another question."""
    kind = str(resource.get("resourceType", ""))[:64]
    if mode == "update" and "id" not in resource:
        yield Issue("required", "An update needs the `id` of the resource.", kind)
    if mode == "delete":
        yield Issue("not-supported", f"This server deletes no `{kind}` at a client's request.", kind)


def _check_claims(resource: Resource, context: Context) -> Iterator[Issue]:
    """Name the profiles that are claimed and that no package has: nobody looked whether they are met."""
    meta = resource.get("meta")
    urls = meta.get("profile") if isinstance(meta, dict) else None
    for index, url in enumerate(urls[:_MOST_CLAIMS] if isinstance(urls, list) else ()):
        if isinstance(url, str) and not context.validator.knows(url):
            text = f"No package of this server has `{url[:200]}`; the resource was not held against it."
            expression = f"{str(resource.get('resourceType'))[:64]}.meta.profile[{index}]"
            yield Issue("not-found", text, expression, severity="warning")


def _valid(resource: Resource, profiles: list[str]) -> Issue:
    against = ", ".join(f"`{profile}`" for profile in profiles) or "FHIR R4 and the profiles that it claims"
    return Issue(
        "informational", f"No issues: this `{resource['resourceType']}` meets {against}.", severity="information"
    )


def _operation(path: str, resource_type: str) -> Interaction:
    return Interaction("operation", "POST", path, validate, resource_type, f"{resource_type or '*'}.v", DEFINITION)


VALIDATE = Transaction(
    code="",
    name="Validate",
    client="",
    server="",
    interactions=(_operation("$validate", ""), _operation("{type}/$validate", "")),
    documentation="Says what is wrong with a resource, and stores nothing.",
)
