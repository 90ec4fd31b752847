"""What the tests of playbooks reach: every step, both outcomes of a condition, each case, silence, and the like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.language.model import (
    ApprovalStep,
    AskStep,
    ForEachStep,
    IfStep,
    PlaybookDocument,
    RepeatStep,
    Step,
    SwitchStep,
    WaitStep,
    inside,
    named,
)
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.entries import loops_with_entries

Path = tuple[str | int, ...]
"""A place in the document"""


@dataclass(frozen=True)
class Branch:
    """Something that a test can reach: a word of the step at `of`, with a value; `told` says that none does.

    `path` is where it stands in the document, and `holds` what can only be reached through it.
    """

    playbook: str
    of: Path
    word: str
    value: Any
    path: Path
    told: str
    holds: Path | None = None

    def hides(self, other: Branch) -> bool:
        """Whether nobody reaches the other without this one."""
        if self.holds is None or other is self or self.playbook != other.playbook:
            return False
        return other.of[: len(self.holds)] == self.holds


@dataclass(frozen=True)
class Missed:
    """A branch that no test reaches, and how many more lie behind it."""

    branch: Branch
    behind: int = 0


class Coverage:
    """Counts what the tests of these playbooks reach; hand it to `simulate_all`."""

    def __init__(self, playbooks: Iterable[Playbook]) -> None:
        self.branches = [branch for playbook in playbooks for branch in branches_of(playbook)]
        self._places: dict[int, tuple[Playbook, dict[int, Path]]] = {}
        self._reached: set[tuple[str, Path, str, Any]] = set()

    def saw(self, playbook: Playbook, step: Step, word: str, value: Any) -> None:
        """A run came here."""
        if id(playbook) not in self._places:  # the playbook is kept, so that the numbers of its steps stay its own
            places = {id(one): path for path, _, one in _all_steps(playbook.model)}
            self._places[id(playbook)] = playbook, places
        self._reached.add((playbook.name, self._places[id(playbook)][1][id(step)], word, value))

    def matched(self, playbook: Playbook, *, holds: bool) -> None:
        """The trigger's condition came to this."""
        self._reached.add((playbook.name, ("trigger",), "match", holds))

    @property
    def reached(self) -> int:
        """How many of the branches some test reaches."""
        return len(self.branches) - len(self.missed)

    @property
    def missed(self) -> list[Branch]:
        """Those that none does."""
        return [one for one in self.branches if (one.playbook, one.of, one.word, one.value) not in self._reached]

    @property
    def outermost(self) -> list[Missed]:
        """The same without those that lie behind another: what has to be written tests for first."""
        missed = self.missed
        first = [one for one in missed if not any(other.hides(one) for other in missed)]
        return [Missed(one, sum(one.hides(other) for other in missed)) for one in first]


def branches_of(playbook: Playbook) -> Iterator[Branch]:
    """All that tests of the playbook can reach, in the order of the file."""
    if playbook.match is not None:
        for holds in (True, False):
            told = f"no test in which `match` {'holds' if holds else 'does not hold'}"
            yield Branch(playbook.name, ("trigger",), "match", holds, ("trigger", "match"), told)
    never_empty = {id(step) for step in loops_with_entries(playbook.model)}
    for path, name, step in _all_steps(playbook.model):
        yield Branch(playbook.name, path, "run", True, path, f"no test runs `{name}`", holds=path)
        for word, value, below, told, behind in _of_step(step):
            if word == "items" and id(step) in never_empty:
                continue
            inner = (*path, *behind) if behind else None
            yield Branch(playbook.name, path, word, value, (*path, *below), f"`{name}`: {told}", inner)


def _of_step(step: Step) -> Iterator[tuple[str, Any, Path, str, Path]]:
    """What can become of a step: a word with its value, where it stands below the step, and what lies behind it."""
    for word in ("when", "unless"):
        if getattr(step, word) is not None:
            yield from _both(word, (word,))
    yield from _of_kind(step)
    if step.on_error != "fail":
        yield "on_error", True, ("on_error",), "no test in which it fails", ("on_error",)


def _of_kind(step: Step) -> Iterator[tuple[str, Any, Path, str, Path]]:
    match step:
        case ApprovalStep():
            if step.approval.auto:
                yield from _both("auto", ("approval", "auto"))
            yield "silence", True, ("approval",), "no test in which nobody answers", ()
        case AskStep():
            yield "silence", True, ("ask",), "no test in which nobody answers", ()
        case IfStep():
            yield from _both("if", ("if",), ("then",), ("else",))
        case SwitchStep():
            yield from _cases(step)
        case ForEachStep() if isinstance(step.for_each.items, str):
            yield "items", 0, ("for_each", "items"), "no test with an empty list", ()
        case RepeatStep():
            yield from _both("until", ("repeat", "until"))
            yield "turns", "out", ("repeat", "times"), "no test in which it runs out of turns", ()
        case WaitStep() if step.wait.alert is not None:
            yield "expired", True, ("wait", "within"), "no test in which no alert comes in time", ()
        case _:
            pass


def _both(word: str, below: Path, then: Path = (), otherwise: Path = ()) -> Iterator[tuple[str, Any, Path, str, Path]]:
    yield word, True, below, f"no test in which `{word}` holds", then
    yield word, False, below, f"no test in which `{word}` does not hold", otherwise


def _cases(step: SwitchStep) -> Iterator[tuple[str, Any, Path, str, Path]]:
    for literal in step.cases:
        yield "case", literal, ("cases", literal), f"no test of the case `{literal}`", ("cases", literal)
    if step.default is not None:
        yield "case", None, ("default",), "no test of its default", ("default",)


def _all_steps(model: PlaybookDocument) -> Iterator[tuple[Path, str, Step]]:
    """Every step with its place in the document, and its name."""
    yield from _steps(model.steps, ("steps",))
    yield from _steps(model.on_failure, ("on_failure",))


def _steps(steps: tuple[Step, ...], path: Path) -> Iterator[tuple[Path, str, Step]]:
    for index, (name, step) in enumerate(named(steps)):
        here = (*path, index)
        yield here, name, step
        for below, inner in inside(step):
            yield from _steps(inner, (*here, *below))
