"""Where everything stands.

A playbook is made of blocks inside blocks, and so is its drawing: no line ever has to search its way. Every block is
entered at its top and left at its bottom, on one straight line, its spine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.language.drawing.cards import ICON, PAD, card_area, chip_box, header_rows, label_box
from orchestrator.language.drawing.picture import (
    Block,
    Branch,
    Choice,
    Frame,
    Guarded,
    Picture,
    Rescued,
    Sequence,
    Single,
    Together,
    Tone,
)
from orchestrator.language.drawing.shapes import Area, Box, Form, Style, Wire, nothing

GAP = 26.0
"""between a block and the next"""
BESIDE = 28.0
"""between branches"""
LANE = 16.0
"""room for a wire that goes past"""
BAR = 6.0


def sequence_area(sequence: Sequence) -> Area:
    """The blocks below each other."""
    placed = [_block(block) for block in sequence.blocks]
    return _stacked(placed) if placed else nothing()


def _stacked(areas: list[Area]) -> Area:
    spine = max(area.spine for area in areas)
    boxes: list[Box] = []
    wires: list[Wire] = []
    y = 0.0
    for index, area in enumerate(areas):
        if index:
            wires += [] if areas[index - 1].ends else [Wire(((spine, y), (spine, y + GAP)), arrow=True)]
            y += GAP
        moved = area.moved(spine - area.spine, y)
        boxes += moved.boxes
        wires += moved.wires
        y += area.height
    wide = spine + max(area.right for area in areas)
    return Area(wide, y, spine, tuple(boxes), tuple(wires), ends=any(area.ends for area in areas))


def _block(block: Block) -> Area:
    match block:
        case Single():
            return card_area(block.card, ends=block.ends)
        case Guarded():
            return _gone_past(chip_box(block.card), _block(block.body), "otherwise")
        case Choice(branches=(yes, no)) if not no.body.blocks and yes.body.blocks:
            return _gone_past(chip_box(block.card), sequence_area(yes.body), no.label, yes.label)
        case Choice():
            return _choice(chip_box(block.card), block.branches)
        case Together():
            return _together(block)
        case Frame():
            return _framed(block)
        case Rescued():
            return _rescued(_block(block.body), sequence_area(block.handler), block.when)


def _gone_past(chip: Box, body: Area, past: str, into: str = "") -> Area:
    """A condition above what it lets through, and a wire around that for when it does not."""
    left = max(body.spine, chip.width / 2) + LANE
    right = max(body.right, chip.width / 2)
    label, words = label_box(past), label_box(into) if into else None
    gap = GAP + (words.height if words else 8.0)
    inside = body.moved(left - body.spine, chip.height + gap)
    bottom = chip.height + gap + body.height + (0 if body.ends else GAP / 2)
    inner = 10.0
    around = Wire(
        ((left - chip.width / 2, chip.middle), (inner, chip.middle), (inner, bottom), (left, bottom)), Style.PAST
    )
    down = Wire(((left, chip.height), (left, chip.height + gap)), arrow=True)
    out = () if body.ends else (Wire(((left, bottom - GAP / 2), (left, bottom))),)
    side = label.moved(inner + 4 + label.width / 2, chip.height + 6)
    side = replace(side, x=max(side.x, 0.0))
    on_it = (words.moved(left, chip.height + 8),) if words else ()
    boxes = (chip.moved(left, 0), *inside.boxes, *on_it, side)
    return Area(left + right, bottom, left, boxes, (around, down, *inside.wires, *out))


def _across(places: tuple[float, ...], y: float) -> Wire:
    return Wire(((min(places), y), (max(places), y)))


def _labelled(branch: Branch) -> Area:
    body = sequence_area(branch.body)
    label = label_box(branch.label)
    top = 8 + label.height + 14
    wide = Area(max(label.width, 40.0), 0, max(label.width, 40.0) / 2)
    spine, right = max(wide.spine, body.spine), max(wide.right, body.right)
    moved = body.moved(spine - body.spine, top)
    down = Wire(((spine, 0), (spine, top)), arrow=bool(branch.body.blocks))
    return Area(
        spine + right, top + body.height, spine, (label.moved(spine, 8), *moved.boxes), (down, *moved.wires), body.ends
    )


def _together(block: Together) -> Area:
    """Branches between two bars; what is said of them stands below the upper one."""
    label = replace(chip_box(block.card), form=Form.LABEL)
    top = BAR + label.height + 18
    areas = [_entered(sequence_area(branch), top - BAR) for branch in block.branches]
    total, exits = _columns(areas, BAR)
    entries = [x for x, _ in _spines(areas)]
    shift = max(label.width / 2 - total.spine, 0.0)
    left, wide = min(entries) - 24, max(entries) - min(entries) + 48
    bars = (Box(Form.BAR, left, 0, wide, BAR), Box(Form.BAR, left, total.height, wide, BAR))
    boxes = (*bars, *total.boxes, label.moved(total.spine, BAR + 3))
    done = replace(
        total, boxes=boxes, height=total.height + BAR, width=max(total.width, label.width), ends=len(exits) < len(areas)
    )
    return done.padded(left=shift)


def _entered(area: Area, room: float) -> Area:
    """With a wire that leads into it."""
    return area.padded(top=room).drawn(wires=(Wire(((area.spine, 0), (area.spine, room)), arrow=True),))


def _spines(areas: list[Area]) -> Iterator[tuple[float, Area]]:
    """Where the spine of each stands when they stand side by side."""
    x = 0.0
    for area in areas:
        yield x + area.spine, area
        x += area.width + BESIDE


def _columns(areas: list[Area], top: float) -> tuple[Area, list[float]]:
    """Side by side below a line, all led to the same depth; and where those are left that can be."""
    wide = sum(area.width for area in areas) + BESIDE * (len(areas) - 1)
    bottom = top + max(area.height for area in areas) + GAP / 2
    boxes: list[Box] = []
    wires: list[Wire] = []
    exits = []
    for spine, area in _spines(areas):
        moved = area.moved(spine - area.spine, top)
        boxes += moved.boxes
        wires += moved.wires
        if not area.ends:
            exits.append(spine)
            wires.append(Wire(((spine, top + area.height), (spine, bottom))))
    return Area(wide, bottom, wide / 2, tuple(boxes), tuple(wires), ends=not exits), exits


def _choice(chip: Box, branches: tuple[Branch, ...]) -> Area:
    """A condition above its branches, side by side, each with its word on the wire."""
    areas = [_labelled(branch) for branch in branches]
    top = chip.height + GAP / 2
    total, exits = _columns(areas, top)
    spine = total.spine
    entries = [x for x, _ in _spines(areas)]
    split = (
        Wire(((spine, chip.height), (spine, top))),
        Wire(((min(*entries, spine), top), (max(*entries, spine), top))),
    )
    joined = (Wire(((min(*exits, spine), total.height), (max(*exits, spine), total.height))),) if exits else ()
    shift = max(chip.width / 2 - spine, 0.0)
    done = total.drawn(wires=(*split, *joined))
    wide = max(total.width, spine + chip.width / 2)
    return replace(done, boxes=(chip.moved(spine, 0), *done.boxes), width=wide).padded(left=shift)


def _framed(block: Frame) -> Area:
    """A frame around its steps, its words at the top."""
    body = sequence_area(block.body)
    lane = LANE if block.loops else 0.0
    inner_left, inner_right = max(body.spine, 150.0) + 18, max(body.right, 150.0) + 18 + lane
    wide = inner_left + inner_right
    rows, head = header_rows(block.card, wide - ICON - PAD)
    top = head + GAP
    inside = body.moved(inner_left - body.spine, top)
    height = top + body.height + 22
    frame = Box(Form.FRAME, 0, 0, wide, height, rows, block.card)
    enter = Wire(((inner_left, head), (inner_left, top)), arrow=True)
    out = () if body.ends else (Wire(((inner_left, top + body.height), (inner_left, height))),)
    back: tuple[Wire, ...] = ()
    if block.loops and not body.ends:
        x, low, high = wide - 12, top + body.height + 10, head + GAP / 2 - 2
        back = (Wire(((inner_left, low), (x, low), (x, high), (inner_left, high)), Style.LOOP, arrow=True),)
    return Area(
        wide, height, inner_left, (frame, *inside.boxes), (enter, *inside.wires, *out, *back),
        ends=body.ends and not block.loops,
    )  # fmt: skip


def _rescued(body: Area, handler: Area, when: str) -> Area:
    """What is done when it fails stands at the right, and leads back below."""
    label = label_box(when, Tone.WARN)
    at_right = body.width + BESIDE
    spine = at_right + max(handler.spine, label.width / 2)
    start = min(body.boxes[0].middle, 22.0)
    top = start + label.height + 26
    moved = handler.moved(spine - handler.spine, top)
    bottom = max(body.height, top + handler.height) + GAP / 2
    into = Wire(((body.boxes[0].x + body.boxes[0].width, start), (spine, start), (spine, top)), Style.FAIL, arrow=True)
    own = () if body.ends else (Wire(((body.spine, body.height), (body.spine, bottom))),)
    back = () if handler.ends else (
        Wire(((spine, top + handler.height), (spine, bottom), (body.spine, bottom)), Style.FAIL),
    )  # fmt: skip
    return Area(
        spine + max(handler.right, label.width / 2), bottom, body.spine,
        (*body.boxes, *moved.boxes, label.moved(spine, start + 8)),
        (*body.wires, *moved.wires, into, *own, *back), ends=body.ends and handler.ends,
    )  # fmt: skip


def picture_area(picture: Picture) -> Area:
    """The starts, the steps, the end; below them what is done when the run failed."""
    starts = [card_area(card) for card in picture.starts]
    first = starts[0] if len(starts) == 1 else _gathered(starts)
    main = _stacked([first, *(_block(block) for block in picture.body.blocks)])
    if not main.ends:
        main = _stacked([main, card_area(picture.end, ends=True)])
    return main


def failure_area(picture: Picture) -> Area | None:
    """What is done when the run failed, as a part of its own."""
    if not picture.failure.blocks:
        return None
    return sequence_area(picture.failure)


def _gathered(areas: list[Area]) -> Area:
    """Side by side, all leading to one line below."""
    total, exits = _columns(areas, 0)
    return total.drawn(wires=(Wire(((exits[0], total.height), (exits[-1], total.height))),))
