"""What a layout is made of: boxes with their rows of text, and wires between them, all with their place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.language.drawing.picture import Card, Tone

Point = tuple[float, float]


class Form(StrEnum):
    """The outline of a box."""

    CARD = "card"
    PILL = "pill"
    CHIP = "chip"
    BAR = "bar"
    FRAME = "frame"
    LABEL = "label"


class Style(StrEnum):
    """What a wire means."""

    FLOW = "flow"
    PAST = "past"
    LOOP = "loop"
    FAIL = "fail"
    COVERS = "covers"


@dataclass(frozen=True)
class Row:
    """A line of text; `x` and `y` are those of its beginning on the base line, inside the box."""

    text: str
    tone: Tone
    x: float
    y: float
    centred: bool = False


@dataclass(frozen=True)
class Box:
    """A shape with its rows. `card` is what it stands for, where it stands for one."""

    form: Form
    x: float
    y: float
    width: float
    height: float
    rows: tuple[Row, ...] = ()
    card: Card | None = None

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> Box:
        """The same elsewhere."""
        return replace(self, x=self.x + dx, y=self.y + dy)


@dataclass(frozen=True)
class Wire:
    """A line through these points, with an arrow at its end where it leads into something."""

    points: tuple[Point, ...]
    style: Style = Style.FLOW
    arrow: bool = False

    def moved(self, dx: float, dy: float) -> Wire:
        """The same elsewhere."""
        return replace(self, points=tuple((x + dx, y + dy) for x, y in self.points))


@dataclass(frozen=True)
class Area:
    """A part of the picture: it is entered at the top and left at the bottom, both at `spine`."""

    width: float
    height: float
    spine: float
    boxes: tuple[Box, ...] = ()
    wires: tuple[Wire, ...] = ()
    ends: bool = False

    @property
    def right(self) -> float:
        """How far it reaches to the right of its spine."""
        return self.width - self.spine

    def moved(self, dx: float, dy: float) -> Area:
        """Its boxes and wires elsewhere; sizes stay."""
        boxes = tuple(box.moved(dx, dy) for box in self.boxes)
        wires = tuple(wire.moved(dx, dy) for wire in self.wires)
        return replace(self, boxes=boxes, wires=wires)

    def padded(self, *, left: float = 0, right: float = 0, top: float = 0, bottom: float = 0) -> Area:
        """With room around it; the wires go on through it."""
        moved = self.moved(left, top)
        return replace(
            moved, width=self.width + left + right, height=self.height + top + bottom, spine=self.spine + left
        )

    def drawn(self, boxes: tuple[Box, ...] = (), wires: tuple[Wire, ...] = ()) -> Area:
        """With more in it; boxes that are added stand behind those that are there."""
        return replace(self, boxes=(*boxes, *self.boxes), wires=(*self.wires, *wires))


def nothing() -> Area:
    """An area with nothing in it: a way past."""
    return Area(0, 0, 0)
