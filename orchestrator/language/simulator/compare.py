"""What a test expects, against what happened: each difference in the words of somebody who has to mend one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.contract.values import NormalisedText, Severity
from orchestrator.language.expressions import plain
from orchestrator.language.host import StepStatus
from orchestrator.language.interpreter import Capabilities, RunResult
from orchestrator.language.model import ActionStep, every_step
from orchestrator.language.packing import packer_for
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.answers import fits
from orchestrator.language.simulator.starts import moment
from orchestrator.language.simulator.world import Happened, World
from orchestrator.language.tested import Test

MOST_LOOKS = 20_000
"""orders that are tried before two lists count as different"""
Wanted = str | dict[str, dict[str, Any]]


def differences(playbook: Playbook, test: Test, world: World, result: RunResult) -> Iterator[str]:
    """Everything that is not as the test expects."""
    yield from _end(test, result)
    yield from _calls(playbook, test, world)
    yield from _asked(test, world)
    yield from _undone(test, world)
    if test.expect.outputs is not None:
        yield from _outputs(test.expect.outputs, packer_for(world.capabilities).unpack(result.outputs))


def _end(test: Test, result: RunResult) -> Iterator[str]:
    ended = "success" if result.status is StepStatus.SUCCEEDED else "failure"
    if (test.expect.ends or "success") != ended:
        at = f" at `{result.failed_step}`" if result.failed_step else ""
        why = f"{at}: {result.error.kind}, {result.error.message}" if result.error else ""
        yield f"ends: expected {test.expect.ends or 'success'}; it ended in {ended}{why}"


def _calls(playbook: Playbook, test: Test, world: World) -> Iterator[str]:
    called = [one.action for one in world.calls]
    for name in test.expect.not_called:
        if name in called:
            yield f"not_called: {name} was called, by `{world.calls[called.index(name)].names[0]}`"
    wanted = test.expect.calls
    if wanted is None or in_order(wanted, world.calls, lambda one, call: _fits(world.capabilities, one, call)):
        return
    names = [_action(one) for one in wanted]
    yield _both("calls", names, called)
    yield from _missing(playbook, names, called, world)
    if sorted(names) == sorted(called):
        yield from _parameters(wanted, world)


def _missing(playbook: Playbook, names: Sequence[str], called: Sequence[str], world: World) -> Iterator[str]:
    """Why an action that was expected was not called, as far as the run's records say."""
    missing = {name for name in names if names.count(name) > called.count(name)}
    for step in every_step((*playbook.model.steps, *playbook.model.on_failure)):
        if not isinstance(step, ActionStep) or step.action not in missing or step.id is None:
            continue
        told = [one.body for one in world.traces if one.step == step.id and one.type == "step.ended"]
        if not told:
            yield f"`{step.id}` ({step.action}) was not reached"
        elif told[-1].get("status") == StepStatus.SKIPPED:
            yield f"`{step.id}` ({step.action}) was skipped: {_why(told[-1])}"


def _why(body: Mapping[str, Any]) -> str:
    if "approval" in body:
        return f"its approval: {body['approval']}"
    said = []
    for word in ("when", "unless"):
        if isinstance(body.get(word), dict):
            read = ", ".join(f"{path} = {value!r}" for path, value in body[word]["values"].items())
            said.append(f"{word}: {body[word]['condition']} ({read})")
    return "; ".join(said)


def _parameters(wanted: Sequence[Wanted], world: World) -> Iterator[str]:
    """The parameters that no call of the action was sent with."""
    for one in wanted:
        if isinstance(one, str) or any(_fits(world.capabilities, one, call) for call in world.calls):
            continue
        (name, parameters), *_ = one.items()
        sent = [{word: call.parameters.get(word) for word in parameters} for call in world.calls if call.action == name]
        yield f"{name}: expected {parameters}; sent: {', '.join(map(str, sent))}"


def _asked(test: Test, world: World) -> Iterator[str]:
    wanted = test.expect.asked
    if wanted is not None and not in_order(wanted, world.asked, lambda one, asked: one in asked.names):
        yield _both("asked", wanted, [one.names[0] for one in world.asked])


def _undone(test: Test, world: World) -> Iterator[str]:
    wanted, undone = test.expect.undone, world.effects.undone
    if wanted is None:
        return
    if len(wanted) != len(undone) or any(one not in hold.names for one, hold in zip(wanted, undone, strict=True)):
        yield _both("undone", wanted, [hold.path[-1] if len(hold.steps) == 1 else hold.names[0] for hold in undone])


def _outputs(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in given:
            yield f"outputs: there is no `{name}`; there are: {_listed(list(given))}"
        elif not same(value, given[name]):
            yield f"outputs: `{name}`: expected {value!r}; happened: {plain(given[name])!r}"


def _both(word: str, wanted: Sequence[str], happened: Sequence[str]) -> str:
    """Two lists below one another."""
    return f"{word}: expected {_listed(wanted)}\n{' ' * len(word)}  happened {_listed(happened)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _action(wanted: Wanted) -> str:
    return wanted if isinstance(wanted, str) else next(iter(wanted))


def _fits(capabilities: Capabilities, wanted: Wanted, call: Happened) -> bool:
    if _action(wanted) != call.action:
        return False
    return isinstance(wanted, str) or fits(capabilities[call.action], wanted[call.action], call.parameters)


def same(wanted: Any, value: Any) -> bool:
    """Whether a value is the one that the author wrote, read as its own type reads it."""
    try:
        if isinstance(wanted, str) and isinstance(value, NormalisedText | Severity):
            return bool(type(value).parse(wanted) == value)
        if isinstance(wanted, str) and hasattr(value, "astimezone"):
            return bool(moment(wanted) == value)
    except ValueError:
        return False
    if isinstance(wanted, dict) and isinstance(value, dict):
        return wanted.keys() == value.keys() and all(same(wanted[name], value[name]) for name in wanted)
    if isinstance(wanted, list) and isinstance(value, list | tuple):
        return len(wanted) == len(value) and all(map(same, wanted, value))
    return bool(wanted == plain(value))


def in_order(wanted: Sequence[Any], happened: Sequence[Happened], fit: Callable[[Any, Happened], bool]) -> bool:
    """Whether the list could have happened: the same, in an order in which it may as well have come."""
    if len(wanted) != len(happened):
        return False
    if all(map(fit, wanted, happened)):
        return True
    before = [
        sum(1 << earlier for earlier in range(place) if not happened[earlier].is_beside(one))
        for place, one in enumerate(happened)
    ]
    waiting, looked = [0], set[int]()
    while waiting and len(looked) < MOST_LOOKS:
        taken = waiting.pop()  # the places of those that are behind us, as bits
        place = taken.bit_count()
        if place == len(wanted):
            return True
        looked.add(taken)
        waiting += [
            after
            for one in reversed(range(len(happened)))
            if not taken >> one & 1 and before[one] & ~taken == 0 and fit(wanted[place], happened[one])
            if (after := taken | 1 << one) not in looked
        ]
    return False
