"""The tests that a playbook brings: they name what there is, and say what could be true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from orchestrator.errors import FailureKind
from orchestrator.language.checking.actions import annotated, literal
from orchestrator.language.checking.checker import did_you_mean
from orchestrator.language.model import ActionStep, ApprovalStep, AskStep, PlaybookStep
from orchestrator.language.tested import Test
from orchestrator.language.typed import validate_all
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker


def check(check: Checker) -> None:
    """Every test; and whether the playbook has those that it needs."""
    if check.model.trigger.match is not None:
        starts = {test.expect.starts for test in check.model.tests if test.alert is not None}
        for wanted, words in ((True, "a test that starts it"), (False, "a test with an alert that does not start it")):
            if wanted not in starts:
                check.say(("tests",), "untested", f"{words} is missing", "add it below `tests:`")
    names: dict[str, int] = {}
    for index, test in enumerate(check.model.tests):
        if test.name in names:
            check.say(("tests", index, "name"), "test", f"two tests are named {test.name!r}", "tell them apart")
        names[test.name] = index
        _one(check, test, ("tests", index))


def _one(check: Checker, test: Test, path: Path) -> None:
    _starting(check, test, path)
    _given(check, test, path)
    _answers(check, test, path)
    for index, entry in enumerate(test.expect.calls or ()):
        _call(check, entry, (*path, "expect", "calls", index))
    for index, name in enumerate(test.expect.not_called):
        _action(check, name, (*path, "expect", "not_called", index))
    for word in ("undone", "asked"):
        for index, name in enumerate(getattr(test.expect, word) or ()):
            if name.rpartition(".")[2] not in check.ids:
                hint = did_you_mean(name, check.ids)
                check.say((*path, "expect", word, index), "test", f"no step has the id `{name}`", hint)
    for name in test.expect.outputs or ():
        if name not in check.model.outputs:
            hint = did_you_mean(name, check.model.outputs)
            check.say((*path, "expect", "outputs", name), "test", f"the playbook gives no `{name}`", hint)


def _starting(check: Checker, test: Test, path: Path) -> None:
    trigger = check.model.trigger
    if test.alert is not None and trigger.match is None:
        check.say((*path, "alert"), "test", "no alert starts this playbook: it has no `match`", "use `inputs:`")
    if test.schedule and trigger.schedule is None:
        check.say((*path, "schedule"), "test", "this playbook has no schedule", "")
    if test.alert is None and not test.schedule and test.inputs is None and trigger.match is not None:
        check.say(path, "test", "nothing starts it here", "add `alert:`, `inputs:` or `schedule: true`")
    if test.inputs is not None:
        try:
            validate_all(check.model.inputs, test.inputs)
        except ValueError as error:
            check.say((*path, "inputs"), "test", str(error))
    if test.joins and trigger.key is None:
        check.say((*path, "joins"), "test", "no alert joins a run of this playbook: its trigger has no `key`", "")


def _given(check: Checker, test: Test, path: Path) -> None:
    for name, answer in test.given.items():
        here = (*path, "given", name)
        plain = name.removeprefix("steps.")
        step = check.ids.get(plain)
        if step is None and (name.startswith("steps.") or name not in check.capabilities):
            hint = did_you_mean(plain, [*check.capabilities, *check.ids])
            check.say((*here, "@key"), "test", f"neither an action nor a step is named `{plain}`", hint)
            continue
        action = step.action if isinstance(step, ActionStep) else name if step is None else None
        if step is not None and not isinstance(step, ActionStep | PlaybookStep):
            check.say((*here, "@key"), "test", f"`{plain}` calls nothing that could answer", "")
        capability = check.capabilities.get(action or "")
        if capability is not None and not getattr(step, "all_routes", False):
            for place, one in _each(answer, here):
                _answer(check, one, place, capability.gives)


def _each(answer: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(answer, list):
        for index, one in enumerate(answer):
            if isinstance(one, Mapping) and set(one) <= {"when", "then"} and "then" in one:
                yield (*path, index, "then"), one["then"]
            else:
                yield (*path, index), one
    else:
        yield path, answer


def _answer(check: Checker, answer: Any, path: Path, gives: type[BaseModel]) -> None:
    if not isinstance(answer, Mapping):
        check.say(path, "test", f"an answer is an object, and this is {type(answer).__name__}", "")
        return
    if "fails" in answer:
        kinds = [str(kind) for kind in FailureKind]
        if answer["fails"] not in kinds:
            check.say(
                (*path, "fails"),
                "test",
                f"no failure is named `{answer['fails']}`",
                did_you_mean(str(answer["fails"]), kinds),
            )
        return
    for name, value in answer.items():
        info = gives.model_fields.get(name)
        if info is None:
            hint = did_you_mean(name, gives.model_fields)
            check.say((*path, name, "@key"), "test", f"the action gives no `{name}`", hint)
        else:
            literal(check, (*path, name), value, annotated(info))


def _answers(check: Checker, test: Test, path: Path) -> None:
    for name, answer in test.answers.items():
        here = (*path, "answers", name)
        step = check.ids.get(name.rpartition(".")[2])
        if isinstance(step, ApprovalStep):
            if answer not in ("approve", "deny", "expire"):
                hint = did_you_mean(str(answer), ["approve", "deny", "expire"])
                check.say(here, "test", f"`{answer}` is no answer to an approval", hint)
        elif isinstance(step, AskStep):
            _fields(check, step, answer, here)
        else:
            asking = [one for one, step in check.ids.items() if isinstance(step, ApprovalStep | AskStep)]
            check.say(
                (*here, "@key"), "test", f"no approval or question has the id `{name}`", did_you_mean(name, asking)
            )


def _fields(check: Checker, step: AskStep, answer: Any, here: Path) -> None:
    if answer == "expire" or (answer == "done" and not step.ask.fields):
        return
    if not isinstance(answer, Mapping):
        check.say(here, "test", "the answer to a question holds its fields, or is `expire`", "")
        return
    try:
        validate_all(step.ask.fields, answer)
    except ValueError as error:
        check.say(here, "test", str(error))


def _call(check: Checker, entry: str | Mapping[str, Mapping[str, Any]], path: Path) -> None:
    if isinstance(entry, str):
        _action(check, entry, path)
        return
    for name, parameters in entry.items():
        capability = check.capabilities.get(name)
        if capability is None:
            _action(check, name, (*path, name, "@key"))
            continue
        for word in parameters:
            if word not in capability.takes.model_fields:
                hint = did_you_mean(word, capability.takes.model_fields)
                check.say((*path, name, word, "@key"), "test", f"`{name}` takes no `{word}`", hint)


def _action(check: Checker, name: str, path: Path) -> None:
    if name not in check.capabilities:
        check.say(path, "test", f"no action is named `{name}`", did_you_mean(name, check.capabilities))
