"""The one place where the parts of the server are put together."""

from __future__ import annotations

import asyncio
import multiprocessing.process
import os
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from fastapi import FastAPI

from app import __version__, audit, conformance, iua, mhd, pdqm, pixm, privacy
from app.audit.iti20_record_audit_event import taking_batches
from app.audit.recording import Connections, recording
from app.capability import NAME, Deployment, capabilities, require_definitions
from app.document.value_sets import load as load_value_sets
from app.domains import Domains
from app.domains import load as load_domains
from app.fhir import packages as fhir_packages
from app.front import front_of
from app.interaction.search_system import handing_over
from app.iua.authority import Authority
from app.iua.own import Given, authorities, scopes_of, trusted
from app.iua.trusted_metadata import TrustedMetadata, of_own
from app.patient.bound import records_of
from app.patient.derived import deriving
from app.patient.persons import everybody
from app.pdqm.iti78_patient_demographics_query import search_system_for_patients
from app.privacy.register import Register
from app.privacy.restriction import derived as consent_derived
from app.rest.authority import add_authority
from app.rest.framework_errors import add_framework_errors
from app.rest.health import add_health
from app.rest.log import configure, log
from app.rest.pages import add_pages
from app.rest.routes import add_fhir
from app.search.definitions import Definitions
from app.search.page import Paging
from app.security.assembly import guard_of
from app.security.configuration import read_entries
from app.security.decider import Decider, Watched, nobody_restricts
from app.security.policy_file import load as load_policy
from app.settings import Settings, load
from app.store.audit import EVENTS
from app.store.driver import connect
from app.store.merged import FILED, filed_under
from app.store.resources import Store
from app.store.sweeping import sweep_forever
from app.transaction import Context, Transaction, complete, offered
from app.validation.problems import surveyed
from app.validation.validator import Validator

# Each IHE profile that this server implements adds its transactions here.
TRANSACTIONS: tuple[Transaction, ...] = handing_over(
    taking_batches(mhd.TRANSACTIONS)
    + pixm.TRANSACTIONS
    + pdqm.TRANSACTIONS
    + audit.TRANSACTIONS
    + conformance.TRANSACTIONS
    + privacy.TRANSACTIONS,
    {"Patient": search_system_for_patients},
)

EXAMPLE_DOMAINS = Path(__file__).parent / "examples" / "domains.toml"


