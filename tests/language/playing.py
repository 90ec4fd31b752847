"""Playbooks written in a few lines and played in simulation, for tests of what the interpreter does with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import dedent, indent
from types import MappingProxyType
from typing import Any, TypeVar

from orchestrator.actions.catalog import scan
from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability, Effect, Parameters, Result
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    ApprovalRequest,
    Decision,
    RunContext,
    StepStatus,
    Trace,
)
from orchestrator.language.interpreter import Run, RunResult, begin, carry_out
from orchestrator.language.interpreter.scope import State
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.clock import in_virtual_time
from orchestrator.language.simulator.host import SimulatedHost
from orchestrator.language.simulator.world import World
from orchestrator.language.tested import Test
from orchestrator.language.yaml_reader import read_yaml

Host = TypeVar("Host", bound="LabHost")
START = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)


class Thing(Parameters):
    """What the actions of these tests are about."""

    what: str
    size: int | None = None
    at: datetime | None = None


class Found(Result):
    """What they find."""

    what: str
    value: int = 0
    names: tuple[str, ...] = ()


look = Capability("lab.look", Thing, Found, Effect.READ, "Look at a thing.", target="what")
note = Capability("lab.note", Thing, Found, Effect.ADDITIVE, "Write about a thing.", target="what")
hold = Capability("lab.hold", Thing, Found, Effect.REVERSIBLE, "Hold a thing.", target="what", inverse="lab.release")
release = Capability("lab.release", Thing, Found, Effect.REVERSIBLE, "Let it go.", target="what", inverse="lab.hold")
burn = Capability("lab.burn", Thing, Found, Effect.IRREVERSIBLE, "Burn a thing.", target="what")
CAPABILITIES = {**scan().capabilities, **{one.name: one for one in (look, note, hold, release, burn)}}
ALERT = Alert.model_validate(
    {
        "id": "1",
        "key": "lab/1",
        "time": START.isoformat(),
        "severity": "medium",
        "title": "something happened",
        "product": {"name": "lab"},
        "source": {"ip": "203.0.113.7"},
    }
)


def playbook(steps: str, *, name: str = "played", uses: Mapping[str, Playbook] | None = None, **parts: Any) -> Playbook:
    """A playbook of these steps; `parts` are its other keys."""
    text = f"title: played\nsteps:\n{indent(dedent(steps), '  ')}"
    document = {"trigger": {"match": "true", "key": "alert.source.ip"}, **read_yaml(text, "played.yaml").data, **parts}
    return Playbook(name, document, uses)


@dataclass
class LabWorld(World):
    """A world that remembers every attempt, when each step's last one ended, and what people were shown."""

    attempts: list[ActionCall] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    cards: list[ApprovalRequest] = field(default_factory=list)


class LabHost(SimulatedHost):
    """A simulated host whose actions take time: `takes` are the seconds, by step."""

    world: LabWorld
    takes: Mapping[str, float] = MappingProxyType({})
    in_flight = 0

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        self.world.attempts.append(call)
        self.in_flight += 1
        try:
            await asyncio.sleep(self.takes.get(call.step, 0.0))
            outcome = await super().act(call, traces)
            self.world.times[call.step] = self.passed()
            return outcome
        finally:
            self.in_flight -= 1

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        self.world.cards.append(request)
        return await super().ask(request, traces)

    def passed(self) -> float:
        """Seconds since the start."""
        return (self.now() - self.world.start).total_seconds()


