"""Tests of playbooks, carried out on the real Temporal: actions and people answer as the test says, at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from bench.mutants.corpus import SAMPLES, Original
from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.ledger import Entry
from orchestrator.actions.rendering import canonical
from orchestrator.alerts.record import Batch, PostgresRecorder, Received
from orchestrator.alerts.requests import StartRequest
from orchestrator.errors import FailureKind
from orchestrator.language.expressions.compiled import Reason
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    AskRequest,
    RunContext,
    StepError,
    StepStatus,
    Trace,
    UndoCall,
    UndoOutcome,
)
from orchestrator.language.interpreter import RunResult
from orchestrator.language.model import PlaybookStep, every_step
from orchestrator.language.packing import packer_for
from orchestrator.language.paths import Path, prefixes_below, shown, stages
from orchestrator.language.program import Playbook
from orchestrator.language.simulator import REQUESTER, SimulatedHost, Start, play, start_of
from orchestrator.language.simulator.answers import reply_to
from orchestrator.language.simulator.compare import differences
from orchestrator.language.simulator.site import site_of, snapshot_of
from orchestrator.language.simulator.world import World
from orchestrator.language.tested import Test
from orchestrator.matching.by_hand import request_with_inputs
from orchestrator.matching.choose import ChosenPlaybook
from orchestrator.matching.match import Match
from orchestrator.workflow.above import AboveBudgets
from orchestrator.workflow.activities import Activities
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.messages import Ask
from orchestrator.workflow.questions import Questions, Recorded
from orchestrator.workflow.turns import Turns
from tests.workflow.bench import CATALOG, NOBODY, Bench

CAPABILITIES = CATALOG.capabilities
SHORT = 4.0
"""seconds of a simulated test that may be waited for"""
LONGEST = 60.0
"""seconds until a run is taken for one that never ends"""


@dataclass(frozen=True)
class Case:
    """A test of a playbook that starts it."""

    original: Original
    test: Test
    start: Start
    world: World

    @property
    def playbook(self) -> Playbook:
        """The playbook that it is a test of."""
        return self.original.folder.playbooks[self.original.name]

    def __str__(self) -> str:
        return f"{self.original.name}: {self.test.name}"


def cases_of(originals: Sequence[Original]) -> list[Case]:
    """The tests that need no time to pass and no clock of their own."""
    return [case for one in originals for case in _cases(one)]


def _cases(original: Original) -> Iterator[Case]:
    playbook = original.folder.playbooks[original.name]
    for test in playbook.model.tests:
        if not test.expect.starts or test.at or test.joins or test.schedule or "now()" in original.text:
            continue
        if test.alert is None and playbook.model.trigger.manual is None:
            continue  # nobody but other playbooks starts it
        start = start_of(playbook, test, SAMPLES)
        world = World(test, CAPABILITIES, start.at, site_of(playbook, test, original.folder.site))
        case = Case(original, test, start, world)
        if not _outside(case) and _seconds(case) <= SHORT:
            yield case


def _outside(case: Case) -> bool:
    """Whether the test says what only it can know: how a sub-playbook ends, or that somebody is known for sure."""
    steps = {step.id for step in every_step(case.playbook.model.steps) if isinstance(step, PlaybookStep)}
    given = {name.removeprefix("steps.") for name in case.test.given}
    trusted = any(isinstance(one, dict) and "trust" in one for one in case.test.answers.values())
    return bool(steps & given) or trusted


def _seconds(case: Case) -> float:
    """How long it takes in simulation."""
    played = play(case.playbook, case.test, case.start, CAPABILITIES, SAMPLES, site=case.original.folder.site)
    times = [trace.at for trace in played.world.traces]
    return (max(times) - case.start.at).total_seconds() if times else 0.0


@dataclass
class Rehearsal:
    """In the place of the gateway and of what undoes: answers each run as its test says, the same when asked again."""

    cases: dict[str, Case] = field(default_factory=dict)
    answered: dict[tuple[Any, ...], ActionOutcome] = field(default_factory=dict)
    undone: dict[tuple[Any, ...], UndoOutcome] = field(default_factory=dict)

    def host(self, context: RunContext) -> SimulatedHost:
        """What a run would have been in simulation: its test's names for its steps, and where they stand."""
        case = self.cases[context.event]
        world, playbook = case.world, case.playbook
        host = SimulatedHost(world, playbook, context)
        called_at: Path = ()
        prefixes: tuple[str, ...] = ()
        apart: Path = ()
        for path in _calls(context.within):
            step = list(stages(playbook.model, path))[-1].step
            assert isinstance(step, PlaybookStep)
            lanes, prefixes = host.lanes(path), prefixes_below(prefixes, shown(path), path[-1])
            called_at, apart = (*called_at, *path), (*apart, *path) if step.detach else apart
            playbook = playbook.uses[step.playbook]
            host = SimulatedHost(
                world, playbook, context, called_at=called_at, prefixes=prefixes, lanes=lanes, apart=apart
            )
        return host

    async def act(self, context: RunContext, call: ActionCall, traces: Sequence[Trace]) -> ActionOutcome:
        """As a ledger has it: a repeat of what was asked already gets the same."""
        key = (context.run, call.path, call.attempt)
        if key not in self.answered:
            self.answered[key] = await self.host(context).act(call, tuple(traces))
        return self.answered[key]

    async def preview(self, context: RunContext, calls: Sequence[ActionCall]) -> tuple[CanonicalRequest, ...]:
        """What will be sent."""
        made = [(call, CAPABILITIES[call.action]) for call in calls]
        return tuple(
            canonical(call, capability, capability.takes.model_validate(call.parameters), "rehearsal")
            for call, capability in made
        )

    def as_asked(self, entry: Entry) -> CanonicalRequest:
        """Nothing is above a budget here: these playbooks are played without a policy."""
        raise AssertionError(f"{entry.target} is above a budget")

    async def shadowed(self, context: RunContext, requests: Sequence[CanonicalRequest]) -> tuple[str, ...]:
        """Nothing but the run's own mode keeps anything from being sent."""
        return ("",) * len(requests)

    async def undo(self, context: RunContext, call: UndoCall, traces: Sequence[Trace]) -> UndoOutcome:
        """The same."""
        key = (context.run, call.path)
        if key not in self.undone:
            self.undone[key] = await self.host(context).undo(call, tuple(traces))
        return self.undone[key]

    async def site(self, names: Sequence[str]) -> dict[str, Any]:
        """What the test gives for the site's."""
        workflow_id = activity.info().workflow_id or ""
        case = next(case for event, case in self.cases.items() if event.rpartition("/")[2] in workflow_id)
        return snapshot_of(case.playbook, case.test, case.original.folder.site)


