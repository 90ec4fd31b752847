"""Filters on numbers, and the tests that any value can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from orchestrator.contract.values import Severity
from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.compare import contains, equal, order
from orchestrator.language.expressions.filters.given import Number, a_count, a_number, text
from orchestrator.language.expressions.filters.registry import is_filter, is_test
from orchestrator.language.expressions.kinds import NUMBER, TRUTH, Type, as_type, is_of
from orchestrator.language.expressions.limits import Meter, number
from orchestrator.language.expressions.relations import equality, membership, ordering
from orchestrator.language.expressions.signatures import Use
from orchestrator.language.expressions.values import is_absent

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?")


def _digits(*given: Any) -> None:
    for digits in given:
        a_count(digits, most=15)


def _rounded(use: Use) -> Type:
    """Whole where no digits after the point are asked for."""
    return as_type(int) if use.literals in ((), (0,)) else NUMBER


@is_filter("round", takes=Number, arguments=(int,), least=0, gives=_rounded, check=_digits)
def round_(meter: Meter, value: Any, digits: int = 0) -> float:
    """To so many digits after the point: `3.14159 | round(2)`."""
    places = a_count(digits, most=15)
    rounded = round(number(a_number(value)), places)
    return number(int(rounded) if places == 0 else rounded)


def _unsigned(use: Use) -> Type:
    return as_type(int) if all(is_of(kind, int) for kind in use.value.kinds) else NUMBER


@is_filter("abs", takes=Number, gives=_unsigned)
def abs_(meter: Meter, value: Any) -> float:
    """Without its sign: `-3 | abs`."""
    return number(abs(a_number(value)))


@is_filter("int", takes=int | str, gives=int)
def int_(meter: Meter, value: Any) -> int:
    """A text of digits as a number, said on purpose: `alert.raw.count | int`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = text(meter, value).strip()
    if not _WHOLE.fullmatch(digits):
        raise ExpressionError("not a whole number")
    return int(number(int(digits)))


@is_filter("float", takes=Number | str, gives=float)
def float_(meter: Meter, value: Any) -> float:
    """A text like `3.14` as a number, said on purpose: `alert.raw.score | float`."""
    if not isinstance(value, str):
        return float(number(a_number(value)))
    digits = text(meter, value).strip()
    if not _DECIMAL.fullmatch(digits):
        raise ExpressionError("not a number")
    return float(digits)


@is_filter("severity", takes=Severity | str, gives=Severity)
def severity(meter: Meter, value: Any) -> Severity:
    """A text as a severity, said on purpose: `alert.raw.level | severity`."""
    if isinstance(value, Severity):
        return value
    try:
        return Severity.parse(text(meter, value)[:60])
    except ValueError as error:
        raise ExpressionError(str(error)) from None


@is_test("none", takes=Any, of_nothing=True)
def none(meter: Meter, value: Any) -> bool:
    """Whether there is no value: `alert.user is none`."""
    return is_absent(value)


@is_test("defined", takes=Any, of_nothing=True)
def defined(meter: Meter, value: Any) -> bool:
    """Whether there is a value: `alert.raw.dns is defined`."""
    return not is_absent(value)


@is_test("undefined", takes=Any, of_nothing=True)
def undefined(meter: Meter, value: Any) -> bool:
    """Whether there is no value: `alert.raw.dns is undefined`."""
    return is_absent(value)


def _equal(use: Use) -> Type:
    use.told(equality(use.value, use.arguments[0]), "it")
    return TRUTH


def _member(use: Use) -> Type:
    items = use.arguments[0].item
    if items.kinds and not use.arguments[0].unknown:
        use.looked_for(use.value, items, "it")
    else:
        use.told(membership(use.value, use.arguments[0]), "it")
    return TRUTH


@is_test("equalto", takes=Any, arguments=(Any,), rule=_equal)
def equalto(meter: Meter, value: Any, other: Any) -> bool:
    """Equality as `==` has it: `alert.observables | selectattr("type", "equalto", "ip")`."""
    return equal(meter, value, other)


def _order(op: str, name: str, example: str, holds: Callable[[int], bool]) -> None:
    def rule(use: Use) -> Type:
        use.told(ordering(op, use.value, use.arguments[0]), "it")
        return TRUTH

    @is_test(name, takes=Any, arguments=(Any,), rule=rule)
    def compare(meter: Meter, value: Any, other: Any) -> bool:
        """Replaced below."""
        return holds(order(meter, value, other))

    compare.__doc__ = f'Order as `{example}` has it: `steps.looks.output.collect | selectattr("score", "{name}", 50)`.'


_order("lt", "lt", "<", lambda order: order < 0)
_order("lteq", "le", "<=", lambda order: order <= 0)
_order("gt", "gt", ">", lambda order: order > 0)
_order("gteq", "ge", ">=", lambda order: order >= 0)


@is_test("in", takes=Any, arguments=(Any,), rule=_member)
def in_(meter: Meter, value: Any, container: Any) -> bool:
    """Whether it is in a list: `alert.observables | selectattr("type", "in", ["ip", "domain"])`."""
    return contains(meter, container, value)


@is_test("number", takes=Any)
def isa_number(meter: Meter, value: Any) -> bool:
    """Whether it is a number: `alert.raw.count is number`."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@is_test("text", takes=Any)
def is_text(meter: Meter, value: Any) -> bool:
    """Whether it is text: `alert.raw.message_id is text`."""
    return isinstance(value, str)


@is_test("list", takes=Any)
def is_list(meter: Meter, value: Any) -> bool:
    """Whether it is a list: `alert.raw.answers is list`."""
    return isinstance(value, list | tuple)
