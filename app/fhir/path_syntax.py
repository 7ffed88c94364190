"""FHIRPath text -> syntax tree.

Spec: FHIRPath N1 grammar (http://hl7.org/fhirpath/N1/grammar.html) and its table of operator precedence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal


class Unsupported(ValueError):  # noqa: N818 - a state of the expression, not a fault of the program
    """The expression uses something that is not implemented here; the message names it."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: `type` is a System type name, the empty collection has none."""

    value: str | int | Decimal | bool | None
    type: str


@dataclass(frozen=True, slots=True)
class This:
    """The focus: `$this`, and the unwritten start of a path."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`%resource` and its like."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`base.name`."""

    base: Syntax
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`base.name(arguments)`."""

    base: Syntax
    name: str
    arguments: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`base[index]`."""

    base: Syntax
    index: Syntax


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`; for a sign the left side is the number 0."""

    operator: str
    left: Syntax
    right: Syntax


Syntax = Literal | This | Variable | Member | Call | Index | Operation

# Binding strength: higher binds tighter.
PRECEDENCE = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4,
    "=": 5, "!=": 5, "~": 5, "!~": 5, "<": 6, ">": 6, "<=": 6, ">=": 6,
    "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
SIGN = 11
_DEPTH_LIMIT = 60

_TOKEN = re.compile(
    r"""\s+ | //[^\n]* | /\*.*?\*/
    | (?P<date>@(?:T\d\d(?::\d\d){0,2}(?:\.\d+)?
        | \d{4}(?:-\d\d(?:-\d\d)?)?T?(?:\d\d(?::\d\d){0,2}(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?))
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]+` | "[^"]+")
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<variable>\$[a-z]+ | %(?:[A-Za-z][A-Za-z0-9-]*|`[^`]+`|'[^']+'|"[^"]+"))
    | (?P<sign><=|>=|!=|!~|[-.()\[\]{},+*/&|=~<>])
    | (?P<unknown>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


def parse(text: str) -> Syntax:
    """Return the syntax tree of `text`.

    Raises:
        Unsupported: `text` is not FHIRPath, or uses quantities, `$index` or `$total`.
    """
    parser = _Parser(text)
    tree = parser.expression(0)
    if parser.kind != "end":
        raise parser.unexpected()
    return tree


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup:
            yield match.lastgroup, match.group()
    yield "end", ""


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        escaped = match.group(1)
        return chr(int(escaped[1:], 16)) if len(escaped) == 5 else _ESCAPED.get(escaped, escaped)

    return _ESCAPE.sub(character, text)


class _Parser:
    """Precedence climbing over the tokens; `kind` and `token` are the current one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = _tokens(text)
        self.depth = 0
        self.advance()

    def advance(self) -> str:
        token = getattr(self, "token", "")
        self.kind, self.token = next(self.rest, ("end", ""))
        return token

    def unexpected(self) -> Unsupported:
        return Unsupported(f"`{self.token or 'the end'}` was not expected in `{self.text}`")

    def expect(self, token: str) -> None:
        if self.token != token or self.kind not in ("sign", "name"):
            raise self.unexpected()
        self.advance()

    def expression(self, weakest: int) -> Syntax:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise Unsupported(f"more than {_DEPTH_LIMIT} levels in `{self.text[:60]}…`")
        left = self.operand()
        while self.kind in ("sign", "name") and PRECEDENCE.get(self.token, 0) > weakest:
            operator = self.advance()
            left = Operation(operator, left, self.expression(PRECEDENCE[operator]))
        self.depth -= 1
        return left

    def operand(self) -> Syntax:
        if self.kind == "sign" and self.token in ("+", "-"):
            return Operation(self.advance(), Literal(0, "System.Integer"), self.expression(SIGN))
        tree = self.term()
        while self.kind == "sign" and self.token in (".", "["):
            if self.advance() == ".":
                tree = self.invocation(tree)
            else:
                tree = Index(tree, self.expression(0))
                self.expect("]")
        return tree

    def term(self) -> Syntax:  # noqa: PLR0911 - one line for each kind of term
        match self.kind, self.token:
            case "sign", "(":
                self.advance()
                tree = self.expression(0)
                self.expect(")")
                return tree
            case "sign", "{":
                self.advance()
                self.expect("}")
                return Literal(None, "")
            case "variable", "$this":
                self.advance()
                return This()
            case "variable", token if token[0] == "%":
                return Variable(self.advance()[1:].strip("`'\""))
            case "variable", token:
                raise Unsupported(f"`{token}`")
            case ("name", "true" | "false") as token:
                return Literal(self.advance() == "true", "System.Boolean")
            case "name" | "quoted", _:
                return self.invocation(This())
        return self.literal()

    def literal(self) -> Literal:
        match self.kind:
            case "string":
                return Literal(_unescape(self.advance()[1:-1]), "System.String")
            case "number":
                return self.number()
            case "date":
                text = self.advance()[1:]
                kind = "Time" if text[0] == "T" else "DateTime" if "T" in text else "Date"
                return Literal(text.rstrip("T").removeprefix("T"), f"System.{kind}")
        raise self.unexpected()

    def number(self) -> Literal:
        text = self.advance()
        if self.kind == "string" or self.token.rstrip("s") in ("year", "month", "week", "day", "hour", "minute"):
            raise Unsupported("quantity literals")
        return Literal(Decimal(text), "System.Decimal") if "." in text else Literal(int(text), "System.Integer")

    def invocation(self, base: Syntax) -> Syntax:
        if self.kind == "quoted":
            return Member(base, self.advance()[1:-1])
        if self.kind != "name":
            raise self.unexpected()
        name = self.advance()
        if (self.kind, self.token) != ("sign", "("):
            return Member(base, name)
        self.advance()
        return Call(base, name, self.arguments())

    def arguments(self) -> tuple[Syntax, ...]:
        found: list[Syntax] = []
        while (self.kind, self.token) != ("sign", ")"):
            if found:
                self.expect(",")
            found.append(self.expression(0))
        self.advance()
        return tuple(found)
