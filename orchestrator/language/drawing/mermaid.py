"""A picture as Mermaid text, which many pages and editors draw by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.language.drawing.picture import (
    Block,
    Card,
    Choice,
    Fact,
    Frame,
    Guarded,
    Kind,
    Picture,
    Rescued,
    Sequence,
    Single,
    Together,
    Tone,
)
from orchestrator.language.drawing.style import COLOURS
from orchestrator.language.drawing.text import harmless

_BETWEEN: Mapping[Kind, tuple[str, str]] = {
    Kind.START: ("(", ")"),
    Kind.SUCCESS: ("([", "])"),
    Kind.FAILURE: ("([", "])"),
    Kind.APPROVAL: ("{{", "}}"),
    Kind.ASK: ("{{", "}}"),
    Kind.DECISION: ("{", "}"),
    Kind.PLAYBOOK: ("[[", "]]"),
    Kind.UNDO: ("[\\", "\\]"),
    Kind.WAIT: ("(", ")"),
}
"""The brackets that make a shape; all others are rectangles."""
_PERSON = "\U0001f464 "
_LONGEST = 240
_PLAIN = frozenset(" .,:/-_+=")


@dataclass(frozen=True)
class _Loose:
    """An end of the drawing so far, and what its way on is called."""

    source: str
    label: str = ""
    arrow: str = "-->"
    failure: bool = False


def mermaid_text(picture: Picture) -> str:
    """The drawing; the same picture gives the same text."""
    writer = _Writer()
    loose = [_Loose(writer.node(card)) for card in picture.starts]
    loose = writer.sequence(picture.body, loose)
    if loose:
        writer.connect(loose, writer.node(picture.end))
    if picture.failure.blocks:
        with_title = Card(Kind.FAILURE, (Fact("if the run fails", Tone.TITLE),))
        writer.open_frame(with_title)
        writer.sequence(picture.failure, [])
        writer.close_frame()
    writer.cover()
    title = f"    accTitle: {_escaped(picture.title)}"
    return "\n".join(["flowchart TD", title, *writer.nodes, *writer.edges, *writer.looks()]) + "\n"


class _Writer:
    """Nodes inside the frames that they stand in, and after them all edges."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.edges: list[str] = []
        self._count = 0
        self._depth = 1
        self._failing: list[int] = []
        self._kinds: dict[Kind, list[str]] = {}
        self._named: dict[str, str] = {}
        self._covering: list[tuple[str, tuple[str, ...]]] = []

    def node(self, card: Card) -> str:
        """Write a card; its name in the text."""
        name = self._name("n", card)
        begin, end = _BETWEEN.get(card.kind, ("[", "]"))
        self._line(f'{name}{begin}"{_label(card)}"{end}')
        if card.covers:
            self._covering.append((name, card.covers))
        return name

    def sequence(self, sequence: Sequence, loose: list[_Loose]) -> list[_Loose]:
        """One after the other; the ends that are left."""
        for block in sequence.blocks:
            loose = self._block(block, loose)[1]
        return loose

    def connect(self, loose: Iterable[_Loose], target: str) -> None:
        """Lead these ends into a node."""
        for end in loose:
            label = f'|"{_escaped(end.label)}"|' if end.label else ""
            if end.failure:
                self._failing.append(len(self.edges))
            self.edges.append(f"    {end.source} {end.arrow}{label} {target}")

    def open_frame(self, card: Card) -> str:
        """Begin a frame; its name in the text."""
        name = self._name("f", card)
        self._line(f'subgraph {name}["{_label(card, between=" - ")}"]')
        self._depth += 1
        return name

    def close_frame(self) -> None:
        """End the innermost frame."""
        self._depth -= 1
        self._line("end")

    def cover(self) -> None:
        """Draw from each approval to what it covers."""
        for name, covered in self._covering:
            for one in covered:
                if one in self._named:
                    self.connect([_Loose(name, "covers", "-.->")], self._named[one])

    def looks(self) -> list[str]:
        """The colours."""
        lines = []
        for kind, names in self._kinds.items():
            lines.append(f"    classDef {kind} stroke:{COLOURS[kind][0]},stroke-width:2px")
            lines.append(f"    class {','.join(names)} {kind}")
        if self._failing:
            lines.append(f"    linkStyle {','.join(map(str, self._failing))} stroke:{COLOURS[Kind.FAILURE][0]}")
        return lines

    def _block(self, block: Block, loose: list[_Loose]) -> tuple[str, list[_Loose]]:
        """Write a block; the name of what stands for it, and the ends that are left."""
        match block:
            case Single():
                name = self.node(block.card)
                self.connect(loose, name)
                return name, [] if block.ends else [_Loose(name)]
            case Guarded():
                name = self.node(block.card)
                self.connect(loose, name)
                _, left = self._block(block.body, [_Loose(name, "yes")])
                return name, [*left, _Loose(name, "otherwise", "-.->")]
            case Choice():
                return self._choice(block, loose)
            case Together():
                return self._together(block, loose)
            case Frame():
                return self._frame(block, loose)
            case Rescued():
                name, left = self._block(block.body, loose)
                failed = _Loose(name, block.when, "-.->", failure=True)
                return name, [*left, *self.sequence(block.handler, [failed])]

    def _choice(self, block: Choice, loose: list[_Loose]) -> tuple[str, list[_Loose]]:
        name = self.node(block.card)
        self.connect(loose, name)
        left: list[_Loose] = []
        for branch in block.branches:
            left += self.sequence(branch.body, [_Loose(name, branch.label)])
        return name, left

    def _together(self, block: Together, loose: list[_Loose]) -> tuple[str, list[_Loose]]:
        name = self.node(block.card)
        self.connect(loose, name)
        ends = [self.sequence(branch, [_Loose(name)]) for branch in block.branches]
        if not all(ends):
            return name, []
        join = self._name("n", Card(Kind.PARALLEL, ()))
        self._line(f'{join}(("all done"))')
        for left in ends:
            self.connect(left, join)
        return name, [_Loose(join)]

    def _frame(self, block: Frame, loose: list[_Loose]) -> tuple[str, list[_Loose]]:
        name = self.open_frame(block.card)
        left = self.sequence(block.body, loose)
        self.close_frame()
        return name, left

    def _name(self, letter: str, card: Card) -> str:
        self._count += 1
        name = f"{letter}{self._count}"
        self._kinds.setdefault(card.kind, []).append(name)
        if card.id:
            self._named[card.id] = name
        return name

    def _line(self, text: str) -> None:
        self.nodes.append("    " * self._depth + text)


def _label(card: Card, between: str = "<br/>") -> str:
    """The rows of a card; the first stands out, and people are seen. A frame has room for one line only."""
    rows = [_escaped(_cut(fact.text)) for fact in card.facts if fact.text.strip()]
    if rows and card.facts[0].tone is Tone.TITLE:
        rows[0] = f"<b>{rows[0]}</b>"
    if rows and card.kind in (Kind.APPROVAL, Kind.ASK):
        rows[0] = _PERSON + rows[0]
    return between.join(rows) or " "


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\u2026"


def _escaped(text: str) -> str:
    """So that nothing of it means anything to Mermaid, or to the page that shows what Mermaid made."""
    return "".join(one if one.isalnum() or one in _PLAIN else f"#{ord(one)};" for one in harmless(text))
