"""YAML 1.2 core as playbooks use it: no tags, anchors or duplicate keys, every value with its line and column.

YAML 1.1, which most libraries read, takes `on:` for true and `010` for 8; here they are what they look like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from orchestrator.errors import FilesRefused, Finding, Place

# where an anchor, an alias or a tag begins, and a few things more
_MAY_BE_MARKED = re.compile(r"(?:^|[\s\[{,?:-])(?:[&*]\S|!(?!=))", re.MULTILINE)
LARGEST = 1_048_576
DEEPEST = 40
MOST_NODES = 50_000

Path = tuple[str | int, ...]


@dataclass
class Document:
    """The plain data of a file, and where each of its values stands."""

    file: str
    text: str
    data: Any
    places: Mapping[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Where the value at this path stands, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.file, 1))

    def line(self, place: Place) -> str:
        """The text of the line of a place."""
        lines = self.text.splitlines()
        return lines[place.line - 1] if 0 < place.line <= len(lines) else ""


class _CoreLoader(yaml.SafeLoader):
    """The parser with YAML 1.2's core schema for plain scalars."""


class _QuickLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same with the parser in C, where there is one: ten times as quick, and less clear about mistakes."""


_CoreLoader.yaml_implicit_resolvers = {}
_QuickLoader.yaml_implicit_resolvers = _CoreLoader.yaml_implicit_resolvers
for _tag, _pattern, _firsts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _firsts)


def read_yaml(text: str, file: str) -> Document:
    """The document of a file; raises `FilesRefused` with all that is wrong with it as YAML."""
    if len(text) > LARGEST:
        raise FilesRefused([Finding(Place(file, 1), "too_large", f"larger than {LARGEST} characters")])
    try:
        findings, root = _parsed(text, file)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character U+{error.character:04X} cannot stand in YAML"
        hint = "write it as an escape in double quotes, or leave it out"
        raise FilesRefused([Finding(Place(file, line), "yaml", problem, hint)]) from None
    except yaml.YAMLError as error:
        raise FilesRefused([_explained(error, text, file)]) from None
    except RecursionError:
        raise FilesRefused([Finding(Place(file, 1), "too_deep", f"nested more than {DEEPEST} deep")]) from None
    reader = _Reader(file)
    data = reader.read(root, ()) if root is not None else None
    findings += reader.findings
    if findings:
        raise FilesRefused(findings)
    return Document(file, text, data, reader.places)


def _parsed(text: str, file: str) -> tuple[list[Finding], Node | None]:
    """The tree and what must not be in it; a mistake is told by the parser that says it in more words."""
    try:
        return _marked(text, file, _QuickLoader), _QuickLoader(text).get_single_node()
    except yaml.YAMLError:
        return _marked(text, file, _CoreLoader), _CoreLoader(text).get_single_node()


class _Reader:
    """Turns nodes into plain data and notes where everything stands."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        self.findings: list[Finding] = []
        self._too_much = False

    def read(self, node: Node, path: Path) -> Any:
        self.places[path] = self._place(node)
        if len(path) > DEEPEST or len(self.places) > MOST_NODES:
            if not self._too_much:
                self._find(node, "too_deep", f"nested more than {DEEPEST} deep, or more than {MOST_NODES} values")
            self._too_much = True
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else None
            if name is None:
                self._find(key, "yaml", "a key is text", "text that begins with {{ needs quotes around it")
            elif name in data:
                self._find(key, "duplicate_key", f"`{name}` stands here twice", "keep one of them")
            else:
                data[name] = self.read(value, (*path, name))
                self.places[(*path, name, "@key")] = self._place(key)
        return data

    def _scalar(self, node: Node) -> Any:
        assert isinstance(node, ScalarNode)  # noqa: S101 - the three kinds of nodes that there are
        kind = node.tag.rpartition(":")[2]
        if kind not in _SCALARS:
            self._find(node, "tag", f"the tag {node.tag} is not read", "write the value plainly")
            return None
        try:
            return _SCALARS[kind](node.value)
        except (ValueError, OverflowError):
            self._find(node, "yaml", f"{node.value!r} is not a {kind}", "put it in quotes if it is text")
            return None

    def _place(self, node: Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _find(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self.findings.append(Finding(self._place(node), code, message, hint))


def _whole(text: str) -> int:
    for prefix, base in (("0o", 8), ("0x", 16)):
        if text.startswith(prefix):
            return int(text[2:], base)
    if len(text) > 20:
        raise ValueError(text)
    return int(text, 10)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_SCALARS: dict[str, Any] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _whole,
    "float": _fraction,
    "str": str,
}


def _marked(text: str, file: str, loader: Any) -> list[Finding]:
    """Anchors, aliases and tags: they make a file mean something else than it looks like."""
    found: list[Finding] = []
    if _MAY_BE_MARKED.search(text) is None:  # most files: a second pass would cost as much as the first
        return found
    for event in yaml.parse(text, Loader=loader):
        mark = event.start_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1)
        if getattr(event, "anchor", None):
            found.append(Finding(place, "anchor", "anchors and aliases are not read", "write the value out"))
        elif tag := getattr(event, "tag", None):
            found.append(Finding(place, "tag", f"the tag {tag} is not read", "write the value plainly"))
    return found


def _explained(error: yaml.YAMLError, text: str, file: str) -> Finding:
    """What the parser stumbled over, in the words of somebody who has seen it before."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1)
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    lines = text.splitlines()
    # the parser often notices one line late
    for number in (place.line, place.line - 1):
        line = lines[number - 1] if 0 < number <= len(lines) else ""
        hint = _likely(line)
        if hint:
            return Finding(Place(file, number, place.column if number == place.line else 1), "yaml", problem, hint)
    return Finding(place, "yaml", problem)


def _likely(line: str) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with blanks, not tabs"
    value = re.match(r"\s*(?:- )?[\w-]+:\s+(\S.*)$", line)
    if value is None:
        return ""
    start = value.group(1)
    if start.startswith("{{"):
        return 'a value that begins with {{ needs quotes around it: "{{ ... }}"'
    if start[0] in "\"'[{":
        return f"a value that begins with {start[0]} ends where that closes; put the whole value in quotes"
    if ": " in start:
        return "a value with a colon and a blank in it needs quotes around it"
    return ""
