"""The expressions in the text of a playbook, and the words in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.mutants.source import Part, Role, Source, Span


class Kind(StrEnum):
    """What a word of an expression is."""

    ROOT = "root"
    STEP = "step"
    VARIABLE = "variable"
    INPUT = "input"
    LIST = "list"
    FIELD = "field"
    FILTER = "filter"
    TEST = "test"
    STRING = "string"
    NUMBER = "number"


@dataclass(frozen=True)
class Token:
    """A word of an expression; of a string the span is what stands between the quotes."""

    kind: Kind
    at: Span
    text: str
    path: str


@dataclass(frozen=True)
class Region:
    """An expression, and the value of the file that holds it."""

    part: Part
    at: Span


_WORD = re.compile(
    r"""(?P<string>\\"(?:(?!\\").)*\\"|"[^"]*"|'[^']*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\S)""",
    re.DOTALL,
)
_KEYWORDS = frozenset(
    {"and", "or", "not", "in", "is", "if", "else", "elif", "endif", "for", "endfor", "true", "false", "none"}
)
_BELOW = {"steps": Kind.STEP, "vars": Kind.VARIABLE, "inputs": Kind.INPUT, "lists": Kind.LIST, "calendars": Kind.LIST}
_BRACES = re.compile(r"\{\{(?P<value>.*?)\}\}|\{%-?\s*(?P<statement>.*?)%\}", re.DOTALL)


def regions(source: Source) -> Iterator[Region]:
    """Every expression of the file."""
    for part in source.parts:
        if part.role in (Role.CONDITION, Role.VALUE):
            style = getattr(part.node, "style", None)
            quoted = 1 if style in ("'", '"') else 0
            skip = len(source.said(part.at).split("\n")[0]) if style in ("|", ">") else quoted
            yield Region(part, Span(part.at.start + skip, part.at.end - quoted))
        elif part.role is Role.TEMPLATE:
            for found in _BRACES.finditer(source.said(part.at)):
                group = "value" if found["value"] is not None else "statement"
                start, end = found.span(group)
                yield Region(part, Span(part.at.start + start, part.at.start + end))


def tokens(source: Source, region: Region) -> Iterator[Token]:
    """The words of an expression, with what they are."""
    before: list[str] = ["", ""]
    path = ""
    for found in _WORD.finditer(source.text, region.at.start, region.at.end):
        text, start = found[0], found.start()
        if found["string"]:
            quote = 2 if text.startswith("\\") else 1
            at = Span(start + quote, found.end() - quote)
            yield Token(Kind.STRING, at, source.said(at), path)
        elif found["number"]:
            yield Token(Kind.NUMBER, Span(start, found.end()), text, path)
        elif found["name"]:
            path = f"{path}.{text}" if before[-1] == "." else text
            if text not in _KEYWORDS or before[-1] == ".":
                yield Token(_kind(before), Span(start, found.end()), text, path)
        before = [*before[-2:], text]


def _kind(before: list[str]) -> Kind:
    if before[-1] == ".":
        return _BELOW.get(before[-2], Kind.FIELD)
    if before[-1] == "|":
        return Kind.FILTER
    return Kind.TEST if before[-1] == "is" or before[-2:] == ["is", "not"] else Kind.ROOT


def all_tokens(source: Source) -> list[tuple[Region, Token]]:
    """Every word of every expression."""
    return [(region, token) for region in regions(source) for token in tokens(source, region)]


def paths_in(text: str) -> set[str]:
    """The dotted paths that a piece of an expression names, and all that leads to them."""
    found = set()
    for path in re.findall(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", text):
        parts = path.split(".")
        found |= {".".join(parts[:length]) for length in range(2, len(parts) + 1)} | {parts[-1]}
        found |= {parts[1]} if parts[0] in _BELOW else set()
    return found
