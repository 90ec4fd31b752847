"""Fixed limits of every evaluation, whoever wrote the expression, and the meter that holds it to them."""

from __future__ import annotations

from orchestrator.errors import LimitExceeded

SOURCE = 16_384
"""characters of an expression or template"""
NODES = 2_000
"""nodes of its syntax tree"""
DEPTH = 60
"""nesting of its syntax tree, and of the data that it walks over"""
STEPS = 200_000
"""steps of one evaluation: a turn of a loop, an item that a filter looks at, 64 characters that it reads"""
TEXT = 262_144
"""characters of one text"""
BUILT = 1_048_576
"""characters and items built in one evaluation, all together"""
NUMBER = 2**63
"""how far from zero a whole number may be"""


class Meter:
    """What one evaluation has used so far."""

    __slots__ = ("built", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.built = 0

    def step(self, count: int = 1) -> None:
        """Count steps; raises `LimitExceeded` past the limit."""
        self.steps += count
        if self.steps > STEPS:
            raise LimitExceeded(f"takes more than {STEPS} steps")

    def read(self, text: str) -> str:
        """Count the reading of a text."""
        self.step(1 + len(text) // 64)
        return text

    def text(self, text: str) -> str:
        """Count a text that was built."""
        if len(text) > TEXT:
            raise LimitExceeded(f"builds a text of more than {TEXT} characters")
        self._build(len(text))
        return text

    def items(self, items: list[object]) -> list[object]:
        """Count a list that was built."""
        self._build(len(items))
        return items

    def _build(self, size: int) -> None:
        self.built += size
        if self.built > BUILT:
            raise LimitExceeded(f"builds more than {BUILT} characters and items")


def number(value: float) -> float:
    """The number, if it is one that fits."""
    if isinstance(value, int) and not -NUMBER <= value < NUMBER:
        raise LimitExceeded("makes a number of more than 64 bits")
    return value