@dataclass
class Played:
    """What came of a playbook."""

    run: Run
    result: RunResult
    world: LabWorld
    seconds: float

    @property
    def calls(self) -> list[str]:
        """The steps that called an action, in order."""
        return [call.names[0] for call in self.world.calls]

    @property
    def sent(self) -> list[Any]:
        """What the calls were about."""
        return [call.parameters["what"] for call in self.world.calls]

    @property
    def asked(self) -> list[str]:
        """The steps that asked people."""
        return [asked.names[0] for asked in self.world.asked]

    @property
    def undone(self) -> list[str]:
        """The steps whose effects were undone."""
        return [hold.path[-1] for hold in self.world.effects.undone]

    @property
    def statuses(self) -> dict[str, str]:
        """What became of each step."""
        return {name: str(status) for name, status in self.result.steps.items()}

    @property
    def steps(self) -> dict[str, State]:
        """The steps as expressions saw them in the end."""
        return self.run.scope.steps

    @property
    def vars(self) -> dict[str, Any]:
        """The `vars` in the end."""
        return self.run.scope.vars

    @property
    def failed(self) -> bool:
        """Whether the run failed."""
        return self.result.status is StepStatus.FAILED

    @property
    def error(self) -> tuple[str | None, str]:
        """Where and as what it failed."""
        return self.result.failed_step, str(self.result.error.kind) if self.result.error else ""

    def traces(self, step: str, kind: str = "step.ended") -> list[dict[str, Any]]:
        """What was noted of a step."""
        return [one.body for one in self.world.traces if one.step == step and one.type == kind]


@dataclass
class Happening:
    """What a played run meets: answers, the time that actions take, alerts that join, somebody who ends it."""

    given: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    takes: Mapping[str, float] = field(default_factory=dict)
    joins: Sequence[tuple[float, Mapping[str, Any]]] = ()
    cancelled_after: float | None = None
    alert: Alert | None = ALERT
    inputs: Mapping[str, Any] = field(default_factory=dict)
    site: Mapping[str, Any] = field(default_factory=lambda: {"lists": {}, "calendars": {}})
    mode: str = "live"
    case: str | None = None


def play(steps: str | Playbook, uses: Mapping[str, Playbook] | None = None, **words: Any) -> Played:
    """Carry a playbook out; words of `Happening` say what it meets, others are keys of the playbook."""
    meets = {word: words.pop(word) for word in [*words] if word in Happening.__dataclass_fields__}
    happening = Happening(**meets)
    played = steps if isinstance(steps, Playbook) else playbook(steps, uses=uses, **words)
    return in_virtual_time(_played(played, happening))


def world_of(happening: Happening) -> LabWorld:
    """Where it happens."""
    test = Test.model_validate(
        {"name": "played", "given": happening.given, "answers": happening.answers, "expect": {}}
    )  # fmt: skip
    return LabWorld(test, CAPABILITIES, START, happening.site)


def host_of(played: Playbook, world: LabWorld, happening: Happening, kind: type[Host] = LabHost) -> Host:
    """The host of a run in it."""
    context = RunContext(
        run="played/a/1", playbook=played.name, digest=played.digest, event="lab/1", workflow_id="w", first_run_id="f",
        mode=happening.mode, case=happening.case,
    )  # fmt: skip
    alert = happening.alert
    host = kind(world, played, context, severity=alert.severity if alert else None)
    host.takes = happening.takes
    return host


async def joined_later(host: LabHost, joins: Sequence[tuple[float, Mapping[str, Any]]]) -> None:
    """Alerts join the run."""
    for number, (after, own) in enumerate(joins, 2):
        await asyncio.sleep(after - host.passed())
        host.join(another_alert(number, own))


def another_alert(number: int, own: Mapping[str, Any]) -> Alert:
    """One of the same source."""
    plain = ALERT.model_dump(mode="json", exclude_none=True)
    return Alert.model_validate({**plain, "id": str(number), "key": f"lab/{number}", **own})


async def _played(played: Playbook, happening: Happening) -> Played:
    world = world_of(happening)
    host = host_of(played, world, happening)
    run = begin(played, host, CAPABILITIES, alert=happening.alert, inputs=happening.inputs, site=happening.site)
    beside = [asyncio.ensure_future(joined_later(host, happening.joins))]
    if happening.cancelled_after is not None:
        beside.append(asyncio.ensure_future(_cancelled(host, happening.cancelled_after)))
    result = await carry_out(run)
    world.traces += result.traces
    for one in beside:
        one.cancel()
    return Played(run, result, world, host.passed())


async def _cancelled(host: LabHost, after: float) -> None:
    await asyncio.sleep(after)
    host.end()
