"""Steps that hold steps: groups, branches, loops."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from orchestrator.contract.values import Severity
from orchestrator.errors import ExpressionError, FailureKind
from orchestrator.language.expressions import compile_value, plain
from orchestrator.language.expressions.values import is_absent, text_of
from orchestrator.language.host import StepError, StepStatus
from orchestrator.language.interpreter.ends import (
    Crew,
    RunStopped,
    StepFailed,
    all_of,
    invalid,
    leave_if_cancelled,
)
from orchestrator.language.interpreter.run import Run
from orchestrator.language.interpreter.scope import Path, Place, Scope, State, changed, told
from orchestrator.language.model import (
    DoStep,
    ForEach,
    ForEachStep,
    IfStep,
    ParallelStep,
    RepeatStep,
    Step,
    SwitchStep,
    named,
)
from orchestrator.language.outputs import Counts

MOST_ITEMS = 10_000


async def do(run: Run, name: str, step: DoStep, here: Path, scope: Scope) -> State:
    """One after the other."""
    await run.all(step.do, here, scope)
    return told(StepStatus.SUCCEEDED)


async def if_(run: Run, name: str, step: IfStep, here: Path, scope: Scope) -> State:
    """The branch that the condition chooses."""
    await run.all(*_branch(run, name, step, here, scope), scope)
    return told(StepStatus.SUCCEEDED)


def _branch(run: Run, name: str, step: IfStep, here: Path, scope: Scope) -> tuple[tuple[Step, ...], Path]:
    holds = run.once(here, "if", lambda: _decided(run, name, step, here, scope))
    return (step.then, (*here, "then")) if holds else (step.else_, (*here, "else"))


def _decided(run: Run, name: str, step: IfStep, here: Path, scope: Scope) -> bool:
    holds, told_of = run.condition(name, "if", step.if_, scope)
    run.trace("step.decided", name, here[:-1], {"if": told_of})
    run.saw(step, "if", holds)
    return holds


async def switch(run: Run, name: str, step: SwitchStep, here: Path, scope: Scope) -> State:
    """The branch of the value."""
    case = run.once(here, "case", lambda: _case(run, name, step, here, scope))
    steps = step.cases[case] if case is not None else step.default or ()
    await run.all(steps, (*here, f"case {case}" if case is not None else "default"), scope)
    return told(StepStatus.SUCCEEDED)


def _case(run: Run, name: str, step: SwitchStep, here: Path, scope: Scope) -> str | None:
    """The literal that the value is; none where no case fits."""
    value = _value(run, name, "switch", step.switch, scope)
    found = next((literal for literal in step.cases if _is(value, literal)), None)
    run.trace("step.decided", name, here[:-1], {"switch": step.switch, "value": plain(value), "case": found})
    run.saw(step, "case", found)
    return found


def _is(value: Any, literal: str) -> bool:
    """Whether a value is the literal of a case: compared as its own type reads it."""
    if is_absent(value):
        return literal in ("null", "none")
    if isinstance(value, Severity):
        return str(value) == literal.lower()
    if isinstance(value, float) and value.is_integer():
        return text_of(int(value)) == literal  # as `==` has it: 5.0 is 5
    parse = getattr(type(value), "parse", None)
    if parse is not None:
        try:
            return str(parse(literal)) == str(value)
        except ValueError:
            return False
    return text_of(value) == literal


def _value(run: Run, name: str, word: str, source: str, scope: Scope) -> Any:
    try:
        return compile_value(source).value(run.names(scope))
    except ExpressionError as error:
        raise invalid(name, f"{word}: {error}") from None


async def parallel(run: Run, name: str, step: ParallelStep, here: Path, scope: Scope) -> State:
    """All branches finish; the first failure in the order of the list is the step's."""
    before = scope.branch()
    branches = [(branch, inner, scope.branch()) for branch, inner in named(step.parallel)]
    works: list[Awaitable[None]] = [run.one(branch, inner, here, view) for branch, inner, view in branches]
    try:
        ends = await all_of(works, fail_fast=step.fail_fast)
    except asyncio.CancelledError:
        _take_over(scope, before, [view for _, _, view in branches])
        raise
    _take_over(scope, before, [view for _, _, view in branches])
    _raise_first(ends)
    return told(StepStatus.SUCCEEDED)


def _take_over(scope: Scope, before: Scope, views: list[Scope]) -> None:
    for view in views:
        scope.take_over(view, before)


