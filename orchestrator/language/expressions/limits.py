"""Fixed limits of every evaluation, whoever wrote the expression, and the meter that holds it to them.

Everything is counted, nothing is timed: the same expression over the same values ends at the same place everywhere.
"""

from __future__ import annotations

import math

from orchestrator.errors import LimitExceeded

SOURCE = 16_384
"""characters of an expression or template"""
NODES = 2_000
"""nodes of its syntax tree"""
DEPTH = 60
"""nesting of its syntax tree"""
DATA_DEPTH = 100
"""nesting of the values that it walks over; an alert's original is at most 64 deep"""
STEPS = 200_000
"""steps of one evaluation: a node in a turn of a loop, an item that a filter looks at, 64 characters that it reads"""
TEXT = 262_144
"""characters of one text"""
BUILT = 1_048_576
"""characters and items built in one evaluation, all together; also the size of a value that leaves it"""
NUMBER = 2**63
"""how far from zero a whole number may be"""
PATTERN_COST = 8
"""a pattern's search costs this many times the reading of its text, and each thing that it finds as many steps"""


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

    def read(self, text: str, times: int = 1) -> str:
        """Count the reading of a text."""
        self.step(1 + times * (len(text) // 64))
        return text

    def room_for(self, size: int) -> None:
        """Raise `LimitExceeded` before a text of this many characters is built, where it would be too long."""
        if size > TEXT:
            raise LimitExceeded(f"builds a text of more than {TEXT} characters")

    def text(self, text: str) -> str:
        """Count a text that was built."""
        self.room_for(len(text))
        self._build(len(text))
        return text

    def texts(self, texts: list[str]) -> list[str]:
        """Count texts that were built and stand beside one another."""
        size = sum(map(len, texts))
        self.built += size
        if size > TEXT or self.built > BUILT:
            self.room_for(size)
            self._build(0)
        return texts

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
    if isinstance(value, int):
        if not -NUMBER <= value < NUMBER:
            raise LimitExceeded("makes a number of more than 64 bits")
    elif not math.isfinite(value):
        raise LimitExceeded("makes a number that is too large, or none at all")
    return value
