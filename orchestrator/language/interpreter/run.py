"""One run of a playbook: a step from its condition to its end, whatever its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability, Severity
from orchestrator.errors import ExpressionError, FailureKind
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import compile_condition, compile_template
from orchestrator.language.host import Host, Joined, StepError, StepStatus, Trace
from orchestrator.language.interpreter.ends import RunStopped, StepFailed, invalid, leave_if_cancelled, settled
from orchestrator.language.interpreter.progress import Progress
from orchestrator.language.interpreter.scope import Budget, Path, Scope, State, told
from orchestrator.language.model import ActionStep, ForEachStep, Step, SwitchStep, every_step, inside, named
from orchestrator.language.outputs import Counts, all_routes_of, completed
from orchestrator.language.packing import Packer, packer_for
from orchestrator.language.program import Playbook

Capabilities = Mapping[str, Capability[Any, Any]]
Runner = Callable[["Run", str, Any, Path, Scope], Awaitable[State]]
"""Carries out a step of one kind; raises `StepFailed` where it fails."""
Observer = Callable[[Playbook, Step, str, Any], None]
"""Told by a word and its value what became of a step: for tests, which say what none of them has reached"""


NO_ITEMS: Mapping[str, Any] = {"collect": [], "counts": Counts(total=0, succeeded=0, failed=0)}
"""the output of a loop that failed before its first item"""


class Run:
    """The state of one run, and what all kinds of steps share."""

    def __init__(
        self,
        playbook: Playbook,
        host: Host,
        capabilities: Capabilities,
        runners: Mapping[type[Any], Runner],
        *,
        alert: Alert | None,
        inputs: Mapping[str, Any],
        site: Mapping[str, Any],
        progress: Progress,
        observer: Observer | None = None,
    ) -> None:
        self.playbook = playbook
        self.host = host
        self.capabilities = capabilities
        self.progress = progress
        self.scope = Scope()
        self.failure: StepFailed | None = None
        self.given_up: StepError | None = None
        self.ending = False
        self.cut_at: str | None = None
        steps = (*playbook.model.steps, *playbook.model.on_failure)
        self.covers = {name for step in every_step(steps) for name in _covers(step)}
        self._runners = runners
        self._observer = observer
        self._alert = alert
        self._inputs = inputs
        self._site = site
        self._joined: list[Alert] = []

    @property
    def packer(self) -> Packer:
        """Packs and unpacks what its values can be."""
        return packer_for(self.capabilities)

    def fail(self, failed: StepFailed) -> None:
        """The steps have failed: what they brought is seen by `on_failure`, wherever that is carried out."""
        self.none_reached(self.playbook.model.steps, Scope(), self.scope)
        self.progress.fail(failed, self.scope)

    def recall_failure(self) -> None:
        """Go on from the failure of the steps."""
        known = self.progress.run
        if known is not None and known.failure is not None:
            self.scope.steps.update(known.steps)
            self.scope.vars.update(known.vars)
            self.failure = known.failure.raised()

    async def all(self, steps: tuple[Step, ...], path: Path, scope: Scope) -> None:
        """One after the other; raises at the first that ends the list."""
        for name, step in named(steps):
            await self.one(name, step, path, scope)

    async def one(self, name: str, step: Step, path: Path, scope: Scope) -> None:
        """One step from its condition to its end; one that has ended elsewhere is only remembered.

        A failure is known before anything is done about it, so that nothing of what failed is ever done again.
        """
        here, before = (*path, name), scope.branch()
        known = self.progress.ended.get(here)
        if known is not None:
            known.recall(name, scope)
            failed = known.failure.raised() if known.failure else None
        else:
            failed = await self._carried_out(name, step, path, scope)
            await self.leave_nothing(here)
            self.not_reached(step, before, scope)
            self.progress.end(here, before, scope, failed)
        if failed is None:
            return
        if step.on_error == "fail" or failed.final:
            raise StepFailed(failed.step, failed.error)
        self.saw(step, "on_error")
        if not isinstance(step.on_error, str) and not isinstance(step, ForEachStep):
            await self.all(step.on_error, (*here, "on_error"), scope)
        self.progress.end(here, before, scope)

    async def leave_nothing(self, path: Path) -> None:
        """End the sub-playbooks below that were called before the run went on here, and were cut short since then."""
        for left in [one for one in self.progress.called if one[: len(path)] == path]:
            await settled(self.host.call_off(self.progress.called[left]))
            del self.progress.called[left]

    async def _carried_out(self, name: str, step: Step, path: Path, scope: Scope) -> StepFailed | None:
        """Whether the step runs, and its work: its state is left in the scope. How it failed, if it did."""
        here, failed = (*path, name), None
        leave_if_cancelled()
        begun = (*here, "@now") in self.progress.marks
        if not begun:  # what began elsewhere has begun, whatever its condition would say by now
            await self.host.ready()
        scope.now = self.once(here, "now", self.host.now)
        try:
            if not begun and not self._wanted(name, step, path, scope):
                return None
            state = await self._work(name, step, here, scope)
            body: dict[str, Any] = {"status": state["status"]}
        except StepFailed as failure:
            failed = failure
            state, body = self._state_of(step, failure)
        scope.steps[name] = state
        self.trace("step.ended", name, path, body)
        return failed

    async def _work(self, name: str, step: Step, here: Path, scope: Scope) -> State:
        """The state that the step's own work comes to; where it ends the run, or is cut short, that is told."""
        self.saw(step, "run")
        self.host.show(step.name or name)
        try:
            return await self._in_time(name, step, here, scope)
        except RunStopped as end:
            if end.step == name:
                scope.steps[name] = told(StepStatus.SUCCEEDED)
                self.trace("step.ended", name, here[:-1], {"status": StepStatus.SUCCEEDED, "stop": end.message})
            raise
        except asyncio.CancelledError:
            self.cut_at = self.cut_at or (name if self.ending else None)
            error = StepError(kind=FailureKind.REFUSED_BY_POLICY, message="cut short: what it stands in had to end")
            scope.steps[name], body = self._state_of(step, StepFailed(name, error))
            self.trace("step.ended", name, here[:-1], body)
            raise

    def _state_of(self, step: Step, failed: StepFailed) -> tuple[State, dict[str, Any]]:
        """A step that has failed, as later steps see it and as it is told."""
        output = failed.output if failed.output is not None else self.default(step)
        if output is None and isinstance(step, ForEachStep):
            output = NO_ITEMS
        body = {"status": StepStatus.FAILED, "error": failed.error.model_dump(mode="json")}
        return told(StepStatus.FAILED, output, failed.error), body

    async def _in_time(self, name: str, step: Step, here: Path, scope: Scope) -> State:
        """The step's own work, within its `timeout` where it has one that bounds the whole."""
        runner = self._runners[type(step)]
        if step.timeout is None or isinstance(step, ActionStep):  # of an action it bounds one attempt
            return await runner(self, name, step, here, scope)
        budget = self.progress.budgets.setdefault(here, Budget(self.host.now() + parse_duration(step.timeout)))
        work = asyncio.ensure_future(runner(self, name, step, here, scope.within(budget)))
        await self._until(work, budget)
        if not work.done():
            await cut(work)
            if work.cancelled():
                message = f"took longer than {step.timeout}"
                raise StepFailed(name, StepError(kind=FailureKind.TIMEOUT, message=message))
        return work.result()

    async def _until(self, work: asyncio.Future[State], budget: Budget) -> None:
        """Wait for the work, or for the end of its time. While people are waited for, none of it passes."""
        try:
            while not work.done():
                left = budget.left(self.host.now())
                if left is not None and left <= 0:
                    return
                if left is not None:
                    await asyncio.wait((work,), timeout=left)
                    continue
                resumed = asyncio.ensure_future(budget.resumed.wait())
                await asyncio.wait((work, resumed), return_when=asyncio.FIRST_COMPLETED)
                resumed.cancel()
        except asyncio.CancelledError:
            await cut(work)
            raise

    def _wanted(self, name: str, step: Step, path: Path, scope: Scope) -> bool:
        """Whether the step runs; decided when an approval was asked for what that covers."""
        here = (*path, name)
        if name in self.progress.asked_about:
            return self._approved(name, step, path, scope)
        looked = self.host.joined().count
        holds, reason = self.gate(name, step, scope)
        self.saw_gate(step, reason)
        if holds and name in self.covers:
            holds, reason = False, {"approval": "was not asked for"}
        if holds:
            self.trace("step.started", name, path, reason)
            return True
        self.host.seen(looked)
        self._skip(here, step, scope, reason)
        return False

    def _approved(self, name: str, step: Step, path: Path, scope: Scope) -> bool:
        """Whether people let the step run, as it was shown."""
        covered = self.progress.covered.get((*path, name))
        if covered is not None and covered.call is not None and covered.decision.status is StepStatus.SUCCEEDED:
            self.trace("step.started", name, path, {"approval": covered.decision.approval})
            return True
        if covered is None:
            reason: dict[str, Any] = {"approval": "what it would do here was not shown"}
        else:
            reason = {"approval": covered.decision.status} if covered.call is not None else covered.reason
        self._skip((*path, name), step, scope, reason)
        return False

    def _skip(self, here: Path, step: Step, scope: Scope, reason: dict[str, Any]) -> None:
        scope.steps[here[-1]] = told(StepStatus.SKIPPED, self.default(step))
        self.trace("step.ended", here[-1], here[:-1], {"status": StepStatus.SKIPPED, **reason})

    def gate(self, name: str, step: Step, scope: Scope) -> tuple[bool, dict[str, Any]]:
        """`when` and `unless`, with the values that they read; an error in them fails the step."""
        holds, told_of = True, {}
        for word, source, wanted in (("when", step.when, True), ("unless", step.unless, False)):
            if source is None:
                continue
            found, told_of[word] = self.condition(name, word, source, scope)
            holds = holds and found is wanted
        return holds, told_of

    def condition(
        self, name: str, word: str, source: str, scope: Scope, **more: Any
    ) -> tuple[bool, dict[str, Any]]:  # fmt: skip
        """Whether a condition holds, and the record of why; an error in it fails the step."""
        reason = compile_condition(source).explain({**self.names(scope), **more})
        if reason.error:
            raise invalid(name, f"{word}: {reason.error}")
        return reason.holds, {"condition": source, "holds": reason.holds, "values": reason.values}

    def default(self, step: Step) -> Any:
        """The output that the author gave it for when it has none of its own."""
        if isinstance(step, SwitchStep) or step.default is None:
            return None
        if isinstance(step, ActionStep) and step.action in self.capabilities:
            capability = self.capabilities[step.action]
            return completed(all_routes_of(capability) if step.all_routes else capability.gives, step.default)
        return step.default

    def not_reached(self, step: Step, before: Scope, scope: Scope) -> None:
        """Steps inside that were not reached since then have a status and their `default` all the same."""
        for inner in visible_inside(step):
            if inner.id and scope.steps.get(inner.id) is before.steps.get(inner.id):
                scope.steps[inner.id] = told(StepStatus.SKIPPED, self.default(inner))

    def none_reached(self, steps: tuple[Step, ...], before: Scope, scope: Scope) -> None:
        """The same of steps and all inside them."""
        for step in steps:
            if step.id and scope.steps.get(step.id) is before.steps.get(step.id):
                scope.steps[step.id] = told(StepStatus.SKIPPED, self.default(step))
            self.not_reached(step, before, scope)

    def saw(self, step: Step, word: str, value: Any = True) -> None:
        """Tell what became of a step, where somebody wants to know."""
        if self._observer is not None:
            self._observer(self.playbook, step, word, value)

    def saw_gate(self, step: Step, reason: Mapping[str, Any]) -> None:
        """Tell what its conditions came to."""
        for word in ("when", "unless"):
            if word in reason:
                self.saw(step, word, reason[word]["holds"])

    def once(self, here: Path, word: str, read: Callable[[], Any]) -> Any:
        """A value that is read once and stays, also where the run goes on elsewhere."""
        mark = (*here, f"@{word}")
        if mark not in self.progress.marks:
            self.progress.marks[mark] = read()
        return self.progress.marks[mark]

    def render(self, name: str, source: Any, scope: Scope, what: str = "") -> Any:
        """Templates as plain data; an error in them fails the step."""
        try:
            return self.playbook.tree(source).render(self.names(scope))
        except ExpressionError as error:
            raise invalid(name, f"{what}: {error}" if what else str(error)) from None

    def typed(self, name: str, source: Any, scope: Scope, what: str) -> Any:
        """The same with the types of single expressions kept: what later expressions read."""
        return self._typed(name, source, self.names(scope), what)

    def _typed(self, name: str, source: Any, names: Mapping[str, Any], what: str) -> Any:
        if isinstance(source, Mapping):
            return {key: self._typed(name, one, names, f"{what}.{key}") for key, one in source.items()}
        if isinstance(source, list | tuple):
            return [self._typed(name, one, names, what) for one in source]
        if not isinstance(source, str):
            return source
        try:
            return compile_template(source).render(names)
        except ExpressionError as error:
            raise invalid(name, f"{what}: {error}") from None

    def names(self, scope: Scope) -> dict[str, Any]:
        """What expressions may read now."""
        joined = self.host.joined()
        return {
            "alert": self._alert,
            "joined": self._alerts(joined),
            "joined_count": joined.count,
            "inputs": self._inputs,
            "steps": scope.steps,
            "vars": scope.vars,
            **self._site,
            "now": scope.now or self.host.now(),
            "run": self._run_names(joined),
            **scope.own,
        }

    def _alerts(self, joined: Joined) -> list[Alert]:
        """Those that joined, typed: each is read once."""
        self._joined += [Alert.model_validate(one) for one in joined.alerts[len(self._joined) :]]
        return self._joined[: len(joined.alerts)]

    def _run_names(self, joined: Joined) -> dict[str, Any]:
        context, failure = self.host.context, self.failure
        return {
            "playbook": context.playbook,
            "id": context.run,
            "mode": context.mode,
            "requester": context.requester,
            "severity": self.severity(joined),
            "case": self.case,
            "failed_step": failure.step if failure else None,
            "error": failure.error.model_dump(mode="json") if failure else None,
        }

    def severity(self, joined: Joined) -> Severity | None:
        """The highest so far."""
        known = joined.severity or (str(self._alert.severity) if self._alert else None)
        return Severity.parse(known) if known else None

    @property
    def case(self) -> str | None:
        """The incident that exists already, or the first ticket that this run opened."""
        return (self._alert.case if self._alert else None) or self.host.context.case or self.progress.case

    def trace(self, kind: str, step: str, path: Path, body: dict[str, Any]) -> None:
        """Note a decision for the audit; `path` leads to what the step stands in."""
        self.progress.traces.append(Trace(at=self.host.now(), type=kind, step=step, path=path, body=body))

    def take_traces(self) -> tuple[Trace, ...]:
        """What was noted since the last time."""
        taken, self.progress.traces = tuple(self.progress.traces), []
        return taken

    def deadline(self, here: Path, duration: str) -> datetime:
        """A moment so long after the step came to it first."""
        found: datetime = self.once(here, "deadline", lambda: self.host.now() + parse_duration(duration))
        return found

    async def sleep_until(self, moment: datetime) -> None:
        """Wait on the run's clock."""
        left = (moment - self.host.now()) / timedelta(seconds=1)
        if left > 0:
            await asyncio.sleep(left)


async def cut(work: asyncio.Future[Any]) -> None:
    """Cancel the work and wait until it has settled, however often we are cancelled meanwhile."""
    work.cancel()
    while not work.done():
        try:
            await asyncio.wait((work,))
        except asyncio.CancelledError:
            continue


def visible_inside(step: Step) -> Iterator[Step]:
    """The steps inside whose ids are seen outside: not those of a `for_each`, which shows only what it collects."""
    if isinstance(step, ForEachStep):
        return
    for _, steps in inside(step):
        for inner in steps:
            yield inner
            yield from visible_inside(inner)


def _covers(step: Step) -> tuple[str, ...]:
    approval = getattr(step, "approval", None)
    return approval.covers if approval is not None else ()


def plainly(error: ValidationError) -> str:
    """What is wrong with parameters, by their names; never their values."""
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    )


__all__ = ["Capabilities", "Observer", "Run", "RunStopped", "Runner", "cut", "plainly", "visible_inside"]