def _raise_first(ends: list[BaseException | None]) -> None:
    """A stop goes before failures, those before what was cut short because of them."""
    for kind in (RunStopped, StepFailed, BaseException):
        for end in ends:
            if isinstance(end, kind):
                raise end


@dataclass
class Loop:
    """A `for_each` under way: its items, and of each that has ended what it came to."""

    items: list[Any]
    done: dict[int, dict[str, Any]] = field(default_factory=dict)

    def marked(self) -> dict[str, Any]:
        """As a mark of the run's progress: it changes with the loop."""
        return {"items": self.items, "done": self.done}


async def for_each(run: Run, name: str, step: ForEachStep, here: Path, scope: Scope) -> State:
    """The steps once for each item, some of them side by side."""
    loop = _loop(run, name, step.for_each, here, scope)
    run.saw(step, "items", len(loop.items))
    waiting = deque(index for index in range(len(loop.items)) if index not in loop.done)
    free = asyncio.Semaphore(step.for_each.concurrency)

    def vacant() -> None:
        if waiting:
            crew.join(work())

    async def work() -> None:
        place = Place(free, vacant)
        await place.enter()
        try:
            while waiting:
                leave_if_cancelled()
                index = waiting.popleft()
                loop.done[index] = await _item(run, name, step, here, scope.at(place), loop, index)
                run.progress.forget((*here, _place(index, loop.items[index])))
        finally:
            place.leave()

    crew = Crew([work() for _ in range(min(step.for_each.concurrency, len(loop.items)))])
    ends = await crew.ends()
    _raise_first(ends)
    return _looped(name, step, loop)


def _loop(run: Run, name: str, each: ForEach, here: Path, scope: Scope) -> Loop:
    """The loop as it stands: its items are read once."""
    mark = run.once(here, "loop", lambda: Loop(_items(run, name, each, scope)).marked())
    done = mark["done"] = {int(index): one for index, one in mark["done"].items()}
    return Loop(mark["items"], done)


def _items(run: Run, name: str, each: ForEach, scope: Scope) -> list[Any]:
    if isinstance(each.items, str):
        value = _value(run, name, "items", each.items, scope)
    else:
        value = run.typed(name, each.items, scope, "items")
    if not isinstance(value, list | tuple):
        raise invalid(name, "items: not a list")
    if len(value) > MOST_ITEMS:
        raise invalid(name, f"items: {len(value)} items, and a loop takes {MOST_ITEMS}")
    return list(value)


def _place(index: int, item: Any) -> str:
    """The item in the path: its index, and a hash of it, so that another list gives no item another's results."""
    canonical = orjson.dumps(plain(item), option=orjson.OPT_SORT_KEYS)
    return f"{index}:{hashlib.sha256(canonical).hexdigest()[:12]}"


def _inner(each: ForEach, scope: Scope, loop: Loop, index: int) -> Scope:
    count = len(loop.items)
    about = {"index": index + 1, "first": index == 0, "last": index == count - 1, "length": count}
    return scope.with_own(**{each.as_: loop.items[index], "loop": about})


async def _item(
    run: Run, name: str, step: ForEachStep, here: Path, scope: Scope, loop: Loop, index: int
) -> dict[str, Any]:
    """One item to its end: what is collected of it, and its failure if it failed."""
    inner = _inner(step.for_each, scope, loop, index)
    before, path = inner.branch(), (*here, _place(index, loop.items[index]))
    try:
        await run.all(step.for_each.steps, path, inner)
        return {"collect": _collected(run, name, step.for_each, inner)}
    except StepFailed as failure:
        failed = failure
    inner.steps[name] = told(StepStatus.FAILED, None, failed.error)
    run.none_reached(step.for_each.steps, before, inner)
    final = await _handled(run, step, path, inner)
    failed = final or failed
    try:
        collect = _collected(run, name, step.for_each, inner)
    except StepFailed:
        collect = None
    error = failed.error.model_dump(mode="json")
    return {"collect": collect, "step": failed.step, "error": error, "final": final is not None}


async def _handled(run: Run, step: ForEachStep, path: Path, inner: Scope) -> StepFailed | None:
    """What `on_error` says of an item that failed; the failure of that, where it fails itself."""
    if isinstance(step.on_error, str):
        return None
    try:
        await run.all(step.on_error, (*path, "on_error"), inner)
    except StepFailed as failed:
        return failed
    return None


