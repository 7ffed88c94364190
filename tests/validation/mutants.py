"""Mutants: valid resources with one mistake each, and where that mistake is.

Which mistakes there are to make is read from the published snapshots, so what our engine overlooks is made all the
same. A mistake is made once for each place in a profile, not once for each example.

Spec: FHIR R4 validation.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.fhir.resource import Resource
from tests.validation.bad_values import BAD, SAMPLES, WRONG_KINDS
from tests.validation.edit import Edit, at_value, copied, edit_of, missed, replace, without
from tests.validation.invariant_breakers import ALONE, BREAKS, WRONG_TEXTS
from tests.validation.published import R4, Published, Spot, View, prescribed

Mutation = Callable[[Spot, Published], Iterator[Edit]]


def edits(resource: Resource, profile: str, published: Published) -> Iterator[Edit]:
    """Yield the mistakes that can be made in `resource`; each is in force until the next one is asked for."""
    for spot in list(published.spots(resource, profile)):
        for mutation in MUTATIONS:
            for edit in list(mutation(spot, published)):
                saved = dict(edit.owner)
                replace(edit.owner, copied(edit.content))
                yield edit
                replace(edit.owner, saved)


def removed(spot: Spot, published: Published) -> Iterator[Edit]:
    """Take away what must be there, or one of as many as must be there."""
    for view, name, key in _present(spot, published):
        low = view.element.get("min", 0)
        here = f"{spot.path}.{name}"
        out = missed(spot, here)
        if low and (out is not None or view.url.startswith(R4)):
            items = spot.value[key]
            fewer = {key: items[: low - 1]} if isinstance(items, list) and low > 1 else {}
            where = (spot.path, *(out or ()), *((here,) if fewer else ()))
            yield edit_of("required element missing", where, spot, without(spot.value, key) | fewer, f"{view.id}", True)


def repeated(spot: Spot, published: Published) -> Iterator[Edit]:
    """Repeat what may be there only so many times."""
    for view, name, key in _present(spot, published):
        items, high = spot.value[key], view.element.get("max", "*")
        if isinstance(items, list) and high not in ("*", "0"):
            many = [*items, *[items[-1]] * (int(high) + 1 - len(items))]
            yield edit_of("too many", (f"{spot.path}.{name}",), spot, {**spot.value, key: many}, view.id)
        elif high == "1":
            yield edit_of("array for one", (f"{spot.path}.{name}",), spot, {**spot.value, key: [items, items]}, view.id)


def prohibited(spot: Spot, published: Published) -> Iterator[Edit]:
    """Add what may not be there."""
    for view in _listed(spot, published):
        name = view.id.rpartition(".")[2]
        code = next((each["code"] for each in view.element.get("type", ())), "BackboneElement")
        key = name.replace("[x]", code[0].upper() + code[1:])
        if view.element.get("max") == "0" and key not in spot.value and isinstance(spot.value, dict):
            sample = SAMPLES.get(code, {"extension": [{"url": "urn:x", "valueCode": "x"}]})
            value = [sample] if view.element["base"]["max"] != "1" else sample
            path = f"{spot.path}.{name.removesuffix('[x]')}"
            yield edit_of("prohibited element", (path,), spot, {**spot.value, key: value}, view.id)


def unknown(spot: Spot, published: Published) -> Iterator[Edit]:
    """Add an element that there is not, and one that is misspelt."""
    if isinstance(spot.value, dict):
        yield edit_of("unknown element", (f"{spot.path}.fooBar",), spot, {**spot.value, "fooBar": "x"}, "")
        for key in [key for key in spot.value if key != "resourceType"][:1]:
            wrong = f"{key}x"
            content = without(spot.value, key) | {wrong: spot.value[key]}
            yield edit_of("misspelt element", (f"{spot.path}.{wrong}",), spot, content, "")


def sliced(spot: Spot, published: Published) -> Iterator[Edit]:
    """Leave a slice out, and repeat what is in one more often than it allows."""
    for view, name, key in _present(spot, published):
        items = spot.value[key] if isinstance(spot.value[key], list) else []
        for each in published.slices(view) if items else ():
            members = [item for item in items if published.is_in(each, item, key)]
            others = [item for item in items if item not in members]
            low, high = each.element.get("min", 0), each.element.get("max", "*")
            if low and members:
                content = {**spot.value, key: others} if others else without(spot.value, key)
                yield edit_of("slice missing", (spot.path,), spot, content, each.id, True)
            if high not in ("*", "0") and members:
                many = [*items, *[members[-1]] * (int(high) + 1 - len(members))]
                yield edit_of("slice too often", (f"{spot.path}.{name}",), spot, {**spot.value, key: many}, each.id)


def foreign(spot: Spot, published: Published) -> Iterator[Edit]:
    """Put a resource that no slice of a closed slicing, or no type of the element, allows."""
    codes = {each["code"] for view in spot.views for each in view.element.get("type", ())}
    if isinstance(spot.value, dict) and "resourceType" in spot.value and spot.name and codes - {"Resource"}:
        other = {"resourceType": "Basic", "code": {"text": "x"}}
        yield at_value("wrong resource", spot, other, more=missed(spot, spot.path) or ())


def altered(spot: Spot, published: Published) -> Iterator[Edit]:
    """Change each thing that a profile fixes, and take it away."""
    for view in spot.views:
        expected, out = prescribed(view.element), missed(spot, spot.path)
        if expected and out is not None:
            for at, value in _others(expected[0], spot.value):
                yield at_value("fixed value or pattern", spot, value, f"{view.id} {at}", out)


def unbound(spot: Spot, published: Published) -> Iterator[Edit]:
    """Put a code that a required binding does not allow, the right code of another system, or none."""
    for view in spot.views:
        binding, out = view.element.get("binding", {}), missed(spot, spot.path)
        is_known = published.has_codes(binding.get("valueSet", ""))
        if binding.get("strength") == "required" and is_known and out is not None:
            for at, value in _recoded(spot.value):
                yield at_value("code of a required binding", spot, value, f"{view.id} {at}", out)


def wrong_kind(spot: Spot, published: Published) -> Iterator[Edit]:
    """Put a JSON value of another kind."""
    kind = "object" if isinstance(spot.value, dict) else "string" if isinstance(spot.value, str) else "number"
    for other in WRONG_KINDS[kind] if spot.name else ():
        yield at_value(f"wrong JSON type, {_kind(other)}", spot, other)


def bad_format(spot: Spot, published: Published) -> Iterator[Edit]:
    """Put a text that is no value of the primitive."""
    for words, values in BAD.get(spot.code, {}).items() if not isinstance(spot.value, dict) else ():
        for value in values:
            yield at_value(words, spot, value, repr(value))


def wrong_target(spot: Spot, published: Published) -> Iterator[Edit]:
    """Refer to a resource of a type that the element does not allow, or in a way that it does not."""
    for view in spot.views if spot.code == "Reference" else ():
        listed = [each for each in view.element.get("type", ()) if each["code"] == "Reference"]
        types = published.types_of({url for each in listed for url in each.get("targetProfile", ())})
        rest = {name: each for name, each in spot.value.items() if name not in ("type", "identifier", "reference")}
        if types and "Resource" not in types:
            yield at_value("wrong reference target", spot, {**rest, "reference": "Basic/1"}, view.id)
            yield at_value("wrong reference target", spot, {"type": "Basic", "display": "x"}, f"{view.id} type")
            for url in [url for url, kind in spot.entries if kind not in types][:1]:
                yield at_value("wrong reference target", spot, {**rest, "reference": url}, f"{view.id} entry")
        if any(each.get("aggregation") == ["contained"] for each in listed):
            yield at_value("reference not contained", spot, {**rest, "reference": "Practitioner/1"}, view.id)


def dangling(spot: Spot, published: Published) -> Iterator[Edit]:
    """Refer to a contained resource that is not there."""
    if spot.code == "Reference":
        yield at_value("dangling reference", spot, {**spot.value, "reference": "#nowhere"})


def two_forms(spot: Spot, published: Published) -> Iterator[Edit]:
    """Give a choice two types."""
    for view, name, key in _present(spot, published):
        if view.id.endswith("[x]"):
            codes = {each["code"] for each in view.element["type"]} & SAMPLES.keys()
            for code in sorted(codes - {key.removeprefix(name), key[len(name) :][0].lower() + key[len(name) + 1 :]})[
                :1
            ]:
                other = {**spot.value, name + code[0].upper() + code[1:]: SAMPLES[code]}
                yield edit_of("two types of a choice", (f"{spot.path}.{name}",), spot, other, view.id)


def bad_partner(spot: Spot, published: Published) -> Iterator[Edit]:
    """Give a primitive id and extensions that are none."""
    if spot.name and not isinstance(spot.value, dict) and not isinstance(spot.parent.get(spot.name), list):
        values: tuple[Any, ...] = ("x", {}, {"fooBar": 1}, {"extension": []}, [None])
        for value in values:
            content = {**spot.parent, f"_{spot.name}": value}
            yield Edit("wrong extension of a primitive", (spot.path,), spot.parent, content, (*spot.place, repr(value)))


def two_ids(spot: Spot, published: Published) -> Iterator[Edit]:
    """Give two contained resources, or two elements, the same id."""
    items = spot.parent.get(spot.name)
    if not isinstance(items, list) or not isinstance(spot.value, dict) or spot.key:
        return
    array, is_resource = spot.path.rpartition("[")[0], "resourceType" in spot.value
    first = spot.value if is_resource else {"id": "same", **spot.value}
    if spot.name == "contained" or not is_resource:
        content = {**spot.parent, spot.name: [first, *items[1:], first]}
        kind = "two contained with one id" if is_resource else "two elements with one id"
        yield Edit(kind, (f"{array}[{len(items)}]",), spot.parent, content, spot.place)


def broken(spot: Spot, published: Published) -> Iterator[Edit]:
    """Break each invariant."""
    keys = {
        each["key"] for view in (*spot.views, *published.entered(spot)) for each in view.element.get("constraint", ())
    }
    for key in sorted(keys):
        for number, change in enumerate(BREAKS.get(key, ())):
            content = change(spot.value) if isinstance(spot.value, dict) else None
            if content is not None:
                yield edit_of(f"invariant {key}", (spot.path,), spot, content, str(number))
        if key in WRONG_TEXTS:
            yield at_value(f"invariant {key}", spot, WRONG_TEXTS[key])
    if spot.code == "Patient" and not spot.name:
        for key, (name, value) in ALONE.items():
            extended = {**spot.value, "extension": [{"url": "urn:x", name: value}]}
            yield edit_of(f"invariant {key}", (f"{spot.path}.extension[0].value",), spot, extended, "")


MUTATIONS: tuple[Mutation, ...] = (
    removed, repeated, prohibited, unknown, sliced, foreign, altered, unbound, wrong_kind, bad_format, wrong_target,
    dangling, two_forms, bad_partner, two_ids, broken,
)  # fmt: skip


def _listed(spot: Spot, published: Published) -> Iterator[View]:
    if isinstance(spot.value, dict):
        for view in published.entered(spot):
            yield from published.children(view)


def _present(spot: Spot, published: Published) -> Iterator[tuple[View, str, str]]:
    """Yield the elements that the object has: view, name in expressions, property."""
    for view in _listed(spot, published):
        name = view.id.rpartition(".")[2]
        plain = name.removesuffix("[x]")
        forms = {plain + each["code"][0].upper() + each["code"][1:] for each in view.element.get("type", ())}
        for key in [key for key in spot.value if key in (forms if plain != name else {name})]:
            yield view, plain, key


def _others(expected: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield `value` with one of the things that `expected` says changed or gone, each with words for what."""
    if isinstance(expected, dict):
        for name in expected:
            if len(value) > 1:
                yield f"no {name}", without(value, name)
            for at, other in _others(expected[name], value[name]):
                yield f"{name} {at}", {**value, name: other}
    elif isinstance(expected, list):
        for at, _ in _others(expected[0], value[0]):
            yield at, [dict(_others(expected[0], item)).get(at, item) for item in value]
    else:
        yield "", {bool: not value, int: 77}.get(type(value), "zz")


def _recoded(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str):
        yield "", "zz"
    elif "coding" in value:
        for name in ("code", "system"):
            yield name, {**value, "coding": [{**each, name: "zz"} for each in value["coding"]]}
        yield "text", {"text": "x"}
    else:
        for name in [name for name in ("code", "system") if name in value]:
            yield name, {**value, name: "zz"}


def _kind(value: Any) -> str:
    return {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}.get(
        type(value), "number"
    )
