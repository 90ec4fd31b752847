"""Cards with their size: rows of wrapped text in a box."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.language.drawing.picture import Card, Fact, Kind, Tone
from orchestrator.language.drawing.shapes import Area, Box, Form, Row
from orchestrator.language.drawing.text import width, wrap

SIZES = {Tone.TITLE: 13.5, Tone.CODE: 11.5, Tone.PLAIN: 12.0, Tone.QUIET: 11.5, Tone.PEOPLE: 12.0, Tone.WARN: 11.5}
HEIGHTS = {Tone.TITLE: 18.0, Tone.CODE: 15.5, Tone.PLAIN: 16.0, Tone.QUIET: 15.5, Tone.PEOPLE: 16.0, Tone.WARN: 15.5}
MOST = {Tone.TITLE: 2, Tone.CODE: 5, Tone.PLAIN: 4, Tone.QUIET: 2, Tone.PEOPLE: 2, Tone.WARN: 2}
CARD = 272.0
"""the width of a card"""
CHIP = 330.0
"""the widest that a condition may be"""
ICON = 38.0
"""room for the icon at the left of a card"""
PAD = 10.0
ENDS = (Kind.SUCCESS, Kind.FAILURE, Kind.START)


def card_area(card: Card, *, ends: bool = False) -> Area:
    """A card as an area of its own."""
    rows = tuple(_rows(card.facts, ICON, CARD - ICON - PAD))
    height = _height(rows) + 2 * PAD
    form = Form.PILL if card.kind in ENDS else Form.CARD
    box = Box(form, 0, 0, CARD, max(height, 40.0), _downwards(rows, PAD), card)
    return Area(CARD, box.height, CARD / 2, (box,), ends=ends)


def chip_box(card: Card) -> Box:
    """A condition, as wide as it needs: around x = 0."""
    room = CHIP - 4 * PAD
    rows = tuple(_rows(card.facts, 0, room))
    widest = max(_width(row) for row in rows)
    wide = max(widest + 4 * PAD, 90.0)
    placed = tuple(Row(row.text, row.tone, wide / 2, row.y, centred=True) for row in _downwards(rows, 8.0))
    return Box(Form.CHIP, -wide / 2, 0, wide, _height(rows) + 16.0, placed, card)


def header_rows(card: Card, room: float) -> tuple[tuple[Row, ...], float]:
    """The rows at the top of a frame, and their height."""
    rows = tuple(_rows(card.facts, ICON, room))
    return _downwards(rows, PAD), _height(rows) + PAD + 4


def label_box(text: str, tone: Tone = Tone.QUIET) -> Box:
    """A word on a wire, around x = 0."""
    shown = wrap(text, 150, SIZES[tone], most=2)
    wide = max(width(line, SIZES[tone]) for line in shown) + 14
    rows = tuple(Row(line, tone, wide / 2, 0, centred=True) for line in shown)
    return Box(Form.LABEL, -wide / 2, 0, wide, _height(rows) + 5, _downwards(rows, 2.0))


def _rows(facts: tuple[Fact, ...], left: float, room: float) -> Iterator[Row]:
    for fact in facts:
        code = fact.tone is Tone.CODE
        for line in wrap(fact.text, room, SIZES[fact.tone], code=code, most=MOST[fact.tone]):
            yield Row(line, fact.tone, left, 0)


def _height(rows: tuple[Row, ...]) -> float:
    return sum(HEIGHTS[row.tone] for row in rows)


def _downwards(rows: tuple[Row, ...], top: float) -> tuple[Row, ...]:
    """Each below the one before; `y` is the base line."""
    placed, y = [], top
    for row in rows:
        y += HEIGHTS[row.tone]
        placed.append(Row(row.text, row.tone, row.x, y - 4.5, row.centred))
    return tuple(placed)


def _width(row: Row) -> float:
    return width(row.text, SIZES[row.tone], code=row.tone is Tone.CODE)
