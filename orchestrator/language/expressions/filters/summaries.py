"""Filters that sum up a list or look into objects: counting, adding, columns, the observables of a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.expressions.compare import equal
from orchestrator.language.expressions.filters.given import Number, Things, a_number, listed, there
from orchestrator.language.expressions.filters.lists import at, field_name, named_or_item, optional_name
from orchestrator.language.expressions.filters.registry import ALL, is_filter
from orchestrator.language.expressions.kinds import (
    LOOSE,
    NUMBER,
    TEXT,
    MapOf,
    Model,
    Record,
    Type,
    as_type,
    constant,
    fields_of,
    is_of,
    list_of,
    union,
)
from orchestrator.language.expressions.limits import Meter, number
from orchestrator.language.expressions.relations import equality
from orchestrator.language.expressions.signatures import Use, reached
from orchestrator.language.expressions.values import Absent, is_absent, kind_of, text_of


@is_filter("length", takes=str | Things | dict[str, Any], gives=int)
def length(meter: Meter, value: Any) -> int:
    """How many: `alert.observables | length`."""
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise WrongType(f"{kind_of(value)} has no length")


def _added(use: Use) -> Type:
    whole = all(is_of(kind, int) for kind in use.value.item.kinds)
    return as_type(int) if whole else NUMBER


@is_filter("sum", takes=list[Number], gives=_added)
def sum_(meter: Meter, value: Any) -> float:
    """All numbers added, 0 of an empty list: `steps.looks.output | map("score") | sum`."""
    total: float = 0
    for item in there(meter, value):
        total = number(total + number(a_number(item)))
    return total


@is_filter("average", takes=list[Number], gives=float | None)
def average(meter: Meter, value: Any) -> Any:
    """The mean of the numbers, nothing of an empty list: `steps.looks.output | map("score") | average`."""
    items = there(meter, value)
    return float(sum_(meter, items)) / len(items) if items else Absent("the average of an empty list")


def _counted(use: Use) -> Type:
    by = named_or_item(use).there
    use.told(equality(by, by), "an item of the list")
    return list_of(as_type({"value": by, "count": int}))


@is_filter("counts", takes=Things, arguments=(str,), least=0, gives=_counted, literals=1, check=optional_name)
def counts(meter: Meter, value: Any, attribute: str | None = None) -> list[Any]:
    """How often each is there, most frequent first, as {value, count}: `alert.observables | counts("type")`."""
    found: list[tuple[Any, list[Any]]] = []
    for item in listed(meter, value):
        key = at(item, attribute) if attribute else item
        same = next((items for one, items in found if equal(meter, one, key)), None)
        if same is not None:
            same.append(item)
        elif not is_absent(key):
            found.append((key, [item]))
    ranked = sorted(found, key=lambda one: -len(one[1]))
    return meter.items([{"value": key, "count": len(items)} for key, items in ranked])


def _at_path(use: Use) -> Type:
    return reached(use.value, use.literals[0], use.say)


@is_filter("json_path", takes=Any, arguments=(str,), gives=_at_path, literals=ALL, check=field_name)
def json_path(meter: Meter, value: Any, path: str) -> Any:
    """What stands at a path of names and places: `alert.raw | json_path("dns.answers.0.rdata")`."""
    meter.step(path.count(".") + 1)
    return at(value, path)


def _of_this_type(use: Use) -> Type:
    use.told(equality(use.item_at("type"), constant(use.literals[0])), "the type of an observable")
    return list_of(use.item_at("value").there)


@is_filter("of_type", takes=Things, arguments=(str,), gives=_of_this_type, literals=ALL, check=field_name)
def of_type(meter: Meter, value: Any, kind: str) -> list[Any]:
    """The values of the observables of a type: `alert.observables | of_type("domain")`."""
    found = [at(one, "value") for one in listed(meter, value) if equal(meter, at(one, "type"), kind)]
    return meter.items([one for one in found if not is_absent(one)])


def _columns(names: Any) -> None:
    if not isinstance(names, list) or not names:
        raise ExpressionError('table takes the names of its columns: `| table(["type", "value"])`')
    for name in names:
        field_name(name)


def _tabled(use: Use) -> Type:
    for name in use.literals[0]:
        use.item_at(name)
    return TEXT


@is_filter("table", takes=Things, arguments=(list[str],), gives=_tabled, literals=ALL, check=_columns)
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


@is_filter("keys", takes=dict[str, Any] | BaseModel, gives=list[str])
def keys(meter: Meter, value: Any) -> list[Any]:
    """The names of the fields of an object: `alert.raw | keys`."""
    return meter.items(list(_fields(meter, value)))


def _inside(use: Use) -> Type:
    """The type of any value of an object."""
    return union(_values(kind) for kind in use.value.kinds)


def _values(kind: Any) -> Type:
    if isinstance(kind, MapOf):
        return kind.value.there
    fields = fields_of(kind.cls) if isinstance(kind, Model) else kind.fields if isinstance(kind, Record) else None
    return LOOSE if fields is None else union(as_type(one).there for one in fields.values())


def _entries(use: Use) -> Type:
    return list_of(as_type({"name": str, "value": _inside(use)}))


@is_filter("values", takes=dict[str, Any] | BaseModel, gives=lambda use: list_of(_inside(use)))
def values(meter: Meter, value: Any) -> list[Any]:
    """The values of an object, those that are there: `alert.raw.headers | values`."""
    return meter.items([one for one in _fields(meter, value).values() if not is_absent(one)])


@is_filter("entries", takes=dict[str, Any] | BaseModel, gives=_entries)
def entries(meter: Meter, value: Any) -> list[Any]:
    """The fields of an object that are there, as {name, value}, for a loop: `alert.raw.headers | entries`."""
    there = [(name, one) for name, one in _fields(meter, value).items() if not is_absent(one)]
    return meter.items([{"name": name, "value": one} for name, one in there])


def _fields(meter: Meter, value: Any) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if not isinstance(value, Mapping):
        raise WrongType(f"{kind_of(value)} has no fields")
    meter.step(len(value))
    return dict(value)