def create_app(
    settings: Settings, transactions: tuple[Transaction, ...] = TRANSACTIONS, *, tells: bool = True
) -> FastAPI:
    """Return the server for `settings`; its parts start and stop with the ASGI lifespan.

    While it runs, `app.state.context` is the `Context` that handlers get.

    Args:
        tells: name in the log, while the server answers already, what is wrong with the packages.

    Raises:
        DoubleRouteError: two transactions claim one method and path.
        KeyFileError: the file of the signing keys cannot be used.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings, transactions, serves=True) as context:
            app.state.context = context
            front.metrics.gauges.update(context.recorder.gauges)
            telling = tell_problems(context, settings.profiles_dir) if tells else None
            try:
                yield
            finally:
                if telling:
                    await telling

    app = FastAPI(title=NAME, version=__version__, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    on = offered(transactions, settings.switches)
    told = Deployment(bool(settings.cors_origins), settings.ehds, settings.content_guides)
    served = (*on, capabilities(on, told))
    add_framework_errors(app)
    add_health(app)
    mode = settings.authorization.mode
    add_pages(app, settings.url, served, settings.profiles_dir, mode, with_examples=settings.example_data)
    add_authorization(app, settings, on)
    front = front_of(settings)
    add_fhir(app, served, front)
    return app


def add_authorization(app: FastAPI, settings: Settings, transactions: Sequence[Transaction]) -> None:
    """Serve the own authorization servers, and below `[base]` what clients look for of the one that is trusted.

    Args:
        transactions: that are offered, and are opened by scopes.
    """
    scopes, mode, own = scopes_of(transactions), settings.authorization.mode, own_authorities(settings)
    add_authority(app, [each for one in own for each in iua.authorization_server(one, scopes)])
    options, find = settings.authorization, None
    others = [*options.entries.issuers, *read_entries(options.file, os.environ).issuers]
    if (own or others) and mode in ("smart", "iua"):
        find = of_own(own[0], scopes) if own else TrustedMetadata(others[0].issuer).find
    add_authority(app, iua.discovery(urlsplit(settings.url).path.rstrip("/"), find, is_iua=mode == "iua"))


def own_authorities(settings: Settings) -> tuple[Authority, ...]:
    """Return the authorization servers that `settings` ask for; each call has caches of its own."""
    if not settings.authority:
        return ()
    given = Given(
        settings.authority_issuer,
        settings.authority_tenants,
        settings.url,
        settings.authority_token_s,
        settings.authority_refresh_s,
        settings.authority_algorithms,
        str(settings.authority_key_file or ""),
        settings.authority_key_days,
        settings.dev_mode,
    )
    return authorities(given)


@asynccontextmanager
async def running(
    settings: Settings, transactions: tuple[Transaction, ...] = TRANSACTIONS, *, serves: bool = False
) -> AsyncIterator[Context]:
    """Start the parts below HTTP, yield what handlers may reach, and stop the parts again.

    Args:
        serves: this is the server, not a command: audit events are looked after.

    Raises:
        MissingDefinitionError: a transaction lists a search parameter that no package defines.
        DomainsError, ValueSetsError: the file of the identifier domains, or that of the value sets, is wrong.
        FhirError: `transient` (503) when MongoDB does not answer.
    """
    packages = fhir_packages.load(settings.profiles_dir)
    definitions = Definitions(packages)
    everything = complete(transactions)  # what was stored under an option stays when the option goes
    require_definitions(everything, definitions)
    load_value_sets(settings.value_sets, packages)  # it is read once, and here: a wrong file stops the start
    domains = load_domains(domains_file(settings), packages, settings.url)
    connection = connect(settings.mongodb_url.get_secret_value(), settings.mongodb_driver, settings.mongodb_database)
    derive = {"Patient": deriving(domains, settings.home_country), **dict.fromkeys(FILED, filed_under)}
    derive["Consent"] = consent_derived
    kin = {"Patient": everybody}
    apart = settings.audit_mongodb_url.get_secret_value()
    events = connect(apart, settings.mongodb_driver, settings.mongodb_database) if apart else connection
    store = Store(connection, definitions, derive, kin, {EVENTS: events})
    kept = Connections(events, connection, resource_types(everything))
    own = [trusted(one, store.authority, utc_now) for one in own_authorities(settings)]
    decide = decider_of(settings, store, definitions, domains)
    guard = guard_of(settings.authorization, os.environ, settings.url, decide, own)
    if settings.consents and guard.mode in ("off", "external"):
        guard = Watched(guard, decide)
    sweeping = asyncio.create_task(sweep_forever(store))
    try:
        await store.ping()
        await store.ensure(resource_types(everything))
        if own:
            await store.authority.ensure()
        async with recording(settings.keeping(settings.url), kept, utc_now, serves=serves) as recorder:
            yield Context(
                store=store,
                validator=Validator(packages),
                definitions=definitions,
                packages=packages,
                base_url=settings.url,
                now=utc_now,
                new_id=new_id,
                switches=settings.switches,
                paging=Paging(settings.signing_key.encode()),
                domains=domains,
                guard=guard,
                recorder=recorder,
            )
    finally:
        sweeping.cancel()
        await events.close()
        await guard.close()
        await store.close()


def decider_of(settings: Settings, store: Store, definitions: Definitions, domains: Domains) -> Decider:
    """Return what says which part of the records exists for whom."""

    async def persons(claim: str) -> Sequence[str]:
        return await records_of(claim, store.facts, domains)

    return Decider(
        definitions,
        settings.url,
        persons,
        load_policy(Path(settings.access_policy) if settings.access_policy else None),
        Register(store.facts).restrictions if settings.consents else nobody_restricts,
        refuses_others=settings.foreign_patient == "refuse",
    )


def tell_problems(context: Context, folder: Path) -> asyncio.Task[None]:
    """Name in the log what is wrong with the packages; and, in a task, what they ask for that cannot be checked."""
    tell([*context.packages.problems, *context.definitions.problems])

    async def survey() -> None:
        tell(await surveyed(folder))

    return asyncio.create_task(survey())


def tell(problems: list[str]) -> None:
    """Name `problems` of packages in the log."""
    for problem in problems:
        log.warning("profiles: %s", problem)


def domains_file(settings: Settings) -> Path | None:
    """Return the file of the identifier domains; without a setting, that of the example data goes with it."""
    if settings.domains:
        return Path(settings.domains)
    return EXAMPLE_DOMAINS if settings.example_data else None


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a new logical id: 48 bits of time in milliseconds, so that newer records sort last, and 80 random ones."""
    return f"{int(datetime.now(UTC).timestamp() * 1000):012x}{token_hex(10)}"


def resource_types(transactions: tuple[Transaction, ...]) -> tuple[str, ...]:
    """Return the types of resource that are kept in the store: those with versions; definitions come from packages.

    Audit events are kept by themselves (`app.store.audit`).
    """
    interactions = (one for transaction in transactions for one in transaction.interactions)
    return tuple(sorted({one.resource_type for one in interactions if one.code == "vread"} - {EVENTS}))


def from_environment() -> FastAPI:
    """Return the server for the settings of the environment: what each worker process starts."""
    settings = load()
    configure(settings.log_level)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    return create_app(settings, tells=parent is None)  # a worker's parent has told, once for all of them


def end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Stop this worker when the process that started it is gone: nobody else would, and it holds the port."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
