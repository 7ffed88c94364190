"""A person's log: who opened which of my documents - as FHIR, and as a page that a browser shows.

The five facts of the regulation: the provider or person who accessed, the individual behind it, the kind of data, when,
and where the data come from. Whoever may ask for events, and a token that is bound to the person, may read it.

Spec: EHDS-105, EHDS-106 (Regulation (EU) 2025/327, Article 9 and Annex II 3.2); AUD-98.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from app.audit import codes
from app.audit.log_query import UNTOLD, on_record
from app.fhir.media_type import wants_html
from app.fhir.resource import Resource, parse_json
from app.interaction import query_of, search_resources
from app.search.criteria import Terms, all_of
from app.search.page import Paging
from app.search.query import Query, Scope
from app.transaction import About, Content, Context, RequestMessage, ResponseMessage

HTML = "text/html"
DEFAULT_COUNT, MAX_COUNT = 50, 500

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
    "Vary": "Accept",
}

# What was done, as FHIR's codes say it, in words for the person.
DONE = {
    "search": "searched",
    "search-type": "searched",
    "search-system": "searched",
    "read": "opened",
    "vread": "opened",
    "create": "added",
    "update": "changed",
    "patch": "changed",
    "delete": "removed",
    "transaction": "published",
    "ITI-65": "published",
    "operation": "asked",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Access log</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .3rem 1rem .3rem 0; vertical-align: top; border-bottom: 1px solid #8884; }}
</style></head><body>
<h1>Who used your health data</h1>
<p>{told}</p>
<table><thead><tr><th>When</th><th>Who</th><th>For whom</th><th>Why</th><th>What</th><th>Where from</th></tr></thead>
<tbody>
{rows}
</tbody></table>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """What an event tells the person: the facts of the regulation, as text.

    Attributes:
        when: instant.
        who: the individual; the client when there was none.
        provider: the organisation, or the client, that accessed.
        why: purposes of use.
        what: what was done, and to which kind of data.
        where: the system and its site.
        failed: nothing was disclosed.
    """

    when: str
    who: str
    provider: str
    why: str
    what: str
    where: str
    failed: bool


async def read_access_log(message: RequestMessage, context: Context) -> ResponseMessage:
    """Answer `Patient/{id}/$access-log`: the events of one patient, newest first; parameters as in ITI-81.

    Returns:
        200 and a Bundle of type searchset; or a page, for a browser.

    Raises:
        FhirError: `not-found` (404) for a patient who is not here, or not for this caller.
    """
    record_id = message.variables["id"]
    await context.store.read("Patient", record_id)
    query = _query(message, context, record_id)
    about = About(patients=({"reference": f"Patient/{record_id}"},), interaction="search-type")
    if not _is_page(message):
        return replace(await search_resources(query, context), about=about)
    found = await context.store.search(query)
    facts = [fact_of(parse_json(each.json)) for each in found.entries]
    page = to_page(facts, found.total or 0).encode()
    return ResponseMessage(200, Content(f"{HTML}; charset=utf-8", len(page), _once(page)), PAGE_HEADERS, about)


def _query(message: RequestMessage, context: Context, record_id: str) -> Query:
    of_patient = Terms("patient", (f"Patient/{record_id}",))
    path = f"Patient/{record_id}/$access-log"
    paging = Paging(context.paging.key, default_count=DEFAULT_COUNT, max_count=MAX_COUNT)
    plain = replace(message, query=tuple(pair for pair in message.query if pair[0] != "patient"))
    query = on_record(query_of(plain, context, "AuditEvent", Scope(path, without=UNTOLD), paging))
    return replace(query, criterion=all_of([of_patient, query.criterion]))


def _is_page(message: RequestMessage) -> bool:
    return not message.asked_format and wants_html(message.accept)


async def _once(page: bytes) -> AsyncIterator[bytes]:
    yield page


def fact_of(event: Resource) -> Fact:
    """Return what `event` tells the person whose data it is about."""
    agents = event.get("agent", [])
    client, user = _agent(agents, _is_client), _agent(agents, _is_user)
    organization = _agent(agents, lambda each: _has_type(each, codes.ORGANIZATION["code"]))
    source = event.get("source", {})
    observer = source.get("observer", {})
    where = (observer.get("identifier", {}).get("value") or _name(observer), source.get("site", ""))
    return Fact(
        when=str(event.get("recorded", "")),
        who=_named(user) or _named(client),
        provider=_named(organization) or _named(client),
        why=", ".join(_words(user.get("purposeOfUse", []) or client.get("purposeOfUse", []))),
        what=_what(event),
        where=", ".join(filter(None, where)),
        failed=event.get("outcome", "0") != "0",
    )


def to_page(facts: Sequence[Fact], total: int) -> str:
    """Return the page that shows `facts`; all text is escaped, and there is no script in it."""
    told = f"{len(facts)} of {total} entries, the newest first." if facts else "Nobody has used your data in this time."
    return _PAGE.format(told=escape(told), rows="\n".join(map(_row, facts)))


def _row(fact: Fact) -> str:
    what = f"{fact.what} (refused)" if fact.failed else fact.what
    cells = (fact.when, fact.who, fact.provider, fact.why, what, fact.where)
    return "<tr>" + "".join(f"<td>{escape(each)}</td>" for each in cells) + "</tr>"


def _what(event: Resource) -> str:
    """Return what was done, and to which records; of a search that it was one."""
    done = next((DONE[each["code"]] for each in event.get("subtype", []) if each.get("code") in DONE), "used")
    kinds = dict.fromkeys(
        each["what"]["reference"].split("/")[0]
        for each in event.get("entity", [])
        if "/" in each.get("what", {}).get("reference", "") and not _is_person(each)
    )
    labels = dict.fromkeys(
        label.get("display", label.get("code", ""))
        for each in event.get("entity", [])
        for label in each.get("securityLabel", [])
    )
    transaction = next(
        (each.get("display", "") for each in event.get("subtype", []) if each.get("system") == codes.IHE_EVENT), ""
    )
    return ", ".join(filter(None, (f"{done}: {transaction}" if transaction else done, *kinds, *labels)))


def _is_person(entity: Resource) -> bool:
    return bool(entity.get("type", {}).get("code") == codes.PERSON["code"])


def _agent(agents: Iterable[Resource], is_meant: Callable[[Resource], bool]) -> Resource:
    return next((each for each in agents if is_meant(each)), {})


def _is_user(agent: Resource) -> bool:
    return bool(agent.get("requestor")) and "network" not in agent


def _is_client(agent: Resource) -> bool:
    return agent.get("network", {}).get("type") != "5" and "network" in agent


def _has_type(agent: Resource, code: str) -> bool:
    return any(each.get("code") == code for each in agent.get("type", {}).get("coding", []))


def _named(agent: Resource) -> str:
    return str(agent.get("name", "")) or _name(agent.get("who", {}))


def _name(reference: Resource) -> str:
    identifier = reference.get("identifier", {}).get("value", "")
    return str(reference.get("display") or identifier or reference.get("reference", ""))


def _words(concepts: Iterable[Resource]) -> Iterator[str]:
    for each in concepts:
        coding = (each.get("coding") or [{}])[0]
        yield str(each.get("text") or coding.get("display") or coding.get("code", ""))
