"""Playbook tests: the same interpreter against simulated actions and people, with time skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from orchestrator.alerts.alert import Alert
from orchestrator.errors import FailureKind, TocsinError
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    ApprovalRequest,
    Decision,
    Joined,
    RunContext,
    StepError,
    StepStatus,
    Trace,
)
from orchestrator.language.interpreter import Capabilities, RunResult, run_playbook
from orchestrator.language.model import ParallelStep, Test
from orchestrator.language.program import Playbook, every_step

Decode = Callable[[bytes], Alert]
START = datetime(2026, 1, 1, tzinfo=UTC)


class TestMistake(TocsinError):
    """A test cannot be carried out as it is written."""

    __test__ = False


@dataclass(frozen=True)
class TestReport:
    """What came of a test: `problems` is empty where it passed."""

    __test__ = False

    playbook: str
    name: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.problems


@dataclass
class SimulatedHost:
    """The world of a test."""

    context: RunContext
    capabilities: Capabilities
    test: Test
    time: datetime = START
    calls: list[ActionCall] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _used: dict[str, int] = field(default_factory=dict)

    def now(self) -> datetime:
        """The simulated clock."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Skip the time."""
        self.time += timedelta(seconds=seconds)

    def joined(self) -> Joined:
        """Nothing joins in this version of the tests."""
        return Joined()

    def seen(self, count: int) -> None:
        """Nothing joins."""

    @property
    def stopped(self) -> bool:
        """Nobody cancels."""
        return False

    def clean_up(self) -> None:
        """Nothing is held back."""

    def show(self, state: str) -> None:
        """Nobody looks."""

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """Answer as the test says, or with the least that the capability's model allows."""
        if call.attempt == 1:
            self.calls.append(call)
        capability = self.capabilities[call.action]
        parameters = capability.takes.model_validate(call.parameters)
        answer = self._given(call)
        if "fails" in answer:
            kind = FailureKind(answer["fails"])
            return ActionOutcome(status=StepStatus.FAILED, error=StepError(kind=kind, message="the test says so"))
        output = {**capability.imagine(parameters).model_dump(mode="json"), **answer}
        try:
            capability.gives.model_validate(output)
        except ValidationError as error:
            raise TestMistake(f"given {call.action}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None
        return ActionOutcome(status=StepStatus.SUCCEEDED, output=output)

    def _given(self, call: ActionCall) -> dict[str, Any]:
        for name in (f"steps.{call.step}", call.step, call.action):
            if name not in self.test.given:
                continue
            given = self.test.given[name]
            if not isinstance(given, list):
                return dict(given)
            place = self._used.get(name, 0)
            self._used[name] = place + 1
            if place >= len(given):
                raise TestMistake(f"given {name}: it is called more than {len(given)} times")
            return dict(given[place])
        return {}

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        """Answer as the test says."""
        if request.auto_reason is not None:
            return Decision(status=StepStatus.SUCCEEDED, approval=request.step, auto=True, at=self.time)
        self.asked.append(request.step)
        answer = self.test.answers.get(request.step)
        if answer is None:
            raise TestMistake(f"`{request.step}` asks, and the test has no answer for it; add it below `answers:`")
        if answer == "expire":
            self.time = request.deadline or self.time
            status = {"deny": StepStatus.EXPIRED, "fail": StepStatus.FAILED, "approve": StepStatus.SUCCEEDED}
            return Decision(status=status[request.otherwise], approval=request.step, trust="silence", at=self.time)
        status_of = {"approve": StepStatus.SUCCEEDED, "deny": StepStatus.DENIED}
        return Decision(
            status=status_of[answer], approval=request.step, by="somebody", trust="unverified", at=self.time
        )


def simulate(playbook: Playbook, test: Test, capabilities: Capabilities, samples: Path, decode: Decode) -> TestReport:
    """Carry out one test."""
    try:
        alert = _alert(test, samples, decode)
        problems = _simulated(playbook, test, alert, capabilities)
    except (TestMistake, TocsinError) as mistake:
        problems = [str(mistake)]
    return TestReport(playbook.name, test.name, tuple(problems))


def simulate_all(playbook: Playbook, capabilities: Capabilities, samples: Path, decode: Decode) -> list[TestReport]:
    """Carry out every test of a playbook."""
    return [simulate(playbook, test, capabilities, samples, decode) for test in playbook.model.tests]


def _simulated(playbook: Playbook, test: Test, alert: Alert, capabilities: Capabilities) -> list[str]:
    reason = playbook.match.explain({"alert": alert, "now": START})
    if reason.holds is not test.expect.starts:
        values = ", ".join(f"{path} = {value!r}" for path, value in reason.values.items())
        return [f"expected {'a start' if test.expect.starts else 'no start'}, and `match` is {reason.holds}: {values}"]
    if not reason.holds:
        return []
    context = RunContext(
        run=f"{playbook.name}/a/test", playbook=playbook.name, digest=playbook.digest, event="test",
        workflow_id="test", first_run_id="test", mode=playbook.model.mode,
    )  # fmt: skip
    host = SimulatedHost(context, capabilities, test)
    result = asyncio.run(run_playbook(playbook, alert, host, capabilities))
    free = any(isinstance(step, ParallelStep) for step in every_step(playbook.model.steps))
    return _compared(test, host, result, free_order=free)


def _compared(test: Test, host: SimulatedHost, result: RunResult, *, free_order: bool) -> list[str]:
    problems = []
    expect = test.expect
    called = [call.action for call in host.calls]
    ended = "success" if result.status is StepStatus.SUCCEEDED else "failure"
    if (expect.ends or "success") != ended:
        reason = f" at `{result.failed_step}`: {result.error.message}" if result.error else ""
        problems.append(f"expected {expect.ends or 'success'}, and it ended in {ended}{reason}")
    if expect.calls is not None:
        wanted = [one if isinstance(one, str) else next(iter(one)) for one in expect.calls]
        if wanted != called and not (free_order and sorted(wanted) == sorted(called)):
            problems.append(f"expected the calls {wanted}, and there were {called}")
        problems += _parameters(expect.calls, host.calls)
    problems += [f"{name} was called" for name in expect.not_called if name in called]
    if expect.asked is not None and list(expect.asked) != host.asked:
        problems.append(f"expected the questions {list(expect.asked)}, and there were {host.asked}")
    return problems


def _parameters(wanted: tuple[str | dict[str, dict[str, Any]], ...], calls: list[ActionCall]) -> list[str]:
    problems = []
    for one in wanted:
        if isinstance(one, str):
            continue
        name, parameters = next(iter(one.items()))
        sent = [call.parameters for call in calls if call.action == name]
        if not any(all(given.get(key) == value for key, value in parameters.items()) for given in sent):
            problems.append(f"{name} was not called with {parameters}, but with {sent}")
    return problems


def _alert(test: Test, samples: Path, decode: Decode) -> Alert:
    own = dict(test.alert)
    sample = own.pop("from", None)
    base: dict[str, Any] = {
        "id": "test", "key": "test/test", "time": START.isoformat(), "severity": "medium", "title": "test",
        "product": {"name": "test"},
    }  # fmt: skip
    if sample is not None:
        path = (samples / str(sample)).resolve()
        if not path.is_relative_to(samples.resolve()) or not path.is_file():
            raise TestMistake(f"from: there is no sample {sample} below {samples}")
        base = orjson.loads(decode(path.read_bytes()).model_dump_json(exclude_none=True))
    try:
        return Alert.model_validate(_merged(base, own))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise TestMistake(f"alert.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in own.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
