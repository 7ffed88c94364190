"""Where in a JSON text a property is there twice: looked for only when it is known that one is.

Spec: RFC 8259, 4; FHIR R4 json.html.
"""

from __future__ import annotations

import json
import re

# A string, or one of the signs that open, close and part objects and arrays.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)


def place_of_twin(text: str) -> tuple[int, int]:
    """Return line and column, from 1, of the first property of valid JSON whose name its object has already."""
    open_objects: list[set[str] | None] = []  # None stands for an array
    last: tuple[str, int] | None = None
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            open_objects.append(set() if sign == "{" else None)
        elif sign in "}]":
            open_objects.pop()
        elif sign == ":" and last and open_objects and (names := open_objects[-1]) is not None:
            name, start = last
            if name in names:
                return _line_and_column(text, start)
            names.add(name)
        last = (json.loads(sign, strict=False), token.start()) if sign[0] == '"' else None
    return 1, 1


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
