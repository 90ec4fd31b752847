"""One evaluation: the names that it may read, whether absence is false or an error, and what it has used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.language.expressions.limits import Meter
from orchestrator.language.expressions.values import Absent, missing


class Frame:
    """What a closure is given. In a lenient frame (a condition) what is absent compares false, else it is an error."""

    __slots__ = ("_conditions", "lenient", "meter", "names")

    def __init__(self, names: Mapping[str, Any], *, lenient: bool, meter: Meter | None = None) -> None:
        self.names = names
        self.lenient = lenient
        self.meter = meter or Meter()
        self._conditions: Frame | None = self if lenient else None

    @property
    def conditions(self) -> Frame:
        """The same evaluation where a condition stands inside it."""
        if self._conditions is None:
            self._conditions = Frame(self.names, lenient=True, meter=self.meter)
        return self._conditions

    def inner(self, own: dict[str, Any]) -> Frame:
        """The same evaluation with these names: the body of a loop, which gives them new values from turn to turn."""
        return Frame(own, lenient=self.lenient, meter=self.meter)

    def absent(self, value: Any, what: str = "the value") -> Absent:
        """Nothing, because this value is: in a condition; elsewhere the error that says so."""
        if self.lenient:
            return value if isinstance(value, Absent) else Absent()
        raise missing(value, what)


Closure = Callable[[Frame], Any]
