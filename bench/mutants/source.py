"""A playbook as its author typed it: every value with its place in the text, and what it is to the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]


class Role(StrEnum):
    """What a key or a value is to the language."""

    KEY = "key"
    PARAMETER = "parameter"
    NAME = "name"
    FIELD = "field"
    REFERENCE = "reference"
    ACTION = "action"
    PLAYBOOK = "playbook"
    ID = "id"
    WORD = "word"
    DURATION = "duration"
    CONDITION = "condition"
    VALUE = "value"
    TEMPLATE = "template"
    OTHER = "other"


@dataclass(frozen=True)
class Span:
    """A piece of the text, by its offsets."""

    start: int
    end: int


@dataclass(frozen=True)
class Part:
    """A value, with its key where it has one.

    `whole` is what has to be cut out so that the entry was never there; `role` is the value's, `key_role` the key's.
    `flow` says that it stands between brackets, on whose lines others stand too.
    """

    path: Path
    node: Node
    at: Span
    whole: Span
    role: Role
    flow: bool
    key: Span | None = None
    key_role: Role = Role.KEY

    @property
    def name(self) -> str:
        """Its key, or that of the list that it stands in."""
        return next((one for one in reversed(self.path) if isinstance(one, str)), "")

    @property
    def scalar(self) -> str | None:
        """Its text as YAML reads it, where it is no list and no mapping."""
        return self.node.value if isinstance(self.node, ScalarNode) else None

    @property
    def is_step(self) -> bool:
        """Whether it is a step in a list of steps."""
        return isinstance(self.path[-1], int) and self.role is Role.OTHER and _state_of(self.path) == "step"


class Source:
    """The text and its parts, in the order of the file."""

    def __init__(self, text: str) -> None:
        self.text = text
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        self.parts: list[Part] = list(self._inside(root, (), "document")) if root is not None else []
        self.by_path = {part.path: part for part in self.parts}

    def line(self, offset: int) -> int:
        """The number of the line, from 1."""
        return self.text.count("\n", 0, offset) + 1

    def said(self, span: Span) -> str:
        """The text of a span."""
        return self.text[span.start : span.end]

    def replaced(self, span: Span, by: str) -> str:
        """The whole text with something else in this place."""
        return self.text[: span.start] + by + self.text[span.end :]

    def steps(self) -> list[Part]:
        """All steps."""
        return [part for part in self.parts if part.is_step]

    def _inside(self, node: Node, path: Path, state: str) -> Iterator[Part]:
        if isinstance(node, MappingNode):
            yield from self._entries(node, path, state)
        elif isinstance(node, SequenceNode):
            yield from self._items(node, path, state)

    def _entries(self, node: MappingNode, path: Path, state: str) -> Iterator[Part]:
        pairs = [(key, value) for key, value in node.value if isinstance(key, ScalarNode)]
        whole = self._wholes(node, [(_start(key), self._end(value)) for key, value in pairs])
        keys = {key.value for key, _ in pairs}
        for (key, value), cut in zip(pairs, whole, strict=True):
            here, inner = (*path, key.value), _next(state, key.value, keys)
            at = Span(_start(value), self._end(value))
            key_role = KEYS.get(state, Role.KEY)
            role = _role(state, key.value, value)
            yield Part(
                here, value, at, cut, role, bool(node.flow_style), Span(_start(key), key.end_mark.index), key_role
            )
            yield from self._inside(value, here, inner)

    def _items(self, node: SequenceNode, path: Path, state: str) -> Iterator[Part]:
        whole = self._wholes(node, [(_start(item), self._end(item)) for item in node.value])
        for index, (item, cut) in enumerate(zip(node.value, whole, strict=True)):
            here, inner = (*path, index), LISTS.get(state, state)
            at = Span(_start(item), self._end(item))
            yield Part(here, item, at, cut, _role(state, None, item), bool(node.flow_style))
            yield from self._inside(item, here, inner)

    def _wholes(self, node: Node, spans: list[tuple[int, int]]) -> list[Span]:
        """What belongs to each entry of a collection, with the line or the comma that it takes up."""
        if node.flow_style:
            return [self._between_commas(spans, place) for place in range(len(spans))]
        return [self._of_lines(spans, place, isinstance(node, SequenceNode)) for place in range(len(spans))]

    def _between_commas(self, spans: list[tuple[int, int]], place: int) -> Span:
        start, end = spans[place]
        if place > 0:
            return Span(spans[place - 1][1], end)
        return Span(start, spans[1][0]) if len(spans) > 1 else Span(start, end)

    def _of_lines(self, spans: list[tuple[int, int]], place: int, is_list: bool) -> Span:
        start, end = spans[place]
        line = self.text.rfind("\n", 0, start) + 1
        first_on_its_line = not self.text[line:start].strip() or (is_list and self.text[line:start].strip() == "-")
        if first_on_its_line:
            return Span(line, self._line_end(end))
        if place == 0 and len(spans) > 1:  # the first key after the dash of a list: the next one takes its place
            return Span(start, spans[1][0])
        return Span(start, end)

    def _line_end(self, offset: int) -> int:
        found = self.text.find("\n", offset)
        return len(self.text) if found < 0 else found + 1

    def _end(self, node: Node) -> int:
        """Where a value ends, without the blank lines that YAML counts to it."""
        if not isinstance(node, ScalarNode) and node.value and not node.flow_style:
            last = node.value[-1]
            return self._end(last[1] if isinstance(node, MappingNode) else last)
        start, end = _start(node), int(node.end_mark.index)
        return start + len(self.text[start:end].rstrip())


def _start(node: Node) -> int:
    return int(node.start_mark.index)


STEPS = {"then": "steps", "else": "steps", "do": "steps", "parallel": "steps", "on_error": "steps"}
GRAMMAR: dict[str, dict[str, str]] = {
    "document": {
        "steps": "steps", "on_failure": "steps", "trigger": "trigger", "inputs": "specs", "outputs": "values",
        "tests": "tests",
    },
    "trigger": {"schedule": "keys", "manual": "people"},
    "people": {"by": "keys"},
    "step": {
        **STEPS, "with": "parameters", "for_each": "loop", "repeat": "loop", "cases": "cases", "set": "values",
        "default": "output", "approval": "question", "ask": "question", "wait": "wait", "for": "keys", "retry": "retry",
        "undo": "references",
    },
    "loop": {"steps": "steps", "collect": "values"},
    "cases": {"*": "steps"},
    "question": {
        "by": "keys", "to": "to", "escalate": "keys", "covers": "references", "fields": "specs", "otherwise": "output",
    },
    "retry": {"on": "words"},
    "specs": {"*": "spec"},
    "spec": {"choice": "words"},
    "test": {
        "alert": "alert", "inputs": "output", "given": "given", "answers": "answers", "joins": "joins",
        "expect": "expect", "lists": "data", "calendars": "data",
    },
    "join": {"alert": "alert"},
    "given": {"*": "answer"},
    "answer": {"*": "answer"},
    "answers": {"*": "output"},
    "expect": {
        "calls": "calls", "not_called": "actions", "undone": "references", "asked": "references", "outputs": "output",
    },
    "calls": {"*": "output"},
}  # fmt: skip
"""From what a mapping is, and a key in it, to what the value is; `*` is any key."""
LISTS = {"steps": "step", "tests": "test", "joins": "join", "spec": "words"}
"""What the items of a list are; the same as the list where it is not said."""
KEYS = {
    "parameters": Role.PARAMETER, "specs": Role.NAME, "values": Role.NAME, "cases": Role.WORD, "output": Role.FIELD,
    "answer": Role.FIELD, "alert": Role.FIELD, "given": Role.REFERENCE, "answers": Role.REFERENCE, "data": Role.NAME,
    "calls": Role.ACTION,
}  # fmt: skip
"""What the keys of a mapping are, where they are no keys of the language."""
ITEMS = {"references": Role.REFERENCE, "actions": Role.ACTION, "calls": Role.ACTION, "words": Role.WORD}
WORDS = frozenset({
    "mode", "priority", "missed", "on_error", "otherwise", "verify", "stop", "ends", "type", "list", "severity", "code",
    "status", "fails", "kind", "verdict", "relation",
})  # fmt: skip
DURATIONS = frozenset({
    "join", "for", "timeout", "within", "remind", "after", "every", "at_most", "backoff", "max_backoff",
})  # fmt: skip
CONDITIONS = frozenset({"match", "joins", "when", "unless", "auto", "if"})
VALUES = frozenset({"key", "switch", "items", "value"})
PLAIN = {"action": Role.ACTION, "playbook": Role.PLAYBOOK, "id": Role.ID}
TEMPLATES = frozenset({"parameters", "values", "question", "to", "loop"})


def _next(state: str, key: str, beside: set[str]) -> str:
    if state == "step" and key == "default" and "switch" in beside:
        return "steps"
    known = GRAMMAR.get(state, {})
    return known.get(key) or known.get("*") or state


def _role(state: str, key: str | None, value: Node) -> Role:
    """What a value is, by what it stands in and the key that it has there."""
    if not isinstance(value, ScalarNode):
        return Role.OTHER
    if "{{" in value.value or "{%" in value.value:
        return Role.TEMPLATE
    if key is None:
        return ITEMS.get(state, Role.OTHER)
    if state in ("step", "document", "trigger", "loop", "question", "wait", "keys", "retry", "join"):
        return _of_language(state, key)
    if state in ("specs", "answers"):
        return Role.WORD
    if key in DURATIONS and state == "parameters":
        return Role.DURATION
    return Role.WORD if key in WORDS else Role.OTHER


def _of_language(state: str, key: str) -> Role:
    if key in PLAIN and state == "step":
        return PLAIN[key]
    if key in CONDITIONS or (state, key) in (("loop", "until"), ("wait", "alert")):
        return Role.CONDITION
    if key in VALUES or (state, key) == ("wait", "until"):
        return Role.VALUE
    if key in DURATIONS:
        return Role.DURATION
    return Role.WORD if key in WORDS else Role.OTHER


def _state_of(path: Path) -> str:
    """What stands at a path; a `default` is taken for steps where a list follows it."""
    state = "document"
    for place, part in enumerate(path):
        if isinstance(part, int):
            state = LISTS.get(state, state)
            continue
        follows_list = place + 1 < len(path) and isinstance(path[place + 1], int)
        state = _next(state, part, {"switch"} if follows_list else set())
    return state


def plain(node: Node) -> Any:
    """The node as plain data, every scalar as text: to tell two parts apart."""
    if isinstance(node, MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    return [plain(item) for item in node.value] if isinstance(node, SequenceNode) else node.value
