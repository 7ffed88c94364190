"""What a transaction is: its record, its messages, and what its handlers may reach.

A transaction file ends with one `Transaction`. Routes, CapabilityStatement, scopes, audit and tests read it,
and nobody repeats it.

Spec: FHIR R4 http.html for the interactions; the actor and transaction tables of the IHE profiles.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from app.domains import Domains
from app.fhir.media_type import MediaRange
from app.fhir.packages import Packages
from app.fhir.resource import Resource
from app.search.definitions import Definitions
from app.search.page import Paging
from app.security.access import UNRESTRICTED, Access
from app.security.guard import Guard
from app.security.principal import ANONYMOUS, Principal
from app.store.content import StagedContent
from app.store.resources import Store
from app.switches import Switches
from app.validation.validator import Validator


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request, read and decoded.

    Attributes:
        method: HTTP method.
        url: path below `[base]` and query string, as received: `DocumentReference?patient=1`.
        query: pairs (name, value) of the query string and of a form body, decoded once, order and repeats kept.
        variables: variables of the path: `id`, `vid`.
        headers: names in lower case.
        accept: media ranges of the `Accept` header, best first; empty when there is none.
        format: the FHIR media type of the answer.
        asked_format: the value of `_format`, normalised to a media type; empty when it was not sent.
        resource: the body; None when there is none.
        content: documents that were taken out of the body while it arrived: the short base64 text that now
            stands in `Binary.data` -> the staged bytes.
        request_id: of this request, for log and audit.
        body: the bytes of a form or of an operation's parameters, as received; empty for other bodies.
        access: who asks, and what they may see and write.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: tuple[MediaRange, ...] = ()
    format: str = "application/fhir+json"
    asked_format: str = ""
    resource: Resource | None = None
    content: Mapping[str, StagedContent] = field(default_factory=dict)
    request_id: str = ""
    body: bytes = b""
    access: Access = UNRESTRICTED


@dataclass(frozen=True, slots=True)
class FhirJson:
    """A resource that is already JSON in UTF-8, `[base]` filled in: stored bytes, joined and not rebuilt."""

    json: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is not FHIR: a document's bytes as they were published, or a stream that wraps them.

    Attributes:
        media_type: value of `Content-Type`.
        size: bytes, or None when it is not known before the end.
        chunks: the bytes.
    """

    media_type: str
    size: int | None
    chunks: AsyncIterator[bytes]


Body = Resource | FhirJson | Content | None


@dataclass(frozen=True, slots=True)
class About:
    """What a request was about, as far as only its handler knows: for the audit.

    Attributes:
        patients: References, `{"reference": "Patient/1"}` or `{"identifier": {…}}`; there is an event for each.
        data: References to the records that were created, changed, read or deleted, with their version.
        interaction: FHIR's code of what was done, where it is not that of the interaction: `create` of an update.
        transaction: IHE's number of what was done, where it is not that of the path.
        client: who asked, where it is not the guard who knows: at the token endpoint.
        principal: the same with all that is known of it, once it was found out.
        details: pairs (type, value) that tell more of the data: `merged-from`.
        also: what else happened on the way and is an event of its own.
        is_refusal: somebody was turned away, whatever the answer admits.
    """

    patients: tuple[Resource, ...] = ()
    data: tuple[Resource, ...] = ()
    interaction: str = ""
    transaction: str = ""
    client: str = ""
    principal: Principal = ANONYMOUS
    details: tuple[tuple[str, str], ...] = ()
    also: tuple[About, ...] = ()
    is_refusal: bool = False


