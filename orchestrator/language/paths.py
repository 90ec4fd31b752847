"""The paths of a run, as ledger keys and records hold them: through which steps they lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.language.model import (
    DoStep,
    ForEachStep,
    IfStep,
    ParallelStep,
    PlaybookDocument,
    RepeatStep,
    Step,
    SwitchStep,
    named,
)

Path = tuple[str, ...]
OWN_WORDS = frozenset({"on_error", "on_failure", "undo_on_failure", "then", "else", "default"})
"""what stands in paths beside the ids of steps, and so is none"""
_ITEM = re.compile(r"([0-9]+):[0-9a-f]{12}")
_TURN = re.compile(r"turn ([0-9]+)")


@dataclass(frozen=True)
class Stage:
    """A step on the way: the path of the list that it stands in, and what comes after it there: nothing in a branch."""

    path: Path
    name: str
    step: Step
    later: tuple[tuple[str, Step], ...]


def stages(model: PlaybookDocument, path: Path) -> Iterator[Stage]:
    """The steps that a path leads through, from the outermost to the one that it names."""
    base: Path = ()
    rest, steps = path, model.steps
    if path[:1] == ("on_failure",):
        base, rest, steps = path[:1], path[1:], model.on_failure
    branches = False
    while rest:
        listed = named(steps)
        place = next((place for place, (name, _) in enumerate(listed) if name == rest[0]), None)
        if place is None:
            return
        name, step = listed[place]
        yield Stage(base, name, step, () if branches else tuple(listed[place + 1 :]))
        parts, steps = _below(step, rest[1:])
        branches = isinstance(step, ParallelStep) and parts == 0
        base, rest = (*base, *rest[: 1 + parts]), rest[1 + parts :]


def _below(step: Step, rest: Path) -> tuple[int, tuple[Step, ...]]:
    """Into which list of the step the path goes on, and how many of its parts say so."""
    first, handlers = rest[:1], step.on_error if not isinstance(step.on_error, str) else None
    if handlers is not None and first == ("on_error",):
        return 1, handlers
    if handlers is not None and isinstance(step, ForEachStep) and rest[1:2] == ("on_error",):
        return 2, handlers
    match step:
        case ParallelStep():
            return 0, step.parallel
        case DoStep():
            return 0, step.do
        case ForEachStep():
            return 1, step.for_each.steps
        case RepeatStep():
            return 1, step.repeat.steps
        case IfStep():
            return 1, step.then if first == ("then",) else step.else_
        case SwitchStep():
            return 1, next(
                (steps for case, steps in step.cases.items() if first == (f"case {case}",)), step.default or ()
            )
        case _:
            return 0, ()


def of_another_item(path: Path, other: Path) -> bool:
    """Whether two steps stand in different items of one loop: there a step's id means that of the same item."""
    apart = next(((one, two) for one, two in zip(path, other, strict=False) if one != two), None)
    return apart is not None and all(_ITEM.fullmatch(part) for part in apart)


def shown(path: Path) -> str:
    """A step as people name it: its id, with the items of the loops around it, as `people[0].asked`."""
    parts = []
    for place, part in enumerate(path):
        if item := _ITEM.fullmatch(part):
            parts.append(f"{path[place - 1]}[{item[1]}]")
        elif turn := _TURN.fullmatch(part):
            parts.append(f"{path[place - 1]}[{int(turn[1]) - 1}]")
    return ".".join([*parts, *path[-1:]])


def step_names(prefixes: tuple[str, ...], shown: str, name: str) -> tuple[str, ...]:
    """What a test may call a step, the most special first; `prefixes` are of the steps that call its playbook."""
    told = [f"{prefix}{one}" for prefix in prefixes for one in (shown, name)]
    return tuple(dict.fromkeys((*told, shown, name)))


def prefixes_below(prefixes: tuple[str, ...], shown: str, name: str) -> tuple[str, ...]:
    """What stands before the names of the steps of the playbook that this step calls, the most special first."""
    told = (f"{prefix}{one}." for prefix in prefixes or ("",) for one in (shown, name))
    return tuple(dict.fromkeys(told))
