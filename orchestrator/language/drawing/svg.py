"""A laid out picture as SVG: one file, no fonts, scripts or links; readable on light and on dark."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from orchestrator.language.drawing.covering import covering_wires
from orchestrator.language.drawing.layout import failure_area, picture_area
from orchestrator.language.drawing.picture import Kind, Picture
from orchestrator.language.drawing.shapes import Area, Box, Form, Row, Style, Wire
from orchestrator.language.drawing.style import SIGNS, sheet
from orchestrator.language.drawing.text import harmless, width, wrap

MARGIN = 28.0
LEAST = 560.0
"""the narrowest drawing: room for the title"""


def svg_text(picture: Picture) -> str:
    """The drawing; the same picture gives the same bytes."""
    main, failure = picture_area(picture), failure_area(picture)
    wide = max(LEAST, main.width + 2 * MARGIN, (failure.width + 2 * MARGIN + 36) if failure else 0)
    head, y = _head(picture, wide)
    parts = [*head]
    main = main.moved((wide - main.width) / 2, y)
    parts += _area(main)
    y += main.height + MARGIN
    if failure is not None:
        drawn, height = _failure(failure, wide, y)
        parts += drawn
        y += height + MARGIN
    return "\n".join([*_opening(picture, wide, y), *parts, "</svg>"]) + "\n"


def _opening(picture: Picture, wide: float, high: float) -> Iterator[str]:
    size = f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(harmless(picture.title))}>'
    yield f"<title>{escape(harmless(picture.title))}</title>"
    yield f"<style>{sheet()}</style>"
    yield "<defs>"
    for style in (Style.FLOW, Style.LOOP, Style.FAIL, Style.COVERS):
        yield (
            f'<marker id="{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path class="{style}-end" d="M0 0 L8 4 L0 8 Z"/></marker>'
        )
    yield "</defs>"
    yield f'<rect class="paper" x=".5" y=".5" width="{wide - 1:.0f}" height="{high - 1:.0f}" rx="10"/>'


def _head(picture: Picture, wide: float) -> tuple[list[str], float]:
    """Title, reason and marks; and where what follows begins."""
    parts, y, room = [], 42.0, wide - 2 * MARGIN
    for line in wrap(picture.title, room, 19, most=2):
        parts.append(_text(line, MARGIN, y, "name"))
        y += 24
    for line in wrap(picture.why, room, 12.5, most=5) if picture.why else ():
        parts.append(_text(line, MARGIN, y, "why"))
        y += 17
    x = MARGIN
    for mark in (picture.name, *picture.marks):
        shown = wrap(mark, room, 11, most=1)[0]
        size = width(shown, 11) + 16
        if x > MARGIN and x + size > wide - MARGIN:
            x, y = MARGIN, y + 24
        parts.append(f'<rect class="pill-mark" x="{x:.1f}" y="{y - 8:.1f}" width="{size:.1f}" height="19" rx="9.5"/>')
        parts.append(_text(shown, x + size / 2, y + 5.5, "mark mid"))
        x += size + 8
    return parts, y + 36


def _failure(area: Area, wide: float, y: float) -> tuple[list[str], float]:
    """What is done when the run failed, in a frame of its own at the bottom."""
    size, left = area.width + 36, (wide - area.width - 36) / 2
    high = area.height + 60
    place = f'x="{left:.1f}" y="{y:.1f}" width="{size:.1f}" height="{high:.1f}"'
    words = _sign(Kind.FAILURE, left + 14, y + 12) + _text("if the run fails", left + 42, y + 26, "title")
    frame = f'<g class="frame failure"><rect class="body" {place} rx="12"/>{words}</g>'
    return [frame, *_area(area.moved(left + 18, y + 42))], high


def _area(area: Area) -> Iterator[str]:
    """Frames first, then wires, then what stands on them."""
    yield from (_box(box) for box in area.boxes if box.form is Form.FRAME)
    yield from (_wire(wire) for wire in covering_wires(area))
    yield from (_wire(wire) for wire in area.wires)
    yield from (_box(box) for box in area.boxes if box.form is not Form.FRAME)


def _wire(wire: Wire) -> str:
    points = " L".join(f"{x:.1f} {y:.1f}" for x, y in wire.points)
    marker = Style.FLOW if wire.style is Style.PAST else wire.style
    end = f' marker-end="url(#{marker})"' if wire.arrow else ""
    return f'<path class="wire {wire.style}" d="M{points}"{end}/>'


def _box(box: Box) -> str:
    kind = box.card.kind.value if box.card else ""
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    rows = "".join(_row(box, row) for row in box.rows)
    hint = f"<title>{escape(_whole(box))}</title>" if box.card else ""
    if box.form is Form.BAR:
        return f'<rect class="bar" {place} rx="3"/>'
    if box.form is Form.LABEL:
        return f'<g><rect class="back" {place} rx="6"/>{rows}</g>'
    if box.form is Form.CHIP:
        return f'<g class="chip {kind}">{hint}<path class="body" d="{_hexagon(box)}"/>{rows}</g>'
    if box.form is Form.FRAME:
        body = f'<rect class="body" {place} rx="12"/>'
        return f'<g class="frame {kind}">{hint}{body}{_sign(_kind(box), box.x + 13, box.y + 10)}{rows}</g>'
    return f'<g class="card {kind}">{hint}{_card(box, place)}{rows}</g>'


def _card(box: Box, place: str) -> str:
    """The outline of a card by what it stands for, its strip and its sign."""
    kind = _kind(box)
    sign = _sign(kind, box.x + 10, box.y + 11)
    if kind in (Kind.APPROVAL, Kind.ASK):
        return f'<path class="body" d="{_notched(box)}"/>{sign}'
    round_ = min(box.height / 2, 20.0) if box.form is Form.PILL else 7
    strip = f'<rect class="strip" x="{box.x:.1f}" y="{box.y:.1f}" width="32" height="{box.height:.1f}" rx="7"/>'
    double = _inner_line(box) if kind is Kind.PLAYBOOK else ""
    body = f'<rect class="body" {place} rx="{round_:.1f}"/>'
    return f"{body}{strip if box.form is Form.CARD else ''}{double}{sign}"


def _inner_line(box: Box) -> str:
    """The second edge of what stands for a whole playbook."""
    x, y = box.x + 3, box.y + 3
    size = f'width="{box.width - 6:.1f}" height="{box.height - 6:.1f}"'
    return f'<rect class="body" style="fill:none" x="{x:.1f}" y="{y:.1f}" {size} rx="5"/>'


def _sign(kind: Kind, x: float, y: float) -> str:
    path = SIGNS.get(kind)
    return f'<path class="sign" transform="translate({x:.1f} {y:.1f})" d="{path}"/>' if path else ""


def _hexagon(box: Box) -> str:
    """A decision: wide, with points at its sides."""
    x, y, right, low, tip = box.x, box.y, box.x + box.width, box.y + box.height, 14.0
    return (
        f"M{x + tip:.1f} {y:.1f} H{right - tip:.1f} L{right:.1f} {box.middle:.1f} "
        f"L{right - tip:.1f} {low:.1f} H{x + tip:.1f} L{x:.1f} {box.middle:.1f} Z"
    )


def _notched(box: Box) -> str:
    """What people do: all corners cut."""
    x, y, right, low, cut = box.x, box.y, box.x + box.width, box.y + box.height, 12.0
    return (
        f"M{x + cut:.1f} {y:.1f} H{right - cut:.1f} L{right:.1f} {y + cut:.1f} V{low - cut:.1f} "
        f"L{right - cut:.1f} {low:.1f} H{x + cut:.1f} L{x:.1f} {low - cut:.1f} V{y + cut:.1f} Z"
    )


def _row(box: Box, row: Row) -> str:
    names = f"{row.tone} mid" if row.centred else str(row.tone)
    return _text(row.text, box.x + row.x, box.y + row.y, names)


def _text(text: str, x: float, y: float, names: str) -> str:
    return f'<text class="{names}" x="{x:.1f}" y="{y:.1f}">{escape(harmless(text))}</text>'


def _whole(box: Box) -> str:
    """All that is said of a card, uncut, for a look with the mouse."""
    return "\n".join(harmless(fact.text) for fact in box.card.facts) if box.card else ""


def _kind(box: Box) -> Kind:
    return box.card.kind if box.card else Kind.UNKNOWN
