"""Approvals and questions: rendered once, asked, and what the answer means for later steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from orchestrator.errors import FailureKind
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import compile_condition
from orchestrator.language.host import (
    ActionCall,
    ApprovalRequest,
    AskRequest,
    Decision,
    Escalation,
    StepError,
    StepStatus,
    Trace,
)
from orchestrator.language.interpreter.actions import call_for
from orchestrator.language.interpreter.containers import entered
from orchestrator.language.interpreter.ends import StepFailed, invalid, leave_if_cancelled
from orchestrator.language.interpreter.progress import Covered
from orchestrator.language.interpreter.run import Run
from orchestrator.language.interpreter.scope import Path, Scope, State, told
from orchestrator.language.model import ActionStep, Approval, ApprovalStep, Ask, AskStep, Step, every_step, named
from orchestrator.language.paths import stages
from orchestrator.language.started import By
from orchestrator.language.typed import Spec, validate_all

T = TypeVar("T")
Q = TypeVar("Q", ApprovalRequest, AskRequest)
MOST_REQUESTS = 1_000
"""requests on one card"""


async def approval(run: Run, name: str, step: ApprovalStep, here: Path, scope: Scope) -> State:
    """Ask whether what it covers is sent."""
    asked = run.once(here, "asked", lambda: _asked(run, name, step, here, scope))
    shown = [
        (tuple(path), ActionCall.model_validate(call) if call else None, why) for path, call, why in asked["shown"]
    ]
    calls = tuple(call for _, call, _ in shown if call is not None)
    if calls:
        request = ApprovalRequest(calls=calls, **asked["request"])
        decision = await _waiting(run, scope, request, run.host.ask)
        run.host.seen(asked["joined"])
    else:  # none of the steps would run: there is nothing to ask
        decision = Decision(status=StepStatus.SKIPPED)
    _saw_answer(run, step, decision.trust)
    run.progress.asked_about.update(step.approval.covers)
    run.progress.covered.update({path: Covered(call, why, decision) for path, call, why in shown})
    if decision.status is StepStatus.FAILED:
        message = decision.note or "nobody answered in time"
        raise StepFailed(name, StepError(kind=FailureKind.REFUSED_BY_POLICY, message=message))
    return told(decision.status, decision.model_dump(mode="python", include={"by", "at", "trust", "note", "auto"}))


def _asked(run: Run, name: str, step: ApprovalStep, here: Path, scope: Scope) -> dict[str, Any]:
    """Question and calls as plain data: rendered once, also where the run goes on elsewhere while people think."""
    shown = list(_shown(run, name, step, here, scope))
    calls = tuple(call for _, call, _ in shown if call is not None)
    request = _request(run, name, step, here, calls, scope) if calls else None
    return {
        "shown": [[list(path), call.model_dump(mode="json") if call else None, why] for path, call, why in shown],
        "request": request.model_dump(mode="json", exclude={"calls"}) if request else None,
        "joined": run.host.joined().count,
    }


async def ask(run: Run, name: str, step: AskStep, here: Path, scope: Scope) -> State:
    """Ask people, and read their answer as the fields say."""
    asked = run.once(here, "asked", lambda: _questioned(run, name, step.ask, here, scope))
    answer = await _waiting(run, scope, AskRequest.model_validate(asked["request"]), run.host.question)
    run.host.seen(asked["joined"])
    _saw_answer(run, step, answer.trust)
    if answer.status is StepStatus.FAILED:
        message = answer.note or "nobody answered in time"
        raise StepFailed(name, StepError(kind=FailureKind.TIMEOUT, message=message))
    fields = _read(name, step.ask.fields, answer.fields)
    return told(answer.status, {**fields, "by": answer.by, "at": answer.at, "trust": answer.trust})


def _questioned(run: Run, name: str, asked: Ask, here: Path, scope: Scope) -> dict[str, Any]:
    request = AskRequest(
        **_question(run, name, asked.text, asked.by or By(), asked, here, scope),
        fields={field: spec.model_dump(mode="json", exclude_none=True) for field, spec in asked.fields.items()},
        mail=str(run.render(name, asked.to.mail, scope, "to")) if asked.to else None,
        otherwise=None if asked.otherwise == "fail" else dict(asked.otherwise),
    )
    return {"request": request.model_dump(mode="json"), "joined": run.host.joined().count}


def _saw_answer(run: Run, step: Step, trust: str | None) -> None:
    if trust == "silence":
        run.saw(step, "silence")


def _read(name: str, specs: Mapping[str, Spec], fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return validate_all(specs, fields)
    except ValueError as error:
        raise invalid(name, f"the answer does not fit: {error}") from None


async def _waiting(run: Run, scope: Scope, request: Q, ask: Callable[[Q, tuple[Trace, ...]], Awaitable[T]]) -> T:
    """Wait for people: that time is not counted against what the question stands in."""
    await run.host.ready()
    leave_if_cancelled()
    with scope.uncounted(run.host.now):
        return await ask(request, run.take_traces())


def _shown(
    run: Run, name: str, step: ApprovalStep, here: Path, scope: Scope
) -> Iterator[tuple[Path, ActionCall | None, dict[str, Any]]]:
    """Every call that the covered steps will make, with its path; none where the step would not run, and why."""
    count = 0
    for covered in step.approval.covers:
        for path, inner, seen in _later(run, name, covered, here, scope):
            count += 1
            if count > MOST_REQUESTS:
                raise invalid(name, f"covers more than {MOST_REQUESTS} requests; nobody could judge them")
            holds, reason = run.gate(covered, inner, seen)
            run.saw_gate(inner, reason)
            yield path, call_for(run, covered, inner, path, seen) if holds else None, {} if holds else reason


def _later(run: Run, name: str, wanted: str, here: Path, scope: Scope) -> Iterator[tuple[Path, ActionStep, Scope]]:
    """Where the step of this id will stand: after the approval in its own list, or in one that this stands in."""
    for stage in reversed([*stages(run.playbook.model, here)]):
        if any(inner.id == wanted for _, one in stage.later for inner in every_step((one,))):
            return _places(run, name, wanted, stage.later, stage.path, scope)
    raise invalid(name, f"`{wanted}` does not come later, so that nobody can be asked about it")


def _places(
    run: Run, name: str, wanted: str, steps: Sequence[tuple[str, Step]], path: Path, scope: Scope
) -> Iterator[tuple[Path, ActionStep, Scope]]:
    """Where it will stand among these steps, once for each item of the loops around it, with what it will see."""
    for place, step in steps:
        here = (*path, place)
        if step.id == wanted and isinstance(step, ActionStep):
            yield here, step, scope
        elif any(inner.id == wanted for inner in every_step((step,))):
            for inside_path, inner_steps, inner_scope in entered(run, name, step, here, scope, wanted):
                yield from _places(run, name, wanted, named(inner_steps), inside_path, inner_scope)


def _request(
    run: Run, name: str, step: ApprovalStep, here: Path, calls: tuple[ActionCall, ...], scope: Scope
) -> ApprovalRequest:
    asked = step.approval
    return ApprovalRequest(
        **_question(run, name, asked.ask, asked.by, asked, here, scope),
        calls=calls,
        otherwise=asked.otherwise,
        auto_reason=_auto(run, name, step, here, scope),
    )


def _auto(run: Run, name: str, step: ApprovalStep, here: Path, scope: Scope) -> dict[str, Any] | None:
    """Why nobody has to be asked; an error in the condition means that somebody has to, and is recorded."""
    auto = step.approval.auto
    if not auto:
        return None
    reason = compile_condition(auto).explain(run.names(scope))
    run.saw(step, "auto", reason.holds)
    if reason.error:
        error = invalid(name, f"auto: {reason.error}").error
        run.trace("step.decided", name, here[:-1], {"auto": auto, "error": error.model_dump(mode="json")})
    return {"condition": auto, "values": reason.values} if reason.holds else None


def _question(
    run: Run, name: str, text: str, by: By, asked: Approval | Ask, here: Path, scope: Scope
) -> dict[str, Any]:
    """What every question says; its times are read once."""
    since = run.deadline(here, asked.within) - parse_duration(asked.within)
    escalate = asked.escalate
    return {
        "step": name,
        "path": here,
        "ask": str(run.render(name, text, scope, "ask")),
        "group": by.group,
        "user": str(run.render(name, by.user, scope, "by")) if by.user else None,
        "count": by.count,
        "distinct": by.distinct,
        "deadline": since + parse_duration(asked.within),
        "remind": parse_duration(asked.remind) / timedelta(seconds=1) if asked.remind else None,
        "escalate": Escalation(at=since + parse_duration(escalate.after), group=escalate.group) if escalate else None,
    }
