"""Filters on lists: they always give lists, so that a condition on their result means what it says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key, lru_cache
from typing import Any

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.compare import Bag, order
from orchestrator.language.expressions.filters.given import Things, a_count, listed, there
from orchestrator.language.expressions.filters.registry import ALL, TESTS, is_filter
from orchestrator.language.expressions.kinds import ABSENT, ListOf, Type, list_of, union
from orchestrator.language.expressions.limits import DATA_DEPTH, Meter
from orchestrator.language.expressions.relations import equality, ordering
from orchestrator.language.expressions.signatures import Use
from orchestrator.language.expressions.values import Absent, field, is_absent, names_of, truth


def _places(use: Use) -> Type:
    """One item, which an empty list has not; with a number, a list of them."""
    return list_of(use.value.item) if use.arguments else use.value.item | ABSENT


def _same(use: Use) -> Type:
    return list_of(use.value.item)


def _checked_count(*counts: Any) -> None:
    for count in counts:
        a_count(count)


@is_filter("first", takes=Things, arguments=(int,), least=0, gives=_places, check=_checked_count)
def first(meter: Meter, value: Any, count: int | None = None) -> Any:
    """The first one, or the list of the first n: `alert.observables | first(3)`."""
    items = listed(meter, value)
    if count is None:
        return items[0] if items else Absent("the first of an empty list")
    return items[: a_count(count)]


@is_filter("last", takes=Things, arguments=(int,), least=0, gives=_places, check=_checked_count)
def last(meter: Meter, value: Any, count: int | None = None) -> Any:
    """The last one, or the list of the last n: `alert.attack | last`."""
    items = listed(meter, value)
    if count is None:
        return items[-1] if items else Absent("the last of an empty list")
    return items[max(0, len(items) - a_count(count)) :]


def _alike(use: Use) -> Type:
    """Items that can be compared with one another, and with those of another list."""
    use.told(equality(use.value.item, use.value.item), "an item of the list")
    for other in use.arguments:
        use.looked_for(use.value.item, other.item, "an item of the list")
    return list_of(use.value.item)


def _either(use: Use) -> Type:
    _alike(use)
    return list_of(union((use.value.item, use.arguments[0].item)))


@is_filter("unique", takes=Things, gives=_alike)
def unique(meter: Meter, value: Any) -> list[Any]:
    """Each once, in the order of its first: `["a", "b", "a"] | unique`."""
    return _once(meter, listed(meter, value))


def _once(meter: Meter, items: list[Any]) -> list[Any]:
    seen, kept = Bag(meter), []
    for item in items:
        if item not in seen:
            seen.add(item)
            kept.append(item)
    return meter.items(kept)


@is_filter("intersect", takes=Things, arguments=(Things,), gives=_alike)
def intersect(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is in both: `alert.attack | intersect(["T1110", "T1078"])`."""
    others = Bag(meter, listed(meter, other))
    return _kept(meter, value, lambda item: item in others)