NOTHING_KNOWN = About()


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    """An answer: a resource is sent in the format that was asked for, a `Content` as it is."""

    status: int
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict)
    about: About = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came, for the audit.

    Attributes:
        method: HTTP method.
        url: absolute, below the public `[base]`, with the query string as received.
        headers: names in lower case.
        body: of a form or of an operation's parameters; empty for other bodies.
        peer: address of the other end, or what a trusted proxy says it is.
        request_id: the caller's `X-Request-Id`, or the one that was made.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    peer: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A request that was answered, well or not.

    Attributes:
        message: None when the request could not be read.
        ended: when the answer was there, UTC.
    """

    transaction: Transaction
    interaction: Interaction
    access: Access
    request: RawRequest
    message: RequestMessage | None
    response: ResponseMessage
    ended: datetime


class Recorder(Protocol):
    """Keeps what happened.

    Attributes:
        gauges: numbers for operators: name -> what it means, and where it comes from.
    """

    @property
    def gauges(self) -> Mapping[str, tuple[str, Callable[[], float]]]:
        """The numbers."""
        ...

    async def record(self, occurrence: Occurrence) -> None:
        """Return when the events of `occurrence` are kept.

        Raises:
            FhirError: `transient` (503) when they cannot be kept, and the deployment wants requests refused then.
        """
        ...

    async def keep(self, events: Sequence[Resource]) -> tuple[str, ...]:
        """Return the ids under which `events` are kept: AuditEvents that others made, or commands.

        Raises:
            FhirError: as `record`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may reach. A new field is a decision, not a convenience.

    Attributes:
        base_url: the public `[base]`, without a slash at the end.
        now: the current time in UTC.
        new_id: a new logical id: 32 hexadecimal digits, unguessable.
        switches: the deployment's choices where IHE leaves one.
        paging: how long a page is, and the key that signs where the next one begins.
        domains: the identifier domains that are recognised, and who feeds them.
        guard: lets requests in.
        recorder: keeps the audit events.
    """

    store: Store
    validator: Validator
    definitions: Definitions
    packages: Packages
    base_url: str
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    switches: Switches
    paging: Paging
    domains: Domains
    guard: Guard
    recorder: Recorder


Handler = Callable[[RequestMessage, Context], Awaitable[ResponseMessage]]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One FHIR interaction: where it answers and what answers.

    Attributes:
        code: FHIR's code: `search-type`, `read`, `vread`, `create`, `transaction`, `operation` …
        method: HTTP method.
        path: below `[base]`, with variables in braces: `DocumentReference/{id}`; empty for `[base]` itself.
        resource_type: empty for an interaction of the whole system.
        scope: what a token must grant: `DocumentReference.s`; empty when everybody may.
        operation: canonical URL of the OperationDefinition, for an operation.
        summary: one line for the API page.
        conditional: the URL's query, or a header, says which record is meant: a conditional create, update or delete.
        documentation: Markdown for the CapabilityStatement.
    """

    code: str
    method: str
    path: str
    handle: Handler
    resource_type: str = ""
    scope: str = ""
    operation: str = ""
    summary: str = ""
    conditional: bool = False
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """What an option of an IHE profile adds to a transaction that a deployment offers; fields as in `Transaction`."""

    interactions: tuple[Interaction, ...] = ()
    search_parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instantiates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """An IHE transaction, or a group of plain FHIR interactions that belongs to none (`code` is then empty).

    Attributes:
        code: IHE's number: `ITI-67`.
        name: IHE's title: `Find Document References`.
        client, server: the two actors.
        search_parameters: resource type -> the parameters the server must implement, in the order of the section.
        supported_profiles: resource type -> canonical URLs for the CapabilityStatement.
        instantiates: canonical URLs of the requirement CapabilityStatements that the transaction fulfils.
        audit_profile: canonical URL of the AuditEvent profile.
        documentation: Markdown for the CapabilityStatement and the API page.
        option: the switch without which the transaction is not offered; empty when it always is.
        options: switch -> what that option adds to the transaction (docs/decisions/0011).
    """

    code: str
    name: str
    client: str
    server: str
    interactions: tuple[Interaction, ...]
    search_parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    supported_profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instantiates: tuple[str, ...] = ()
    audit_profile: str = ""
    documentation: str = ""
    option: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)


