"""Query string -> Query: what is asked, in which order, and how much of it.

A name and value that this server does not know is left out of the query and of what it says it applied, or refused
when the client asked for strict handling. A value or modifier that a known parameter cannot read is always refused;
all refusals of a query are told at once.

Spec: FHIR R4 search.html; MHD-GEN-20 to MHD-GEN-27, MHD-66-05 to MHD-66-07, MHD D-07.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.fhir.outcome import FhirError, Issue
from app.search import page, result
from app.search.ask import Pair, UnknownModifierError, ask
from app.search.criteria import EVERYTHING, NOTHING, Criterion, all_of
from app.search.definitions import Definitions
from app.search.page import Paging, Position
from app.search.result import Include, Sort

__all__ = ["Include", "Paging", "Position", "Query", "Scope", "Sort", "parse"]

_PAGING = Paging()

# Read by the edge; here they are known, and mean nothing.
_OF_THE_EDGE = ("_format", "_pretty")


@dataclass(frozen=True, slots=True)
class Query:
    """What a search asks.

    Attributes:
        criterion: what a result must meet.
        sort: keys in order. Ids descending decide among equals, and alone when there are no keys: no later change of
            a record moves it, so a client that pages sees each record once.
        count: results on a page; 0: only the total is asked for.
        after: the last record of the page before; None on the first page.
        before: the first record of the page that follows, when the client goes backwards.
        total: `none`, `estimate`, `accurate`; empty when the client did not say.
        applied: the pairs that were understood, as sent, without the page token: for `self` and `next` links.
        ignored: names that were not understood.
        summary: `true`, `text`, `data`, `count`, `false`; empty when the client did not say.
        elements: names of top-level elements to return; empty for all.
        fingerprint: for page tokens.
        path: what stands below `[base]` in the URL of the search, when that is not the resource type.
    """

    resource_type: str
    criterion: Criterion = EVERYTHING
    sort: tuple[Sort, ...] = ()
    count: int = _PAGING.default_count
    after: Position | None = None
    before: Position | None = None
    total: str = ""
    applied: tuple[Pair, ...] = ()
    ignored: tuple[str, ...] = ()
    summary: str = ""
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    fingerprint: str = ""
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a search takes place, when that is not simply a resource type.

    Attributes:
        path: as in `Query`; part of the page token.
        within: what every result meets, whatever is asked.
        without: names of parameters that are not known here.
        codes: issue codes of refusals where a transaction has other ones: `value`, `modifier` -> code.
    """

    path: str | None = None
    within: Criterion = EVERYTHING
    without: Collection[str] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


WHOLE_TYPE = Scope()


def parse(  # noqa: PLR0913 - the last three are rarely given
    definitions: Definitions,
    resource_type: str,
    pairs: Sequence[Pair],
    *,
    base_url: str,
    strict: bool = False,
    paging: Paging = _PAGING,
    scope: Scope = WHOLE_TYPE,
) -> Query:
    """Return what `pairs`, the decoded names and values of a query, ask of `resource_type`.

    Args:
        pairs: order and repeats kept; a repeated name is "and", a comma in a value "or".
        base_url: this server's, so that its absolute URLs are known.
        strict: refuse what is otherwise ignored (`Prefer: handling=strict`).
        scope: where the search takes place.

    Raises:
        FhirError: `value` (400) for a value that its parameter cannot read, `not-supported` (400) for an unknown
            modifier, and for an unknown parameter when `strict`.
    """
    query = Query(resource_type, count=paging.default_count, path=scope.path)
    reading = _Reading(definitions, base_url, paging, query, scope)
    for name, text in pairs:
        if text:
            reading.read(result.ALIASES.get(name, name), text, (name, text))
    if strict:
        reading.refuse_ignored()
    return reading.finish()


@dataclass(slots=True)
class _Reading:
    """A query while it is read."""

    definitions: Definitions
    base_url: str
    paging: Paging
    query: Query
    scope: Scope = WHOLE_TYPE
    asked: list[Pair] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)  # of all that was asked, but for chains
    applied: list[Pair] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    token: str = ""
    token_before: str = ""

    def read(self, name: str, text: str, sent: Pair) -> None:
        """Take one pair into the query, or note why not."""
        try:
            is_known = self._is_in_scope(name) and (self._shape(name, text) or self._ask(name, text))
        except FhirError as error:
            kind = "modifier" if isinstance(error, UnknownModifierError) else error.issues[0].code
            self.issues += [replace(one, code=self.scope.codes.get(kind, one.code)) for one in error.issues]
            return
        if name not in (page.PARAMETER, page.BEFORE):
            self.applied.append(sent) if is_known else self.ignored.append(name)

    def _is_in_scope(self, name: str) -> bool:
        return name not in self.scope.without and name.partition(":")[0] not in self.scope.without

    def refuse_ignored(self) -> None:
        """Turn what was ignored into refusals."""
        of_type = self.query.resource_type
        for name in dict.fromkeys(self.ignored):
            message = f"Search parameter `{name[:64]}` is not supported for `{of_type}`."
            self.issues.append(Issue("not-supported", message))

    def finish(self) -> Query:
        """Return the query, or raise all that is wrong with it."""
        if self.issues:
            raise FhirError.of(self.issues)
        query = self.query
        place = query.resource_type if query.path is None else query.path
        mark = page.fingerprint(place, [*self.asked, *((str(key), "") for key in query.sort)])
        return replace(
            query,
            criterion=all_of([self.scope.within, *self.criteria, self._chains()]),
            after=page.position(self.token, mark, self.paging.key) if self.token else None,
            before=page.position(self.token_before, mark, self.paging.key) if self.token_before else None,
            applied=tuple(self.applied),
            ignored=tuple(dict.fromkeys(self.ignored)),
            fingerprint=mark,
        )

    def _ask(self, name: str, text: str) -> bool:
        asked = ask(self.definitions, self.query.resource_type, [(name, text)], self.base_url)
        if asked is None:
            return False
        self.asked.append((name, text))
        if "." not in name:
            self.criteria.append(asked)
        return True

    def _chains(self) -> Criterion:
        """Return what the chains ask together, which is more than each asks alone: they speak of the same targets."""
        chains = [(name, text) for name, text in self.asked if "." in name]
        # Each is known by itself: where they are not known together, no target can have them all.
        return ask(self.definitions, self.query.resource_type, chains, self.base_url) or NOTHING

    def _shape(self, name: str, text: str) -> bool:
        """Take a parameter that shapes the result; tell whether it is one that is understood."""
        query = self.query
        match name.partition(":")[0]:
            case "_count":
                self.query = replace(query, count=result.count(text, self.paging.max_count))
            case "_total":
                self.query = replace(query, total=result.one_of(name, text, result.TOTALS))
            case "_summary":
                self._summarise(result.one_of(name, text, result.SUMMARIES))
            case "_elements":
                self.query = replace(query, elements=tuple(each.strip() for each in text.split(",") if each.strip()))
            case "_sort":
                keys = result.sort(self.definitions, query.resource_type, text)
                self.query = replace(query, sort=query.sort + (keys or ()))
                return keys is not None
            case "_include" | "_revinclude":
                added = result.include(self.definitions, name, text)
                self.query = replace(query, includes=query.includes + ((added,) if added else ()))
                return added is not None
            case page.PARAMETER:
                self.token = text
            case page.BEFORE:
                self.token_before = text
            case other:
                return other in _OF_THE_EDGE
        return True

    def _summarise(self, summary: str) -> None:
        count = 0 if summary == "count" else self.query.count
        self.query = replace(self.query, summary=summary, count=count)