@is_filter("difference", takes=Things, arguments=(Things,), gives=_alike)
def difference(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is not in the other: `vars.hosts | difference(lists.known)`."""
    others = Bag(meter, listed(meter, other))
    return _kept(meter, value, lambda item: item not in others)


@is_filter("union", takes=Things, arguments=(Things,), gives=_either)
def union_(meter: Meter, value: Any, other: Any) -> list[Any]:
    """What is in one of both, each once: `vars.hosts | union(lists.watched)`."""
    return _once(meter, [*listed(meter, value), *listed(meter, other)])


def _kept(meter: Meter, value: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    return meter.items([item for item in listed(meter, value) if wanted(item)])


def _flat(use: Use) -> Type:
    return list_of(union(_leaves(use.value.item)))


def _leaves(item: Type) -> list[Type]:
    found = []
    for kind in item.kinds:
        found += _leaves(kind.item) if isinstance(kind, ListOf) else [Type((kind,))]
    return found


@is_filter("flatten", takes=Things, gives=_flat)
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


def field_name(name: Any, *_: Any) -> None:
    """Raise where this is not the name of a field; asked before anything runs."""
    if not isinstance(name, str) or not all(name.split(".")):
        raise ExpressionError('the name of a field is a text: "value", or with dots "user.name"')


def optional_name(*names: Any) -> None:
    """The same where the name may be left out."""
    for name in names:
        field_name(name)


def named_or_item(use: Use) -> Type:
    """The type of the field that is named, or of the items themselves."""
    return use.item_at(use.literals[0]) if use.literals else use.value.item


def _sorted(use: Use) -> Type:
    by = named_or_item(use)
    use.told(ordering("lteq", by, by), "an item of the list")
    return list_of(use.value.item)


@is_filter("sort", takes=Things, arguments=(str,), least=0, gives=_sorted, literals=1, check=optional_name)
def sort(meter: Meter, value: Any, attribute: str | None = None) -> list[Any]:
    """In order, smallest first, by a field where one is named, those without at the end: `x | sort("value")`."""
    items: list[tuple[Any, Any]] = [(at(one, attribute) if attribute else one, one) for one in listed(meter, value)]
    there = [pair for pair in items if not is_absent(pair[0])]

    def by_key(left: tuple[Any, Any], right: tuple[Any, Any]) -> int:
        return order(meter, left[0], right[0])

    there.sort(key=cmp_to_key(by_key))
    return meter.items([one for _, one in there] + [one for key, one in items if is_absent(key)])


@is_filter("reverse", takes=Things, gives=_same)
def reverse(meter: Meter, value: Any) -> list[Any]:
    """In the other direction: `alert.attack | reverse`."""
    return meter.items(listed(meter, value)[::-1])


def _mapped(use: Use) -> Type:
    return list_of(use.item_at(use.literals[0]).there)


@is_filter("map", takes=Things, arguments=(str,), gives=_mapped, literals=ALL, check=field_name)
def map_(meter: Meter, value: Any, attribute: str) -> list[Any]:
    """The field of each: `alert.observables | map("value")`; an item without it is left out."""
    found = [at(item, attribute) for item in listed(meter, value)]
    return meter.items([item for item in found if not is_absent(item)])


OF_ABSENCE = frozenset({"none", "undefined"})
"""tests that hold of what is absent"""


def _selected(use: Use) -> Type:
    return _left(_tested(use), absent=_named(use.literals) in OF_ABSENCE)


def _rejected(use: Use) -> Type:
    return _left(_tested(use), absent=_named(use.literals) not in OF_ABSENCE)


def _selected_by_field(use: Use) -> Type:
    return _left(_field_tested(use), absent=_named(use.literals[1:]) in OF_ABSENCE)


def _rejected_by_field(use: Use) -> Type:
    return _left(_field_tested(use), absent=_named(use.literals[1:]) not in OF_ABSENCE)


def _named(literals: tuple[Any, ...]) -> str:
    """The test that is applied; none where the truth of a value decides."""
    return str(literals[0]) if literals else ""


def _left(item: Type, *, absent: bool) -> Type:
    """The list that is left: of an absent item no test holds but those that ask for absence."""
    return list_of(item if absent else item.there)


def _tested(use: Use) -> Type:
    if use.literals:
        use.applied(0, use.value.item)
    return use.value.item


def _field_tested(use: Use) -> Type:
    field = use.item_at(use.literals[0])
    if len(use.literals) > 1:
        use.applied(1, field)
    return use.value.item


@is_filter("select", takes=Things, gives=_selected, applies=0)
def select(meter: Meter, value: Any, test: str | None = None, *given: Any) -> list[Any]:
    """Those for which the test holds, or that are true: `lists.hosts | select("startswith", "web-")`."""
    return _kept(meter, value, lambda item: _holds(meter, item, test, given))


@is_filter("reject", takes=Things, gives=_rejected, applies=0)
def reject(meter: Meter, value: Any, test: str | None = None, *given: Any) -> list[Any]:
    """Those for which the test does not hold: `alert.attack | reject("equalto", "T1110")`."""
    return _kept(meter, value, lambda item: not _holds(meter, item, test, given))


@is_filter(
    "selectattr", takes=Things, arguments=(str,), gives=_selected_by_field, literals=1, check=field_name, applies=1
)  # fmt: skip
def selectattr(meter: Meter, value: Any, attribute: str, test: str | None = None, *given: Any) -> list[Any]:
    """Those whose field passes: `alert.observables | selectattr("type", "equalto", "ip")`."""
    return _kept(meter, value, lambda item: _holds(meter, at(item, attribute), test, given))


@is_filter(
    "rejectattr", takes=Things, arguments=(str,), gives=_rejected_by_field, literals=1, check=field_name, applies=1
)  # fmt: skip
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
    for name, place in _steps_of(path):
        if name in names_of(type(item)):
            item = getattr(item, name)
        else:
            item = field(item, place if isinstance(item, list | tuple) else name, path, known_shape=False)
    return item


@lru_cache(maxsize=1_024)
def _steps_of(path: str) -> tuple[tuple[str, int | str], ...]:
    """The names of a path, each as it is read of an object and of a list."""
    names = path.split(".")
    return tuple((name, int(name) if name.isascii() and name.isdigit() and len(name) < 10 else name) for name in names)


def _ordered_item(use: Use) -> Type:
    use.told(ordering("lteq", use.value.item, use.value.item), "an item of the list")
    return use.value.item.there | ABSENT


@is_filter("min", takes=Things, gives=_ordered_item)
def min_(meter: Meter, value: Any) -> Any:
    """The smallest: `steps.looks.output | map("score") | min`; nothing of an empty list."""
    return _extreme(meter, value, -1)


@is_filter("max", takes=Things, gives=_ordered_item)
def max_(meter: Meter, value: Any) -> Any:
    """The largest: `joined | map("severity") | max`; nothing of an empty list."""
    return _extreme(meter, value, 1)


def _extreme(meter: Meter, value: Any, direction: int) -> Any:
    best: Any = Absent("the extreme of an empty list")
    for item in there(meter, value):
        if is_absent(best) or order(meter, item, best) == direction:
            best = item
    return best
