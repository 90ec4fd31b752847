"""Filters on lists: they always give lists, so that a condition on their result means what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from pydantic import BaseModel

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.filters.registry import TESTS, is_filter
from orchestrator.language.expressions.limits import DEPTH, Meter, number
from orchestrator.language.expressions.values import Absent, equal, field, is_absent, kind_of, less, text_of, truth


def listed(meter: Meter, value: Any) -> list[Any]:
    """The value as a list that was counted; raises where it is none."""
    if not isinstance(value, list | tuple):
        raise ExpressionError(f"expected a list, found {kind_of(value)}")
    meter.step(len(value))
    return list(value)


@is_filter("length")
def length(meter: Meter, value: Any) -> int:
    """How many: `alert.observables | length`."""
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise ExpressionError(f"{kind_of(value)} has no length")


@is_filter("first", arguments=1, least=0)
def first(meter: Meter, value: Any, count: int | None = None) -> Any:
    """The first one, or the list of the first n: `alert.observables | first(3)`."""
    items = listed(meter, value)
    if count is None:
        return items[0] if items else Absent("the first of an empty list")
    return items[: _count(count)]


@is_filter("last")
def last(meter: Meter, value: Any) -> Any:
    """The last one: `alert.attack | last`."""
    items = listed(meter, value)
    return items[-1] if items else Absent("the last of an empty list")


@is_filter("unique")
def unique(meter: Meter, value: Any) -> list[Any]:
    """Each once, in the order of its first: `["a", "b", "a"] | unique`."""
    seen: list[Any] = []
    for item in listed(meter, value):
        meter.step(len(seen))
        if not any(equal(item, one) for one in seen):
            seen.append(item)
    return meter.items(seen)


@is_filter("intersect", arguments=1)
def intersect(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is in both: `alert.attack | intersect(["T1110", "T1078"])`."""
    others = listed(meter, other)
    return _kept(meter, value, len(others), lambda item: any(equal(item, one) for one in others))


