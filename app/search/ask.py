"""Names and values -> criterion: what parameters, modifiers and chains ask together.

Spec: FHIR R4 search.html#combining, #modifiers, #chaining; MHD-66-05, MHD-66-07, MHD-GEN-25.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.fhir.outcome import FhirError
from app.search import chain, date_type, reference_type, result, string_type, token_type, uri_type
from app.search.criteria import NOTHING, Criterion, Missing, Not, all_of, any_of
from app.search.definitions import Definitions, SearchParameter
from app.search.escape import split

Pair = tuple[str, str]

# What a value asks, by search type, and the modifiers that the type knows beside `missing`.
CRITERION: dict[str, Callable[[SearchParameter, str, str, str], Criterion]] = {
    "token": token_type.criterion,
    "string": string_type.criterion,
    "date": date_type.criterion,
    "reference": reference_type.criterion,
    "uri": uri_type.criterion,
}
MODIFIERS: dict[str, frozenset[str]] = {
    "token": token_type.MODIFIERS,
    "string": string_type.MODIFIERS,
    "date": date_type.MODIFIERS,
    "reference": reference_type.MODIFIERS,
    "uri": uri_type.MODIFIERS,
}


def ask(definitions: Definitions, resource_type: str, asked: Sequence[Pair], base_url: str) -> Criterion | None:
    """Return what all of `asked`, pairs of name and value, ask together; None when one of them is not known.

    Raises:
        FhirError: `value` (400) for a value that its parameter cannot read, `not-supported` (400) for a modifier.
    """
    found: list[Criterion | None] = []
    chains: dict[str, list[Pair]] = {}
    for name, text in asked:
        head, dot, rest = name.partition(".")
        if dot:
            chains.setdefault(head, []).append((rest, text))
        else:
            found.append(_ask_one(definitions, resource_type, name, text, base_url))
    for head, below in chains.items():
        found += [_ask_chain(definitions, resource_type, head, group, base_url) for group in chain.together(below)]
    known = [each for each in found if each is not None]
    return all_of(known) if len(known) == len(found) else None


def _ask_one(definitions: Definitions, resource_type: str, name: str, text: str, base_url: str) -> Criterion | None:
    code, _, modifier = name.partition(":")
    parameter = definitions.get(resource_type, code)
    if parameter is None:
        return None
    if modifier == "missing":
        return Missing(code, result.one_of(name, text, ("true", "false")) == "true")
    _require_known(parameter, modifier)
    values = [each for each in split(text, ",") if each]
    if not values:
        raise result.wrong(name, "the value is empty between its commas")
    plain = "" if modifier == "not" else modifier
    asked = any_of(CRITERION[parameter.type](parameter, plain, each, base_url) for each in values)
    return Not(asked) if modifier == "not" else asked


def _ask_chain(
    definitions: Definitions, resource_type: str, head: str, below: Sequence[Pair], base_url: str
) -> Criterion | None:
    code, _, target = head.partition(":")
    parameter = definitions.get(resource_type, code)
    if parameter is None or parameter.type != "reference":
        return None
    if target and not reference_type.is_type(target, parameter):
        raise _unknown_modifier(parameter, target)

    def ask_target(target_type: str, pairs: Sequence[Pair]) -> Criterion:
        return ask(definitions, target_type, pairs, base_url) or NOTHING

    return chain.criterion(definitions, parameter, target, below, ask_target)


def _require_known(parameter: SearchParameter, modifier: str) -> None:
    is_type = parameter.type == "reference" and reference_type.is_type(modifier, parameter)
    if modifier and modifier not in MODIFIERS[parameter.type] and not is_type:
        raise _unknown_modifier(parameter, modifier)


class UnknownModifierError(FhirError):
    """A modifier that the parameter does not have."""


def _unknown_modifier(parameter: SearchParameter, modifier: str) -> FhirError:
    known = ", ".join(f"`:{each}`" for each in sorted({"missing", *MODIFIERS[parameter.type]}))
    message = (
        f"Search parameter `{parameter.code}`: the modifier `:{modifier[:40]}` is not supported; there are {known}."
    )
    return UnknownModifierError("not-supported", message)
