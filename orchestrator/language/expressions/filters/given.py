"""What a filter or test is given: of the kind that it expects, and counted. There are no conversions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.expressions.limits import Meter
from orchestrator.language.expressions.values import is_absent, kind_of

Number = int | float
Things = list[Any]


def listed(meter: Meter, value: Any) -> list[Any]:
    """The value as a list that was counted; raises where it is none."""
    if not isinstance(value, list | tuple):
        raise WrongType(f"expected a list, found {kind_of(value)}")
    meter.step(len(value))
    return list(value)


def there(meter: Meter, value: Any) -> list[Any]:
    """The items of a list that was counted, without those that are absent."""
    return [item for item in listed(meter, value) if not is_absent(item)]


def text(meter: Meter, value: Any, times: int = 1) -> str:
    """The value as text whose reading (so many times) was counted; raises where it is none."""
    if not isinstance(value, str):
        raise WrongType(f"expected text, found {kind_of(value)}")
    return meter.read(str(value), times)


def a_number(value: Any) -> float:
    """The value as a number; raises where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(f"expected a number, found {kind_of(value)}")
    return value


def a_count(value: Any, least: int = 0, most: int | None = None) -> int:
    """The value as a whole number between two bounds; raises where it is none."""
    bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"expected a whole number {bounds}, found {kind_of(value)}")
    if value < least or (most is not None and value > most):
        raise ExpressionError(f"expected a whole number {bounds}")
    return value


def a_time(value: Any) -> datetime:
    """The value as a time; raises where it is none."""
    if not isinstance(value, datetime):
        raise WrongType(f"expected a time, found {kind_of(value)}")
    return value