def _calls(within: tuple[str, ...]) -> Iterator[Path]:
    """The paths of the steps that called, from the outermost."""
    here: list[str] = []
    for part in within[1:]:
        if part.startswith("sha256:"):
            yield tuple(here)
            here = []
        else:
            here.append(part)
    if within:
        yield tuple(here)


class Answering(Questions):
    """Questions that somebody answers as soon as they are asked, by the Signals that people send."""

    def __init__(self, engine: AsyncEngine, client: Client, rehearsal: Rehearsal) -> None:
        super().__init__(engine)
        self._client = client
        self._rehearsal = rehearsal
        self._known: set[str] = set()
        self.answers: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        ask: Ask,
        digest: str,
        requests: Sequence[CanonicalRequest],
        card: str,
        execution: str,
        shadowed: Sequence[str] = (),
    ) -> Recorded:
        """Record the question, and answer it."""
        recorded = await super().ask(ask, digest, requests, card, execution, shadowed)
        auto = not isinstance(ask.request, AskRequest) and ask.request.auto_reason is not None
        if digest not in self._known and not auto:
            self._known.add(digest)
            host = self._rehearsal.host(ask.context)
            host.world.asked.append(host.happened(ask.request.path))
            if ask.context.mode == "live":
                self.answers.add(asyncio.create_task(self._answer(ask, digest, host)))
        return recorded

    async def _answer(self, ask: Ask, digest: str, host: SimulatedHost) -> None:
        reply = reply_to(ask.request, host.names(ask.request.path), host.world.test.answers)
        handle = self._client.get_workflow_handle(ask.context.workflow_id)
        signal = "answer" if isinstance(ask.request, AskRequest) else reply.word
        for number in range(ask.request.count):
            by = ask.request.user or (f"{reply.by} {number}" if number else reply.by)
            said = {"step": ask.request.step, "digest": digest, "by": by}
            await handle.signal(signal, {**said, **({"fields": dict(reply.fields)} if signal == "answer" else {})})


