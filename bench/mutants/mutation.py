"""One mistake in a playbook: the text with it, where it stands, and the words that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from bench.mutants.source import Part, Source, Span

T = TypeVar("T")
SHARE_OF_TESTS = 0.3
"""how many of the mistakes are made in the tests of a playbook, which are half of its lines"""


@dataclass(frozen=True)
class Mutation:
    """A mistake. `lines` are those where it stands, `words` the wrong and the right ones, `told` says it for people."""

    mutator: str
    text: str
    lines: frozenset[int]
    words: frozenset[str]
    told: str


@dataclass(frozen=True)
class Change:
    """What a mutator does: pieces of the text replaced, and the words that tell of it.

    `near` are offsets in the text as it was, whose lines count as the place too: what an entry was dropped from.
    """

    edits: tuple[tuple[Span, str], ...]
    words: frozenset[str]
    told: str
    near: tuple[int, ...] = ()


Mutator = Callable[[Source, Random], Change | None]
"""Makes one mistake somewhere; nothing where the playbook has no place for it."""


def change(source: Source, span: Span, by: str, words: Iterable[str], *, near: Sequence[int] = ()) -> Change:
    """One piece of the text replaced."""
    told = f"{_shown(source.said(span))} -> {_shown(by)}"
    return Change(((span, by),), frozenset(word for word in words if word), told, tuple(near))


def _shown(text: str) -> str:
    short = " ".join(text.split())
    return f"`{short if len(short) < 70 else short[:67] + '...'}`"


def applied(name: str, source: Source, made: Change) -> Mutation:
    """The text with the change, and the lines of it there."""
    text, shift, lines = source.text, 0, set[int]()
    moved: list[tuple[int, int]] = []
    for span, by in sorted(made.edits, key=lambda edit: (edit[0].start, edit[0].end)):
        start = span.start + shift
        text = text[:start] + by + text[span.end + shift :]
        shift += len(by) - (span.end - span.start)
        moved.append((start, start + len(by)))
    for start, end in moved:
        first = text.count("\n", 0, start) + 1
        lines |= set(range(first, first + max(1, text.count("\n", start, end) + (not text[start:end].endswith("\n")))))
    for offset in made.near:
        lines.add(text.count("\n", 0, _after(made, offset)) + 1)
    return Mutation(name, text, frozenset(lines), made.words, made.told)


def _after(made: Change, offset: int) -> int:
    """Where an offset of the text is once the change is made."""
    shift = 0
    for span, by in made.edits:
        if span.end <= offset:
            shift += len(by) - (span.end - span.start)
    return offset + shift


def choose(rng: Random, found: Iterable[T], of: Callable[[T], Part]) -> T | None:
    """One of them, those in tests less often than they are many."""
    listed = list(found)
    in_tests = [one for one in listed if of(one).path[0] == "tests"]
    others = [one for one in listed if of(one).path[0] != "tests"]
    pool = in_tests if in_tests and (not others or rng.random() < SHARE_OF_TESTS) else others
    return rng.choice(pool) if pool else None