@is_filter("difference", arguments=1)
def difference(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is not in the other: `vars.hosts | difference(lists.known)`."""
    others = listed(meter, other)
    return _kept(meter, value, len(others), lambda item: not any(equal(item, one) for one in others))


def _kept(meter: Meter, value: Any, cost: int, wanted: Callable[[Any], bool]) -> list[Any]:
    kept = []
    for item in listed(meter, value):
        meter.step(cost)
        if wanted(item):
            kept.append(item)
    return meter.items(kept)


@is_filter("flatten")
def flatten(meter: Meter, value: Any) -> list[Any]:
    """Lists in lists as one list: `[[1], [2, [3]]] | flatten`."""
    flat: list[Any] = []

    def add(items: Any, depth: int) -> None:
        if depth > DEPTH:
            raise ExpressionError("lists are nested too deeply")
        for item in listed(meter, items):
            if isinstance(item, list | tuple):
                add(item, depth + 1)
            else:
                flat.append(item)

    add(value, 0)
    return meter.items(flat)


@is_filter("sort", arguments=1, least=0)
def sort(meter: Meter, value: Any, attribute: str | None = None) -> list[Any]:
    """In order, smallest first, by a field where one is named: `alert.observables | sort("value")`."""
    items = listed(meter, value)
    meter.step(len(items) * max(1, len(items).bit_length()))

    def compare(left: Any, right: Any) -> int:
        a, b = (field(one, attribute, attribute) if attribute else one for one in (left, right))
        return -1 if less(a, b) else int(less(b, a))

    return meter.items(sorted(items, key=cmp_to_key(compare)))


@is_filter("reverse")
def reverse(meter: Meter, value: Any) -> list[Any]:
    """In the other direction: `alert.attack | reverse`."""
    return meter.items(listed(meter, value)[::-1])


@is_filter("map", arguments=1, literal=True)
def map_(meter: Meter, value: Any, attribute: str) -> list[Any]:
    """The field of each: `alert.observables | map("value")`; an item without it is left out."""
    found = [_at(item, attribute) for item in listed(meter, value)]
    return meter.items([item for item in found if not is_absent(item)])


@is_filter("select", arguments=2, least=0, literal=False)
def select(meter: Meter, value: Any, test: str | None = None, argument: Any = None) -> list[Any]:
    """Those for which the test holds, or that are true: `lists.hosts | select("startswith", "web-")`."""
    return _kept(meter, value, 0, lambda item: _holds(meter, item, test, argument))


@is_filter("reject", arguments=2, least=0)
def reject(meter: Meter, value: Any, test: str | None = None, argument: Any = None) -> list[Any]:
    """Those for which the test does not hold: `alert.attack | reject("equalto", "T1110")`."""
    return _kept(meter, value, 0, lambda item: not _holds(meter, item, test, argument))


@is_filter("selectattr", arguments=3, least=1)
def selectattr(meter: Meter, value: Any, attribute: str, test: str | None = None, argument: Any = None) -> list[Any]:
    """Those whose field passes: `alert.observables | selectattr("type", "equalto", "ip")`."""
    return _kept(meter, value, 0, lambda item: _holds(meter, _at(item, attribute), test, argument))


@is_filter("rejectattr", arguments=3, least=1)
def rejectattr(meter: Meter, value: Any, attribute: str, test: str | None = None, argument: Any = None) -> list[Any]:
    """Those whose field does not pass: `alert.observables | rejectattr("type", "equalto", "ip")`."""
    return _kept(meter, value, 0, lambda item: not _holds(meter, _at(item, attribute), test, argument))


def _holds(meter: Meter, item: Any, test: str | None, argument: Any) -> bool:
    if is_absent(item):
        return False
    if test is None:
        return truth(item)
    if test not in TESTS:
        raise ExpressionError(f"no test is named {test!r}")
    tool = TESTS[test]
    return truth(tool.function(meter, item, *([argument] if tool.most_arguments else [])))


def _at(item: Any, path: str) -> Any:
    for name in path.split("."):
        item = field(item, name, path)
    return item


@is_filter("of_type", arguments=1, literal=True)
def of_type(meter: Meter, value: Any, kind: str) -> list[Any]:
    """The values of the observables of a type: `alert.observables | of_type("domain")`."""
    return meter.items([_at(one, "value") for one in listed(meter, value) if equal(_at(one, "type"), kind)])


@is_filter("sum")
def total(meter: Meter, value: Any) -> float:
    """The sum of numbers: `[1, 2] | sum`."""
    return number(sum(_number(item) for item in listed(meter, value)))


@is_filter("min")
def least(meter: Meter, value: Any) -> Any:
    """The smallest: `[3, 1] | min`."""
    ordered = sort(meter, value)
    return ordered[0] if ordered else Absent("the least of an empty list")


@is_filter("max")
def most(meter: Meter, value: Any) -> Any:
    """The largest: `[3, 1] | max`."""
    ordered = sort(meter, value)
    return ordered[-1] if ordered else Absent("the most of an empty list")


@is_filter("table", arguments=1, literal=True)
def table(meter: Meter, value: Any, columns: Any) -> str:
    """A table in text, one line an item: `alert.observables | table(["type", "value"])`."""
    names = [str(name) for name in listed(meter, columns)]
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    for item in listed(meter, value):
        meter.step(len(names))
        cells = (_at(item, name) for name in names)
        lines.append(" | ".join("" if is_absent(cell) else " ".join(text_of(cell).split()) for cell in cells))
    return meter.text("\n".join(lines))


@is_filter("keys")
def keys(meter: Meter, value: Any) -> list[Any]:
    """The names of the fields of an object: `alert.raw | keys`."""
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if not isinstance(value, Mapping):
        raise ExpressionError(f"{kind_of(value)} has no fields")
    meter.step(len(value))
    return meter.items(list(value))


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ExpressionError("expected a whole number of 0 or more")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"expected a number, found {kind_of(value)}")
    return value
