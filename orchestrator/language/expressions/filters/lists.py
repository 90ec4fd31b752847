"""Filters on lists: they always give lists, so that a condition on their result means what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from pydantic import BaseModel

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.compare import Bag, equal, order
from orchestrator.language.expressions.filters.given import a_count, listed
from orchestrator.language.expressions.filters.registry import ALL, TESTS, is_filter
from orchestrator.language.expressions.limits import DATA_DEPTH, Meter
from orchestrator.language.expressions.values import Absent, field, is_absent, kind_of, text_of, truth


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
    return items[: a_count(count)]


@is_filter("last")
def last(meter: Meter, value: Any) -> Any:
    """The last one: `alert.attack | last`."""
    items = listed(meter, value)
    return items[-1] if items else Absent("the last of an empty list")


@is_filter("unique")
def unique(meter: Meter, value: Any) -> list[Any]:
    """Each once, in the order of its first: `["a", "b", "a"] | unique`."""
    seen, kept = Bag(meter), []
    for item in listed(meter, value):
        if item not in seen:
            seen.add(item)
            kept.append(item)
    return meter.items(kept)


@is_filter("intersect", arguments=1)
def intersect(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is in both: `alert.attack | intersect(["T1110", "T1078"])`."""
    others = Bag(meter, listed(meter, other))
    return _kept(meter, value, lambda item: item in others)


@is_filter("difference", arguments=1)
def difference(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is not in the other: `vars.hosts | difference(lists.known)`."""
    others = Bag(meter, listed(meter, other))
    return _kept(meter, value, lambda item: item not in others)


def _kept(meter: Meter, value: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    return meter.items([item for item in listed(meter, value) if wanted(item)])


@is_filter("flatten")
def flatten(meter: Meter, value: Any) -> list[Any]:
    """Lists in lists as one list: `[[1], [2, [3]]] | flatten`."""
    flat: list[Any] = []

    def add(items: Any, depth: int) -> None:
        if depth > DATA_DEPTH:
            raise ExpressionError("lists are nested too deeply")
        for item in listed(meter, items):
            if isinstance(item, list | tuple):
                add(item, depth + 1)
            else:
                flat.append(item)

    add(value, 0)
    return meter.items(flat)


def _attribute(name: Any, *_: Any) -> None:
    """The name of a field, checked before anything runs."""
    if not isinstance(name, str) or not all(name.split(".")):
        raise ExpressionError('the name of a field is a text: "value", or with dots "user.name"')


@is_filter("sort", arguments=1, least=0, literals=1, check=lambda *names: _attribute(*names) if names else None)
def sort(meter: Meter, value: Any, attribute: str | None = None) -> list[Any]:
    """In order, smallest first, by a field where one is named: `alert.observables | sort("value")`."""
    items = listed(meter, value)

    def by_field(left: Any, right: Any) -> int:
        return order(meter, *((at(one, attribute) for one in (left, right)) if attribute else (left, right)))

    return meter.items(sorted(items, key=cmp_to_key(by_field)))


@is_filter("reverse")
def reverse(meter: Meter, value: Any) -> list[Any]:
    """In the other direction: `alert.attack | reverse`."""
    return meter.items(listed(meter, value)[::-1])


@is_filter("map", arguments=1, literals=ALL, check=_attribute)
def map_(meter: Meter, value: Any, attribute: str) -> list[Any]:
    """The field of each: `alert.observables | map("value")`; an item without it is left out."""
    found = [at(item, attribute) for item in listed(meter, value)]
    return meter.items([item for item in found if not is_absent(item)])


@is_filter("select", arguments=0, applies=0)
def select(meter: Meter, value: Any, test: str | None = None, *given: Any) -> list[Any]:
    """Those for which the test holds, or that are true: `lists.hosts | select("startswith", "web-")`."""
    return _kept(meter, value, lambda item: _holds(meter, item, test, given))


@is_filter("reject", arguments=0, applies=0)
def reject(meter: Meter, value: Any, test: str | None = None, *given: Any) -> list[Any]:
    """Those for which the test does not hold: `alert.attack | reject("equalto", "T1110")`."""
    return _kept(meter, value, lambda item: not _holds(meter, item, test, given))


@is_filter("selectattr", arguments=1, literals=1, check=_attribute, applies=1)
def selectattr(meter: Meter, value: Any, attribute: str, test: str | None = None, *given: Any) -> list[Any]:
    """Those whose field passes: `alert.observables | selectattr("type", "equalto", "ip")`."""
    return _kept(meter, value, lambda item: _holds(meter, at(item, attribute), test, given))


@is_filter("rejectattr", arguments=1, literals=1, check=_attribute, applies=1)
def rejectattr(meter: Meter, value: Any, attribute: str, test: str | None = None, *given: Any) -> list[Any]:
    """Those whose field does not pass: `alert.observables | rejectattr("type", "equalto", "ip")`."""
    return _kept(meter, value, lambda item: not _holds(meter, at(item, attribute), test, given))


def _holds(meter: Meter, item: Any, test: str | None, given: tuple[Any, ...]) -> bool:
    meter.step()
    tool = TESTS[test] if test else None
    if is_absent(item) and not (tool and tool.of_nothing):
        return False
    return truth(tool.function(meter, item, *given)) if tool else truth(item)


def at(item: Any, path: str) -> Any:
    """What a dotted path names inside an item whose shape nobody knows; a number in it is a place of a list."""
    for name in path.split("."):
        place = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else name
        item = field(item, place if isinstance(item, list | tuple) else name, path, known_shape=False)
    return item


@is_filter("json_path", arguments=1, literals=ALL, check=_attribute)
def json_path(meter: Meter, value: Any, path: str) -> Any:
    """What stands at a path of names and places: `alert.raw | json_path("dns.answers.0.rdata")`."""
    meter.step(path.count(".") + 1)
    return at(value, path)


@is_filter("of_type", arguments=1, literals=ALL, check=_attribute)
def of_type(meter: Meter, value: Any, kind: str) -> list[Any]:
    """The values of the observables of a type: `alert.observables | of_type("domain")`."""
    return meter.items([at(one, "value") for one in listed(meter, value) if equal(meter, at(one, "type"), kind)])


def _columns(names: Any) -> None:
    if not isinstance(names, list) or not names:
        raise ExpressionError('table takes the names of its columns: `| table(["type", "value"])`')
    for name in names:
        _attribute(name)


@is_filter("table", arguments=1, literals=ALL, check=_columns)
def table(meter: Meter, value: Any, columns: list[str]) -> str:
    """A table in text, one line an item: `alert.observables | table(["type", "value"])`."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    size = 0
    for item in listed(meter, value):
        meter.step(len(columns))
        lines.append(" | ".join(_cell(meter, at(item, name)) for name in columns))
        size += len(lines[-1])
        meter.room_for(size)
    return meter.text("\n".join(lines))


def _cell(meter: Meter, value: Any) -> str:
    """A value on one line; a bar in it would make another column."""
    text = "" if is_absent(value) else " ".join(text_of(value).split()).replace("|", "\\|")
    return meter.read(text)


@is_filter("keys")
def keys(meter: Meter, value: Any) -> list[Any]:
    """The names of the fields of an object: `alert.raw | keys`."""
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if not isinstance(value, Mapping):
        raise ExpressionError(f"{kind_of(value)} has no fields")
    meter.step(len(value))
    return meter.items(list(value))
