"""How values compare: typed and without conversions, every look counted."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from orchestrator.contract.values import IpAddress, Network, NormalisedText, Severity
from orchestrator.errors import ExpressionError, LimitExceeded, WrongType
from orchestrator.language.expressions.limits import DATA_DEPTH, Meter
from orchestrator.language.expressions.values import is_absent, kind_of


def equal(meter: Meter, left: Any, right: Any, depth: int = 0) -> bool:
    """Equality without conversions: typed text compares in its one spelling, "10" is not 10."""
    meter.step()
    if type(left) is str and type(right) is str:  # what most are; the rest of this function comes to the same
        meter.step(min(len(left), len(right)) // 64)
        return left == right
    if isinstance(left, Severity) or isinstance(right, Severity):
        return _severity(left) == _severity(right)
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and _same_text(meter, left, right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, datetime) and isinstance(right, datetime):
        return in_utc(left) == in_utc(right)
    return _same_shape(meter, left, right, depth + 1)


def _same_shape(meter: Meter, left: Any, right: Any, depth: int) -> bool:
    if depth > DATA_DEPTH:
        raise LimitExceeded(f"compares values that are nested more than {DATA_DEPTH} deep")
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(
            equal(meter, a, b, depth) for a, b in zip(left, right, strict=True)
        )  # fmt: skip
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        meter.step(len(left))
        return left.keys() == right.keys() and all(equal(meter, left[name], right[name], depth) for name in left)
    if isinstance(left, BaseModel) and type(left) is type(right):
        names = type(left).model_fields
        return all(equal(meter, getattr(left, name), getattr(right, name), depth) for name in names)
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return left == right
    return is_absent(left) and is_absent(right)


def _same_text(meter: Meter, left: str, right: str) -> bool:
    meter.step(min(len(left), len(right)) // 64)
    kind = _kind(left, right)
    if kind is None:
        return str(left) == str(right)
    try:
        return str(kind.parse(left)) == str(kind.parse(right))
    except ValueError:
        return False


def _kind(left: str, right: str) -> type[NormalisedText] | None:
    """The type that decides how two texts compare: that of the typed one; a plain text is read as that type."""
    for side in (left, right):
        if isinstance(side, NormalisedText):
            return type(side)
    return None


_RANKS = {severity: severity.rank for severity in Severity}


def _severity(value: Any) -> int:
    """The rank of a severity, or of a text that names one."""
    if isinstance(value, Severity):
        return _RANKS[value]
    if isinstance(value, str):
        return _rank_of(value[:60])
    raise WrongType(f"a severity cannot be compared with {kind_of(value)}")


@lru_cache(maxsize=256)
def _rank_of(word: str) -> int:
    try:
        return _RANKS[Severity.parse(word)]
    except ValueError as error:
        raise WrongType(str(error)) from None


def order(meter: Meter, left: Any, right: Any) -> int:
    """-1, 0 or 1 for what has an order: numbers, texts, severities, addresses, times, durations; raises for others."""
    meter.step()
    a, b = _sortable(meter, left, right)
    return int(a > b) - int(a < b)


def _sortable(meter: Meter, left: Any, right: Any) -> tuple[Any, Any]:
    if isinstance(left, Severity) or isinstance(right, Severity):
        return _severity(left), _severity(right)
    if isinstance(left, str) and isinstance(right, str):
        return _sortable_texts(meter, left, right)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return in_utc(left), in_utc(right)
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return left, right
    if _is_number(left) and _is_number(right):
        return left, right
    raise WrongType(f"{kind_of(left)} and {kind_of(right)} have no order", hint="there are no conversions")


def _sortable_texts(meter: Meter, left: str, right: str) -> tuple[Any, Any]:
    meter.step(min(len(left), len(right)) // 64)
    kind = _kind(left, right)
    if kind is None:
        return str(left), str(right)
    try:
        a, b = kind.parse(left), kind.parse(right)
    except ValueError:
        raise WrongType(f"{kind.kind} and a text that is none have no order") from None
    if issubclass(kind, IpAddress | Network):  # by the alphabet 9.0.0.0 would come after 10.0.0.0
        return _address_order(a), _address_order(b)
    return str(a), str(b)


def _address_order(text: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(str(text), strict=False)
    return network.version, int(network.network_address), network.prefixlen


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - not NaN


def in_utc(moment: datetime) -> datetime:
    """A time that names no zone is UTC, as everywhere in the language."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # within a day of the first or the last year
        raise ExpressionError("a time outside the years 1 to 9999") from None


def since(later: datetime, earlier: datetime) -> timedelta:
    """The time between two times."""
    return in_utc(later) - in_utc(earlier)


def contains(meter: Meter, container: Any, item: Any) -> bool:
    """`in`: an item of a list, a part of a text, a field of an object."""
    if isinstance(container, str) and isinstance(item, str):
        meter.read(container)
        return folded(container, item) in str(container)
    if isinstance(container, list | tuple):
        return any(equal(meter, one, item) for one in container if not is_absent(one))
    if isinstance(container, Mapping) and isinstance(item, str):
        return item in container
    raise WrongType(f"{kind_of(item)} cannot be in {kind_of(container)}")


def folded(whole: str, part: str) -> str:
    """A part as it would be spelt in the whole: typed texts are kept in small letters."""
    return part.lower() if isinstance(whole, NormalisedText) else str(part)


class Bag:
    """Items to look among quickly. Plain texts and numbers are found by key, typed values by comparing."""

    def __init__(self, meter: Meter, items: Any = ()) -> None:
        self._meter = meter
        self._keys: set[tuple[str, Any]] = set()
        self._all: list[Any] = []
        self._typed: list[Any] = []
        for item in items:
            self.add(item)

    def add(self, item: Any) -> None:
        """Put it in."""
        key = _key(item)
        self._all.append(item)
        if key is None:
            self._typed.append(item)
        else:
            self._keys.add(key)

    def __contains__(self, item: Any) -> bool:
        key = _key(item)
        if key is not None and key in self._keys:
            return True
        others = self._all if key is None else self._typed
        return any(equal(self._meter, item, one) for one in others)


def _key(item: Any) -> tuple[str, Any] | None:
    """What two plain values share exactly if they are equal; None for values that compare by their type."""
    if isinstance(item, bool):
        return "truth", item
    if isinstance(item, str) and not isinstance(item, NormalisedText):
        return "text", str(item)
    return ("number", item) if _is_number(item) else None