def _collected(run: Run, name: str, each: ForEach, inner: Scope) -> Any:
    if each.collect is None:
        return None
    return run.typed(name, each.collect, inner, "collect")


def _looped(name: str, step: ForEachStep, loop: Loop) -> State:
    """The state of the whole loop. It fails with the first failure in the order of the list.

    A failure that `on_error` could not deal with goes before those that it could.
    """
    ended = [loop.done[index] for index in range(len(loop.items))]
    failures = [one for one in ended if "error" in one]
    counts = Counts(total=len(ended), succeeded=len(ended) - len(failures), failed=len(failures))
    collect = [one["collect"] for one in ended] if step.for_each.collect is not None else []
    output = {"collect": collect, "counts": counts}
    if not failures:
        return told(StepStatus.SUCCEEDED, output)
    first = next((one for one in failures if one["final"]), failures[0])
    final = first["final"] or step.on_error == "fail"
    raise StepFailed(
        first["step"] if final else name, StepError.model_validate(first["error"]), output, final=first["final"]
    )


async def repeat(run: Run, name: str, step: RepeatStep, here: Path, scope: Scope) -> State:
    """Turn after turn until the condition holds; each sees the steps of the one before until its own have run."""
    before = scope.branch()
    behind = run.once(here, "turns", lambda: {"turn": 0, "steps": {}, "vars": {}})
    scope.steps.update(behind["steps"])
    scope.vars.update(behind["vars"])
    while behind["turn"] < step.repeat.times:
        turn = behind["turn"] + 1
        if await _turn(run, name, step, (*here, f"turn {turn}"), scope.naming(loop=_turns(turn, step))):
            run.trace("step.decided", name, here[:-1], {"turns": turn})
            return told(StepStatus.SUCCEEDED)
        run.progress.forget((*here, f"turn {turn}"))
        behind |= {
            "turn": turn, "steps": changed(before.steps, scope.steps), "vars": changed(before.vars, scope.vars)
        }  # fmt: skip
    run.saw(step, "turns", "out")
    message = f"not within {step.repeat.times} turns: {step.repeat.until}"
    raise StepFailed(name, StepError(kind=FailureKind.TIMEOUT, message=message))


def _turns(turn: int, step: RepeatStep) -> dict[str, Any]:
    return {"index": turn, "first": turn == 1, "last": turn == step.repeat.times, "length": step.repeat.times}


async def _turn(run: Run, name: str, step: RepeatStep, path: Path, scope: Scope) -> bool:
    """One turn and the pause after it; whether it was the last. Steps that it did not reach show nothing older."""
    before = scope.branch()
    try:
        await run.all(step.repeat.steps, path, scope)
    except StepFailed:
        run.none_reached(step.repeat.steps, before, scope)
        raise
    scope.now = run.once(path, "ended", run.host.now)
    holds = run.once(path, "until", lambda: run.condition(name, "until", step.repeat.until, scope)[0])
    run.saw(step, "until", holds)
    if not holds and not scope.own["loop"]["last"]:
        await run.sleep_until(run.deadline(path, step.repeat.every))
        leave_if_cancelled()
    return bool(holds)


def entered(
    run: Run, name: str, step: Step, here: Path, scope: Scope, wanted: str
) -> Iterator[tuple[Path, tuple[Step, ...], Scope]]:
    """The lists of steps inside a container that will be carried out, as far as is known now."""
    holds, _ = run.gate(name, step, scope)
    if not holds:
        return
    match step:
        case ForEachStep():
            items = _items(run, name, step.for_each, scope)
            for index, item in enumerate(items):
                inner = _inner(step.for_each, scope, Loop(items), index)
                yield (*here, _place(index, item)), step.for_each.steps, inner
        case IfStep():
            taken, _ = run.condition(name, "if", step.if_, scope)
            yield (*here, "then" if taken else "else"), step.then if taken else step.else_, scope
        case SwitchStep():
            value = _value(run, name, "switch", step.switch, scope)
            case = next((literal for literal in step.cases if _is(value, literal)), None)
            steps = step.cases[case] if case is not None else step.default or ()
            yield (*here, f"case {case}" if case is not None else "default"), steps, scope
        case DoStep():
            yield here, step.do, scope
        case ParallelStep():
            yield here, step.parallel, scope
        case _:
            raise invalid(name, f"`{wanted}` stands where nobody can say beforehand what it will do")