async def rehearse(bench: Bench, cases: Sequence[Case], rehearsal: Rehearsal) -> list[str]:
    """Carry out all of them at the same time; what is not as their tests expect."""
    requests = [await _asked_for(bench, rehearsal, case, number) for number, case in enumerate(cases)]
    await bench.starter.start(requests)
    ended = await asyncio.gather(*(_result(bench, one) for one in requests))
    return [
        f"{case}: {problem}"
        for case, result in zip(cases, ended, strict=True)
        for problem in differences(case.playbook, case.test, case.world, result)
    ]


async def _asked_for(bench: Bench, rehearsal: Rehearsal, case: Case, number: int) -> StartRequest:
    """The run that the test wants, recorded as intake or `tocsin run` does."""
    await bench.register(case.playbook)
    key = f"rehearsal/{bench.task_queue}-{number:04}"
    rehearsal.cases[key] = case
    if case.start.alert is None:
        plain = dict(case.test.inputs or {})
        request = request_with_inputs(
            case.playbook, plain, key, packer_for(CAPABILITIES), requester=REQUESTER, shadow=False
        )
        await bench.recorder.ask_for(request)
        return request
    alert = case.start.alert.model_copy(update={"key": key})
    chosen = ChosenPlaybook(Match(case.playbook, Reason(holds=True, values={}), None))
    request = chosen.request(alert)
    received = Received(alert, alert.model_dump_json().encode(), "t", 0, number, (), (request,))
    await PostgresRecorder(bench.engine).record(Batch(received=[received]))
    return request


async def _result(bench: Bench, request: StartRequest) -> RunResult:
    """How a run ended, as the interpreter says it in simulation."""
    try:
        async with asyncio.timeout(LONGEST):
            ended = await bench.client.get_workflow_handle(request.workflow_id).result()
    except TimeoutError:
        raise AssertionError(f"{request.workflow_id} has not ended within {LONGEST:g} s") from None
    except WorkflowFailureError as failure:
        cause = failure.cause
        assert isinstance(cause, ApplicationError), cause
        kind = cause.details[0]["kind"] if cause.details else FailureKind.REJECTED
        return RunResult(status=StepStatus.FAILED, error=StepError(kind=kind, message=cause.message))
    return RunResult(status=StepStatus.SUCCEEDED, outputs=ended.get("outputs", {}))


def activities(bench: Bench, rehearsal: Rehearsal) -> Activities:
    """The real ones, but for what acts, undoes and answers."""
    acts: Any = rehearsal
    return Activities(
        client=bench.client,
        gateway=acts,
        undoing=acts,
        claims=Claims(bench.engine),
        questions=Answering(bench.engine, bench.client, rehearsal),
        people=NOBODY,
        turns=Turns(bench.client, bench.engine),
        site=rehearsal.site,
        above=AboveBudgets(bench.engine, rehearsal.as_asked),
    )