def offered(transactions: Iterable[Transaction], switches: Switches) -> tuple[Transaction, ...]:
    """Return `transactions` as a deployment offers them: without what belongs to options that are off."""
    return tuple(
        _with(each, [added for name, added in each.options.items() if getattr(switches, name)])
        for each in transactions
        if not each.option or getattr(switches, each.option)
    )


def complete(transactions: Iterable[Transaction]) -> tuple[Transaction, ...]:
    """Return `transactions` with all their options."""
    return tuple(_with(each, each.options.values()) for each in transactions)


def _with(transaction: Transaction, options: Iterable[Option]) -> Transaction:
    interactions = dict.fromkeys(transaction.interactions)
    urls = dict.fromkeys(transaction.instantiates)
    parameters = dict(transaction.search_parameters)
    for option in options:
        interactions |= dict.fromkeys(option.interactions)
        urls |= dict.fromkeys(option.instantiates)
        for resource_type, codes in option.search_parameters.items():
            parameters[resource_type] = (*parameters.get(resource_type, ()), *codes)
    return replace(
        transaction, interactions=tuple(interactions), instantiates=tuple(urls), search_parameters=parameters
    )


def search_type(resource_type: str, handle: Handler) -> tuple[Interaction, ...]:
    """Return both forms of a search: GET with a query string, POST `_search` with a form body."""
    scope = f"{resource_type}.s"
    return (
        Interaction("search-type", "GET", resource_type, handle, resource_type, scope),
        Interaction("search-type", "POST", f"{resource_type}/_search", handle, resource_type, scope),
    )


def read(resource_type: str, handle: Handler) -> tuple[Interaction, ...]:
    """Return read and vread, both answered by `handle`: `variables` has `vid` for the latter."""
    scope = f"{resource_type}.r"
    return (
        Interaction("read", "GET", f"{resource_type}/{{id}}", handle, resource_type, scope),
        Interaction("vread", "GET", f"{resource_type}/{{id}}/_history/{{vid}}", handle, resource_type, scope),
    )


def create(resource_type: str, handle: Handler) -> tuple[Interaction, ...]:
    """Return the interaction `create`: a resource posted to its type."""
    return (Interaction("create", "POST", resource_type, handle, resource_type, f"{resource_type}.c"),)


def conditional_create(resource_type: str, handle: Handler) -> tuple[Interaction, ...]:
    """Return the interaction `create` with the header If-None-Exist, and only with it."""
    text = "conditional only (If-None-Exist)"
    scope = f"{resource_type}.c"
    return (
        Interaction(
            "create", "POST", resource_type, handle, resource_type, scope, conditional=True, documentation=text
        ),
    )


def conditional_update(resource_type: str, handle: Handler) -> tuple[Interaction, ...]:
    """Return the interaction `update` of the record that the query names; never of an id."""
    text, scope = "conditional only", f"{resource_type}.u"
    return (
        Interaction("update", "PUT", resource_type, handle, resource_type, scope, conditional=True, documentation=text),
    )


def conditional_delete(resource_type: str, handle: Handler) -> tuple[Interaction, ...]:
    """Return the interaction `delete` of the record that the query names; never of an id."""
    text, scope = "conditional only", f"{resource_type}.d"
    return (
        Interaction(
            "delete", "DELETE", resource_type, handle, resource_type, scope, conditional=True, documentation=text
        ),
    )


def operation(resource_type: str, name: str, definition: str, handle: Handler, scope: str) -> tuple[Interaction, ...]:
    """Return the operation `name` of a type, without `$`; POST only."""
    path = f"{resource_type}/${name}"
    return (Interaction("operation", "POST", path, handle, resource_type, scope, definition),)


def transaction(handle: Handler) -> tuple[Interaction, ...]:
    """Return the interaction `transaction`: a Bundle posted to `[base]`."""
    return (Interaction("transaction", "POST", "", handle, scope="transaction"),)
