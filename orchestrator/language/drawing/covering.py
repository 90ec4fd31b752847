"""The dotted wires from an approval to each of the steps that it covers, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.language.drawing.shapes import Area, Box, Style, Wire

STEP = 7.0
"""between the wires of two approvals"""


def covering_wires(area: Area) -> Iterator[Wire]:
    """Each leaves at the left of the approval, goes down beside what lies between, and ends at the step."""
    named = {box.card.id: box for box in area.boxes if box.card and box.card.id}
    asking = [box for box in area.boxes if box.card and box.card.covers]
    for place, box in enumerate(asking):
        covered = [named[name] for name in box.card.covers if name in named] if box.card else []
        for target in covered:
            yield _wire(box, target, _lane(area, box, target) - STEP * (place % 3))


def _lane(area: Area, box: Box, target: Box) -> float:
    """Left of every card and condition between the two that stands in the way of a straight wire."""
    between = [
        one for one in area.boxes
        if one.card and one.y > box.y and one.y + one.height < target.middle and one.x <= box.x < one.x + one.width
    ]  # fmt: skip
    return min([box.x, target.x, *(one.x for one in between)]) - 9


def _wire(box: Box, target: Box, lane: float) -> Wire:
    return Wire(
        ((box.x, box.middle), (lane, box.middle), (lane, target.middle), (target.x, target.middle)),
        Style.COVERS, arrow=True,
    )  # fmt: skip
