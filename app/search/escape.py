"""Separators in search values, and the backslash that makes them ordinary characters.

Spec: FHIR R4 search.html#escaping; MHD-66-05.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\([\\,$|])")


def split(text: str, separator: str) -> list[str]:
    r"""Return the parts of `text` between unescaped separators (`,` or `|`), escapes still in them.

    Examples:
        "a,b" -> ["a", "b"]      r"a\,b" -> [r"a\,b"]      "a," -> ["a", ""]
    """
    if "\\" not in text:
        return text.split(separator)
    parts, is_escaped = [""], False
    for sign in text:
        if sign == separator and not is_escaped:
            parts.append("")
        else:
            parts[-1] += sign
        is_escaped = sign == "\\" and not is_escaped
    return parts


def unescape(text: str) -> str:
    r"""Return `text` with `\,`, `\|`, `\$` and `\\` as the characters they stand for."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
