"""A search for patients by demographics, read as PDQm reads it: what FHIR's search says, and what only PDQm says.

An identifier with a system and no value is no question for a missing value, but names the domains whose identifiers
the answer shows. A telephone number is asked in its normal form too, an identifier in every spelling of its domain.

Spec: ITI-78, 2:3.78.4.1.2; PDQM-78-07, 08, 11, 23, 27, 28, 40 to 46, 56; PIXM-DOM-05.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from app.fhir.outcome import FhirError, Issue
from app.interaction import query_of
from app.patient.derived import BORN, OWN, STATE, born_term, normal_telecom, own_token
from app.patient.record_key import told
from app.search.criteria import All, Criterion, Interval, Not, StartsWith, Terms, all_of
from app.search.escape import split, unescape
from app.search.page import Paging
from app.search.query import Query, Scope
from app.search.string_type import SEPARATOR
from app.transaction import Context, RequestMessage

Pair = tuple[str, str]

DEFAULT_COUNT, MAX_COUNT = 20, 200

TELECOM = frozenset({"telecom", "phone", "email"})
GENDERS = frozenset({"male", "female", "other", "unknown"})
UNKNOWN_DOMAIN = "targetSystem not found"

# What shapes an answer, and narrows nothing.
_SHAPING = frozenset(
    {"_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", "_include", "_revinclude"}
)


@dataclass(frozen=True, slots=True)
class Demographics:
    """A search for patients.

    Attributes:
        domains: the systems whose identifiers the answer shows; empty: all.
        warnings: what there is to say about the search.
    """

    query: Query
    domains: frozenset[str] = frozenset()
    warnings: tuple[Issue, ...] = ()


def demographics(message: RequestMessage, context: Context, path: str | None = None) -> Demographics:
    """Return what `message` asks.

    Args:
        path: below `[base]`, when the search is not at `Patient`.

    Raises:
        FhirError: `value`, `not-supported`, `too-costly` (400); `not-found` (404) for an unknown domain, as a warning.
    """
    is_strict = "handling=strict" in message.headers.get("prefer", "")
    filters = [(name, text) for name, text in message.query if name == "identifier" and is_domain_filter(text)]
    systems = [_systems(text) for _, text in filters]
    warnings = [*_unknown_domains(systems, context), *_unknown_systems(message.query, context)]
    warnings += _unknown_genders(message.query, is_strict=is_strict)
    asked = [pair for pair in message.query if pair not in filters]
    pairs = tuple([_spelled(name, text, context) for name, text in asked])
    spelled = {pair: text for pair, (_, text) in zip(pairs, asked, strict=True)}
    bare = message if pairs == message.query else replace(message, query=pairs)
    paging = _paging(context.paging)
    scope = Scope(path, all_of([*(_filter(each, context) for each in systems), *_states(context)]))
    query = query_of(bare, context, "Patient", scope, paging)
    applied = _applied(message.query, query, filters, spelled)
    _require_narrowing(applied, context)
    shown = frozenset(spelling for each in systems for one in each for spelling in context.domains.spellings(one))
    narrowed = replace(query, criterion=_born(query.criterion), applied=applied, total="accurate")
    return Demographics(narrowed, shown, tuple(warnings))


def _born(criterion: Criterion) -> Criterion:
    """Return `criterion`, which asks for a surname and a day of birth together when it asks for both.

    It finds the same; one index then leads to the few who have both, at any number of patients.
    """
    parts = criterion.criteria if isinstance(criterion, All) else ()
    days = [one.start for one in parts if isinstance(one, Interval) and _is_day(one)]
    families = [text for one in parts if (text := _surname(one)) is not None]
    if not days or not families:
        return criterion
    return All((*parts, StartsWith(BORN, born_term(f"{days[0]:%Y-%m-%d}", families[0]))))


def _is_day(asked: Interval) -> bool:
    is_one = asked.end - asked.start == timedelta(days=1)
    return is_one and (asked.parameter, asked.operator) == ("birthdate", "eq")


def _surname(asked: Criterion) -> str | None:
    """Return how the one surname that is asked for begins, normalised."""
    match asked:
        case StartsWith("family", text):
            return text
        case Terms("family", (exact,)):
            return exact.partition(SEPARATOR)[0]
    return None


@lru_cache(maxsize=4)
def _paging(paging: Paging) -> Paging:
    return replace(paging, default_count=DEFAULT_COUNT, max_count=MAX_COUNT)


def is_domain_filter(text: str) -> bool:
    """Tell whether the value of `identifier` names domains: `system|`, or several of them."""
    if not text.endswith("|") and "|," not in text:
        return False
    tokens = [split(token, "|") for token in split(text, ",")]
    return all(len(parts) == 2 and parts[0] and not parts[1] for parts in tokens)


def _systems(text: str) -> tuple[str, ...]:
    return tuple(unescape(split(token, "|")[0]) for token in split(text, ","))


def _filter(systems: Sequence[str], context: Context) -> Criterion:
    """Return what a record meets that owns an identifier of one of `systems`."""
    return Terms(OWN, tuple(own_token(context.domains.canonical(one), "") for one in systems))


def _states(context: Context) -> list[Criterion]:
    return [Not(Terms(STATE, ("merged",)))] if context.switches.deprecated_search == "omitted" else []


def _unknown_domains(filters: Sequence[Sequence[str]], context: Context) -> list[Issue]:
    """Return a warning for each domain of a filter that is not recognised, or refuse (PDQM-78-42, PDQM-78-46)."""
    if not context.domains.are_told:
        return []
    unknown = dict.fromkeys(one for each in filters for one in each if context.domains.find(one) is None)
    warnings = [
        Issue("not-found", UNKNOWN_DOMAIN, severity="warning", text=f"identifier domain {one} is not known here")
        for one in unknown
    ]
    if warnings and context.switches.unknown_domain == 404:
        refusal = FhirError("not-found", UNKNOWN_DOMAIN)
        refusal.issues = tuple(warnings)
        raise refusal
    return warnings


def _unknown_systems(pairs: Sequence[Pair], context: Context) -> list[Issue]:
    """Return a warning for each full identifier whose domain is not recognised (PDQM-78-44)."""
    if not context.domains.are_told:
        return []
    tokens = [split(token, "|") for name, text in pairs if name == "identifier" for token in split(text, ",")]
    systems = dict.fromkeys(unescape(parts[0]) for parts in tokens if len(parts) == 2 and all(parts))
    return [
        Issue("not-found", f"identifier domain {one[:200]} is not known here", severity="warning")
        for one in systems
        if context.domains.find(one) is None
    ]


def _unknown_genders(pairs: Sequence[Pair], *, is_strict: bool) -> list[Issue]:
    """Return a warning for a gender that is no code, or refuse it (PDQM-78-27)."""
    codes = [token for name, text in pairs if name == "gender" for token in split(text, ",") if token]
    if all(code.rpartition("|")[2] in GENDERS for code in codes):
        return []
    text = f"Search parameter `gender`: the value is not one of {', '.join(sorted(GENDERS))}."
    if is_strict:
        raise FhirError("value", text)
    return [Issue("value", text, severity="warning")]


def _spelled(name: str, text: str, context: Context) -> Pair:
    """Return a pair whose value also has the other spellings of what it asks."""
    if name in TELECOM:
        return name, ",".join(one for token in split(text, ",") for one in _telecoms(token, context))
    if name == "identifier":
        return name, ",".join(one for token in split(text, ",") for one in _identifiers(token, context))
    return name, text


def _telecoms(token: str, context: Context) -> list[str]:
    system, bar, value = token.rpartition("|")
    normal = normal_telecom(unescape(value), context.switches.home_country)
    return list(dict.fromkeys([token, f"{system}{bar}{normal}"] if normal else [token]))


def _identifiers(token: str, context: Context) -> list[str]:
    parts = split(token, "|")
    if len(parts) != 2 or not all(parts):
        return [token]
    return list(dict.fromkeys([token, *(f"{one}|{parts[1]}" for one in context.domains.spellings(unescape(parts[0])))]))


def _applied(sent: Sequence[Pair], query: Query, filters: Sequence[Pair], spelled: dict[Pair, str]) -> tuple[Pair, ...]:
    """Return the pairs that were understood, as sent and in their order; a page is as long as it really is."""
    applied = [(name, spelled.get((name, text), text)) for name, text in query.applied]
    understood = [pair for pair in sent if pair in applied or pair in filters]
    return tuple(
        (name, str(query.count)) if _is_lowered(name, text, query) else (name, text) for name, text in understood
    )


def _is_lowered(name: str, text: str, query: Query) -> bool:
    return name == "_count" and int(text) > query.count > 0


def _require_narrowing(applied: Sequence[Pair], context: Context) -> None:
    if context.switches.min_search_params and all(name.partition(":")[0] in _SHAPING for name, _ in applied):
        raise told("too-costly", "this search narrows nothing; give a name, a birth date or an identifier")
