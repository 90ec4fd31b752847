"""Steps of their own: wait, set, undo, stop, sub-playbooks; and keys that mean nothing for a kind of step."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Effect
from orchestrator.language.checking.around import Around
from orchestrator.language.checking.checker import did_you_mean, is_literal, where_present
from orchestrator.language.expressions.fitting import unfit
from orchestrator.language.expressions.kinds import ABSENT, NONE, UNKNOWN, Type, as_type
from orchestrator.language.model import (
    ActionStep,
    ApprovalStep,
    AskStep,
    PlaybookStep,
    SetStep,
    Step,
    StopStep,
    UndoStep,
    WaitStep,
)
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker


def keys(check: Checker, step: Step, path: Path) -> None:
    """Keys that any step may have and that mean nothing here."""
    if step.timeout is not None and isinstance(step, ApprovalStep | AskStep):
        message = "waiting for people does not count against a `timeout`"
        check.say((*path, "timeout"), "needless", message, "use `within`")
    if step.timeout is not None and isinstance(step, SetStep | StopStep):
        check.say((*path, "timeout"), "needless", f"a `{step.KIND}` takes no time", "remove it")
    if isinstance(step, StopStep) and step.on_error != "fail":
        check.say((*path, "on_error"), "needless", "a `stop` does not fail", "remove it")


def wait(check: Checker, step: WaitStep, path: Path, around: Around) -> Any:
    """Its output is the alert that it waited for, which has what the condition asked for."""
    if step.wait.until is not None:
        check.value((*path, "wait", "until"), step.wait.until, around, datetime)
    if step.wait.alert is None:
        return None
    if check.model.trigger.key is None:
        message = "no alert ever joins this run: its trigger has no `key`"
        check.say((*path, "wait", "alert"), "never", message, "add `key:` below `trigger:`")
    asked = check.condition((*path, "wait", "alert"), step.wait.alert, around.with_own(joining=Alert))
    return where_present(Alert, asked.present, ("joining",)) | ABSENT


def set_(check: Checker, step: SetStep, path: Path, around: Around) -> None:
    """Variables get the types of their values; one that may be none may be absent later."""
    kinds = {name: check.tree((*path, "set", name), source, around) for name, source in step.set.items()}
    # what is absent fails the step; what is none is given to the name as it is
    around.vars |= {name: kind.there | NONE if "none" in kind.lacks else kind.there for name, kind in kinds.items()}
    around.maybe_vars -= kinds.keys()


def undo(check: Checker, step: UndoStep, path: Path, around: Around) -> None:
    """What is undone was done before, and can be."""
    for index, name in enumerate(step.undo):
        here = (*path, "undo", index)
        undone = check.ids.get(name)
        if undone is None or name not in around.known:
            check.unknown_step(here, name)
        elif isinstance(undone, PlaybookStep):
            if undone.detach:
                check.say(here, "undo", f"`{name}` is detached: what its playbook does is its own")
        elif not isinstance(undone, ActionStep):
            check.say(here, "undo", f"`{name}` is no action or sub-playbook; what is undone is their effects")
        elif (capability := check.capabilities.get(undone.action)) and capability.effect is not Effect.REVERSIBLE:
            check.say(here, "undo", f"`{undone.action}` leaves nothing that could be undone", "remove it from the list")


def stop(check: Checker, step: StopStep, path: Path, around: Around) -> None:
    """Its message is a template. What is known here is what the outputs are made of, where it ends the run well."""
    check.text((*path, "message"), step.message, around)
    if step.stop == "success":
        check.exits.append(around)


def playbook(check: Checker, step: PlaybookStep, path: Path, around: Around) -> Any:
    """The sub-playbook exists, its inputs fit; its output is what it gives."""
    sub = check.library.playbooks.get(step.playbook)
    if sub is None:
        if step.playbook not in check.library.broken:  # of those it is said that they have errors of their own
            hint = did_you_mean(step.playbook, check.library.playbooks)
            check.say((*path, "playbook"), "unknown_playbook", f"no playbook is named `{step.playbook}`", hint)
        check.tree((*path, "with"), step.with_, around)
        return UNKNOWN
    for name, value in step.with_.items():
        here = (*path, "with", name)
        spec = sub.inputs.get(name)
        if spec is None:
            message = f"`{step.playbook}` takes no `{name}`"
            check.say((*here, "@key"), "unknown_parameter", message, did_you_mean(name, sub.inputs))
            check.tree(here, value, around)
            continue
        if is_literal(value):
            _fits(check, here, spec, value)
            check.only_text(here, value, around)
            continue
        _rendered(check, here, value, spec, around)
    for name, spec in sub.inputs.items():
        if spec.is_required and name not in step.with_:
            message = f"`{step.playbook}` needs `{name}`"
            check.say(path, "missing_parameter", message, "add it below `with:`")
    if step.detach:
        return None
    return dict(check.library.outputs.get(step.playbook, {}))


def _fits(check: Checker, path: Path, spec: Any, value: Any) -> None:
    try:
        spec.validated(value)
    except ValueError as error:
        check.say(path, "parameter", f"`{path[-1]}`: {error}")


def _rendered(check: Checker, path: Path, value: Any, spec: Any, around: Around) -> None:
    wanted: Type = as_type(spec.annotation) if spec.is_required else as_type(spec.annotation) | NONE
    if isinstance(value, str):
        check.template(path, value, around, wanted)
        return
    mismatch = unfit(wanted, check.tree(path, value, around))
    if mismatch is not None:
        check.say(path, "type", f"`{path[-1]}`: {mismatch.reason}", mismatch.hint)
