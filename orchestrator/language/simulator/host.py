"""The host of a simulated run: the same duties as Temporal's, with actions and people that answer as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Effect, Severity
from orchestrator.errors import FailureKind
from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    Answered,
    ApprovalRequest,
    AskRequest,
    Decision,
    Joined,
    RunContext,
    StepError,
    StepStatus,
    SubCall,
    SubOutcome,
    Trace,
    UndoCall,
    UndoOutcome,
)
from orchestrator.language.interpreter import begin, carry_out
from orchestrator.language.model import ForEachStep, ParallelStep
from orchestrator.language.packing import packer_for
from orchestrator.language.paths import Path, prefixes_below, shown, stages, step_names
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.answers import (
    Reply,
    TestMistake,
    failure_of,
    fits,
    for_steps,
    imagined_answer,
    output_of,
    outputs_of,
    reply_to,
)
from orchestrator.language.simulator.effects import Hold
from orchestrator.language.simulator.world import Happened, World
from orchestrator.language.typed import validate_all

MOST_JOINED = 100
"""joined alerts that expressions see, and the latest that a `wait` looks at; the count goes on"""


class SimulatedHost:
    """Acts, asks and waits for one run.

    For a sub-playbook, `called_at` is the path of the step that called it, `prefixes` stand before the names of its
    steps in a test, and `lanes` and `apart` are of that step (see `Happened`). `callers` are the runs that wait for
    this one, each with its step.
    """

    def __init__(
        self,
        world: World,
        playbook: Playbook,
        context: RunContext,
        *,
        severity: Severity | None = None,
        called_at: Path = (),
        prefixes: tuple[str, ...] = (),
        lanes: Mapping[Path, str] | None = None,
        apart: Path = (),
        callers: Mapping[str, str] | None = None,
    ) -> None:
        self.world = world
        self.playbook = playbook
        self.context = context
        self._severity = severity
        self._called_at = called_at
        self._prefixes = prefixes
        self._lanes = dict(lanes or {})
        self._apart = apart
        self._callers = dict(callers or {})
        self._joined: list[tuple[int, dict[str, Any]]] = []
        self._snapshot = self._looked()
        self._more = asyncio.Event()
        self._stop = asyncio.Event()

    def now(self) -> datetime:
        """The clock of the test."""
        return self.world.now()

    async def ready(self) -> None:
        """Anything may begin at once."""
        self.world.count_step()

    async def stopping(self) -> None:
        """Only the caller of a sub-playbook ends it."""
        await self._stop.wait()

    def end(self) -> None:
        """Somebody ends the run."""
        self._stop.set()

    def clean_up(self) -> None:
        """Nothing was held back."""

    def halted(self, path: Path, why: str, *, above: bool = False) -> None:
        """Nobody looks."""

    def show(self, state: str) -> None:
        """Nobody looks."""

    def seen(self, count: int) -> None:
        """What no step has seen does not matter in a test."""

    def join(self, alert: Alert) -> None:
        """An alert joins the run."""
        self._joined.append((len(self._joined), alert.model_dump(mode="json")))
        self._severity = max(self._severity or alert.severity, alert.severity)
        self._snapshot = self._looked()
        self._more.set()

    def _looked(self) -> Joined:
        return Joined(
            alerts=tuple(plain for _, plain in self._joined[:MOST_JOINED]),
            latest=tuple(self._joined[-MOST_JOINED:]),
            count=len(self._joined),
            severity=str(self._severity) if self._severity else None,
        )

    async def joining(self, count: int) -> None:
        """Wait until more than `count` have joined."""
        while len(self._joined) <= count:
            self._more.clear()
            await self._more.wait()

    def joined(self) -> Joined:
        """Those that have joined."""
        return self._snapshot

    def names(self, path: Path) -> tuple[str, ...]:
        """What a test may call the step, the most special first."""
        return step_names(self._prefixes, shown(path), path[-1])

    def lanes(self, path: Path) -> dict[Path, str]:
        """The branches and concurrent items that the step stands in, each by its container."""
        lanes = dict(self._lanes)
        for stage in stages(self.playbook.model, path):
            here = (*stage.path, stage.name)
            concurrent = isinstance(stage.step, ForEachStep) and stage.step.for_each.concurrency > 1
            if (concurrent or isinstance(stage.step, ParallelStep)) and len(path) > len(here):
                lanes[(*self._called_at, *here)] = path[len(here)]
        return lanes

    def happened(self, path: Path, action: str = "", parameters: Mapping[str, Any] | None = None) -> Happened:
        """A call or a question, as the test will look at it."""
        return Happened(self.names(path), action, parameters or {}, self.lanes(path), self._apart)

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """Answer as the test says, or with the least that the capability's model allows."""
        self.world.traces += traces
        if call.attempt == 1:
            self.world.calls.append(self.happened(call.path, call.action, call.parameters))
        kind, output = self.world.noted(lambda: self._answer(call))
        if kind is FailureKind.TIMEOUT:  # known only when the time is over
            await asyncio.sleep(call.timeout)
        if kind is not None:
            return ActionOutcome(status=StepStatus.FAILED, error=_simulated(kind), seen=call.seen)
        return ActionOutcome(status=self._done(call), output=output, seen=call.seen)

    def _answer(self, call: ActionCall) -> tuple[FailureKind | None, dict[str, Any]]:
        """How the call fails, or its output."""
        capability = self.world.capabilities[call.action]
        names = [*for_steps(self.names(call.path)), call.action]
        answer = self.world.given.answer(names, lambda wanted: fits(capability, wanted, call.parameters)) or {}
        if (kind := failure_of(call.action, answer)) is not None:
            return kind, {}
        return None, output_of(capability, call.parameters, answer, all_routes=call.all_routes)

    def _done(self, call: ActionCall) -> StepStatus:
        """What became of the call, in shadow mode only in the records; the world remembers what can be undone."""
        capability = self.world.capabilities[call.action]
        if capability.effect is Effect.REVERSIBLE:
            parameters = capability.takes.model_validate(call.parameters)
            ends = self.now() + timedelta(seconds=call.expires) if call.expires is not None else None
            path, steps = (*self._called_at, *call.path), {**self._callers, self.context.run: call.step}
            hold = Hold(steps, self.names(call.path), path, capability, parameters, ends)
            self.world.effects.holds.append(hold)
        shadowed = self.context.mode == "shadow" and capability.effect.mutates
        return StepStatus.SHADOWED if shadowed else StepStatus.SUCCEEDED

    async def undo(self, call: UndoCall, traces: tuple[Trace, ...]) -> UndoOutcome:
        """Undo what is still there; the inverse answers as the test says."""
        self.world.traces += traces
        self.world.effects.expire(self.now())
        path = (*self._called_at, *call.path)
        undone, error = self.world.effects.release(self.context.run, path, call.steps, self._take_back)
        return UndoOutcome(undone=tuple(undone), error=error)

    def _take_back(self, hold: Hold) -> StepError | None:
        inverse = self.world.capabilities[hold.capability.inverse or ""]
        parameters = hold.capability.undo_parameters(hold.parameters, inverse)
        given = self.world.given
        answer = self.world.noted(
            lambda: given.answer([inverse.name], lambda wanted: fits(inverse, wanted, parameters))
        )
        kind = self.world.noted(lambda: failure_of(inverse.name, answer or {}))
        return _simulated(kind) if kind is not None else None

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        """Answer as the test says; in shadow mode the question is shown, and approved."""
        self.world.traces += traces
        approval = ".".join((*self._called_at, *request.path))
        if request.auto_reason is not None:
            return Decision(status=StepStatus.SUCCEEDED, approval=approval, auto=True, at=self.now())
        self.world.asked.append(self.happened(request.path))
        if self.context.mode == "shadow":
            return Decision(status=StepStatus.SUCCEEDED, approval=approval, at=self.now())
        reply = await self._reply(request)
        silence = {"deny": StepStatus.EXPIRED, "fail": StepStatus.FAILED, "approve": StepStatus.SUCCEEDED}
        verdicts = {"approve": StepStatus.SUCCEEDED, "deny": StepStatus.DENIED, "expire": silence[request.otherwise]}
        return Decision(status=verdicts[reply.word], approval=approval, **self._about(reply))

    async def question(self, request: AskRequest, traces: tuple[Trace, ...]) -> Answered:
        """Answer as the test says; in shadow mode as silence would, or with the least that the fields allow."""
        self.world.traces += traces
        self.world.asked.append(self.happened(request.path))
        if self.context.mode == "shadow":
            imagined = imagined_answer(request) if request.otherwise is None else request.otherwise
            return Answered(status=StepStatus.SUCCEEDED, fields=imagined, at=self.now())
        reply = await self._reply(request)
        fields = request.otherwise if reply.word == "expire" else dict(reply.fields)
        if fields is None:
            return Answered(status=StepStatus.FAILED, **self._about(reply))
        return Answered(status=StepStatus.SUCCEEDED, fields=fields, **self._about(reply))

    async def _reply(self, request: ApprovalRequest | AskRequest) -> Reply:
        """What the test answers; silence lasts until the deadline."""
        names, answers = self.names(request.path), self.world.test.answers
        reply = self.world.noted(lambda: reply_to(request, names, answers))
        if reply.word == "expire" and request.deadline is not None:
            await asyncio.sleep((request.deadline - self.now()).total_seconds())
        return reply

    def _about(self, reply: Reply) -> dict[str, Any]:
        return {"by": reply.by, "at": self.now(), "trust": reply.trust}

    async def call(self, call: SubCall, traces: tuple[Trace, ...]) -> SubOutcome:
        """Give the outputs that the test says, else carry the sub-playbook out."""
        self.world.traces += traces
        given = self.world.noted(lambda: self._given(call))
        if given is not None:
            return given
        work = self.world.noted(lambda: self._below(call)).carried_out(call)
        if not call.detach:
            return await work
        self.world.detached.append(asyncio.ensure_future(work))
        return SubOutcome(status=StepStatus.SUCCEEDED)

    async def call_off(self, call: SubCall) -> None:
        """Everything goes on in one execution."""

    def _given(self, call: SubCall) -> SubOutcome | None:
        """How the test says that the sub-playbook ends."""
        packer, playbook = packer_for(self.world.capabilities), self._sub_playbook(call)
        names = [*for_steps(self.names(call.path))]
        answer = self.world.given.answer(names, lambda wanted: packer.pack(wanted).items() <= call.inputs.items())
        if answer is None:
            return None
        if (kind := failure_of(names[-1], answer)) is not None:
            return SubOutcome(status=StepStatus.FAILED, error=_simulated(kind))
        return SubOutcome(status=StepStatus.SUCCEEDED, outputs=packer.pack(outputs_of(playbook, answer)))

    def _sub_playbook(self, call: SubCall) -> Playbook:
        playbook = self.playbook.uses.get(call.playbook)
        if playbook is None:
            raise TestMistake(f"`{call.step}` calls {call.playbook}, and there is no such playbook")
        return playbook

    def _below(self, call: SubCall) -> SimulatedHost:
        """The host of a sub-playbook; a shadow makes it a shadow."""
        playbook, context = self._sub_playbook(call), self.context
        below = context.model_copy(
            update={
                "run": f"{context.run}/{'.'.join(call.path)}", "playbook": playbook.name, "digest": playbook.digest,
                "mode": "shadow" if context.mode == "shadow" else playbook.model.mode, "case": call.case,
                "within": (*context.within, context.digest, *call.path), "depth": context.depth + 1,
            }
        )  # fmt: skip
        return SimulatedHost(
            self.world,
            playbook,
            below,
            severity=Severity.parse(call.severity),
            called_at=(*self._called_at, *call.path),
            prefixes=prefixes_below(self._prefixes, shown(call.path), call.path[-1]),
            lanes=self.lanes(call.path),
            apart=(*self._apart, *call.path) if call.detach else self._apart,
            callers={} if call.detach else {**self._callers, context.run: call.step},
        )

    async def carried_out(self, call: SubCall) -> SubOutcome:
        """Run the sub-playbook that this is the host of; whoever is cancelled meanwhile ends it first."""
        work, cancelled = asyncio.ensure_future(self._run(call)), False
        while not work.done():
            try:
                await asyncio.wait((work,))
            except asyncio.CancelledError:
                cancelled = True
                self.end()
        if cancelled:
            raise asyncio.CancelledError
        return work.result()

    async def _run(self, call: SubCall) -> SubOutcome:
        world = self.world
        try:
            inputs = validate_all(self.playbook.model.inputs, packer_for(world.capabilities).unpack(call.inputs))
        except ValueError as error:
            message = f"the inputs of {call.playbook} do not fit: {error}"
            return SubOutcome(status=StepStatus.FAILED, error=StepError(kind=FailureKind.INVALID, message=message))
        result = await carry_out(
            begin(self.playbook, self, world.capabilities, inputs=inputs, site=world.site, observer=world.observer)
        )
        world.traces += result.traces
        return SubOutcome(status=result.status, outputs=result.outputs, error=result.error)


def _simulated(kind: FailureKind) -> StepError:
    return StepError(kind=kind, message="the test says so")
