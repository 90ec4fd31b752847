"""The tests that a playbook brings: they name what there is, and say what could be true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from orchestrator.contract.capability import completed
from orchestrator.errors import FailureKind
from orchestrator.language.checking.actions import literal
from orchestrator.language.checking.beginnings import alert, fields, moment
from orchestrator.language.checking.checker import did_you_mean
from orchestrator.language.model import ActionStep, ApprovalStep, AskStep, PlaybookStep, Step
from orchestrator.language.outputs import Trust, all_routes_of
from orchestrator.language.reference_reader import CalendarDocument
from orchestrator.language.tested import Test
from orchestrator.language.wording import called, said, told
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker

ABOUT = {"by": FieldInfo(annotation=str), "trust": FieldInfo(annotation=Trust)}
"""what a test may say of an answer beside its fields: who gave it, and how far that is known"""
VERDICTS = ("approve", "deny", "expire")


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
    _site(check, test, path)
    for name, answer in test.given.items():
        _given(check, name, answer, (*path, "given", name))
    for name, answer in test.answers.items():
        _answered(check, name, answer, (*path, "answers", name))
    _expected(check, test, (*path, "expect"))


def _starting(check: Checker, test: Test, path: Path) -> None:
    """Something starts it, and can."""
    trigger = check.model.trigger
    kinds = [word for word in ("alert", "inputs", "schedule") if getattr(test, word) not in (None, False)]
    if "alert" in kinds and len(kinds) > 1:
        message = (
            f"a run begins with an alert, or without one; this test has {' and '.join(f'`{one}`' for one in kinds)}"
        )
        check.say((*path, kinds[1]), "test", message, "make two tests of it")
    if test.alert is not None and trigger.match is None:
        check.say((*path, "alert"), "test", "no alert starts this playbook: it has no `match`", "use `inputs:`")
    if test.schedule and trigger.schedule is None:
        check.say((*path, "schedule"), "test", "this playbook has no schedule", "use `inputs:`, or add one")
    if not kinds and trigger.match is not None:
        check.say(path, "test", "nothing starts it here", "add `alert:`, `inputs:` or `schedule: true`")
    if test.inputs is not None or "alert" not in kinds:
        fields(check, (*path, "inputs"), check.model.inputs, test.inputs or {}, "the playbook has no input")
    if test.at is not None:
        moment(check, (*path, "at"), test.at)
    if test.alert is not None:
        alert(check, (*path, "alert"), test.alert)
    _joining(check, test, path)


def _joining(check: Checker, test: Test, path: Path) -> None:
    if test.joins and check.model.trigger.key is None:
        message = "no alert joins a run of this playbook: its trigger has no `key`"
        check.say((*path, "joins"), "test", message, "add `key:` below `trigger:`")
    for index, one in enumerate(test.joins):
        alert(check, (*path, "joins", index, "alert"), one.alert)


def _site(check: Checker, test: Test, path: Path) -> None:
    """The lists and calendars that the test puts in the place of the site's: those that the playbook reads."""
    for kind in ("lists", "calendars"):
        read = [one.partition(".")[2] for one in check.reads if one.startswith(f"{kind}.")]
        for name in getattr(test, kind):
            if name not in read:
                hint = did_you_mean(name, read)
                check.say((*path, kind, name, "@key"), "test", f"the playbook reads no `{kind}.{name}`", hint)
    for name, entries in test.lists.items():
        _entries(check, name, entries, (*path, "lists", name))
    for name, given in test.calendars.items():
        _calendar(check, (*path, "calendars", name), given)


def _entries(check: Checker, name: str, entries: list[Any], path: Path) -> None:
    """Entries of the type that the site's list has."""
    known = check.library.site.lists.get(name) if check.library.site is not None else None
    for index, entry in enumerate(entries if known is not None else ()):
        try:
            known.type.entry(entry) if known is not None else None
        except ValueError as error:
            check.say((*path, index), "test", f"`lists.{name}`: {error}")


def _calendar(check: Checker, path: Path, given: Any) -> None:
    if not isinstance(given, Mapping):
        check.say(path, "test", f"{called(path)} is a calendar: it has `tz` and `hours`, and maybe `holidays`")
        return
    try:
        CalendarDocument.model_validate({"title": "of a test", **given})
    except ValidationError as error:
        for where, message, hint in told(error, given, path):
            check.say(where, "test", message, hint)


# --- what actions and sub-playbooks answer


def _given(check: Checker, name: str, answer: Any, path: Path) -> None:
    """An answer of an action, or of one step that calls something."""
    plain = name.removeprefix("steps.")
    step = check.step_names.find(plain) if name not in check.capabilities else None
    if step is None and check.step_names.is_unread(plain):  # of that playbook it is said that it has errors of its own
        return
    if step is None and name not in check.capabilities:
        known = check.step_names.of(ActionStep, PlaybookStep)
        hint = did_you_mean(name, [*check.capabilities, *(f"steps.{one}" for one in known)])
        check.say((*path, "@key"), "test", f"neither an action nor a step is named `{name}`", hint)
        return
    if step is not None and not isinstance(step, ActionStep | PlaybookStep):
        check.say((*path, "@key"), "test", f"`{plain}` is no call: it is `{step.KIND}:`, which nothing answers here")
        return
    if step is None and not _may_call(check, name):
        hint = did_you_mean(name, sorted(_actions(check)))
        check.say((*path, "@key"), "test", f"no step calls `{name}`: this answer is for nobody", hint)
    _mixed(check, answer, path)
    for place, one in _each(answer, path):
        _answer(check, one, place, _gives(check, name, step))
    for place, one in _conditions(answer, path):
        _parameters(check, one, place, step.action if isinstance(step, ActionStep) else name, step)


def _gives(check: Checker, name: str, step: Step | None) -> list[Mapping[str, Any]]:
    """The fields that an answer may have; those of all routes as well where a step asks them all."""
    if isinstance(step, PlaybookStep):
        known = check.library.outputs.get(step.playbook)
        return [] if known is None else [known]
    action = step.action if isinstance(step, ActionStep) else name
    capability = check.capabilities.get(action)
    if capability is None:
        return []
    asked = [step] if step is not None else _asking(check, action)
    all_routes = any(getattr(one, "all_routes", False) for one in asked)
    return [capability.gives.model_fields, *([all_routes_of(capability).model_fields] if all_routes else [])]


def _asking(check: Checker, action: str) -> list[ActionStep]:
    """Every step that calls the action, also those of the playbooks that this one calls."""
    return [one for one in check.step_names.every if isinstance(one, ActionStep) and one.action == action]


def _may_call(check: Checker, name: str) -> bool:
    """Whether a step calls the action, or undoes something with it."""
    actions = _actions(check)
    inverses = {made.inverse for one in actions if (made := check.capabilities.get(one)) is not None}
    return name in actions or name in inverses or check.step_names.has_unread


def _actions(check: Checker) -> set[str]:
    """What steps call, also those of the playbooks that this one calls."""
    return {one.action for one in check.step_names.every if isinstance(one, ActionStep)}


def _mixed(check: Checker, answer: Any, path: Path) -> None:
    conditional = [_is_conditional(one) for one in answer] if isinstance(answer, list) else []
    if any(conditional) and not all(conditional):
        place = (*path, conditional.index(False))
        check.say(place, "test", "either all of the list have `when` and `then`, or none has", "add `when: {}`")


def _is_conditional(one: Any) -> bool:
    return isinstance(one, Mapping) and set(one) <= {"when", "then"} and "then" in one


def _each(answer: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every answer of a list, or behind a `when`."""
    if isinstance(answer, list):
        for index, one in enumerate(answer):
            yield from _each(one, (*path, index))
    elif _is_conditional(answer):
        yield (*path, "then"), answer["then"]
    else:
        yield path, answer


def _conditions(answer: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every `when` of the answers."""
    if isinstance(answer, list):
        for index, one in enumerate(answer):
            yield from _conditions(one, (*path, index))
    elif _is_conditional(answer) and answer.get("when"):
        yield (*path, "when"), answer["when"]


def _answer(check: Checker, answer: Any, path: Path, gives: list[Mapping[str, Any]]) -> None:
    if not isinstance(answer, Mapping):
        message = f"{called(path)} is an answer: a mapping of fields, or `{{fails: timeout}}`"
        check.say(path, "test", message, "write it as `{field: value}`")
    elif "fails" in answer:
        kinds = [str(kind) for kind in FailureKind]
        if answer["fails"] not in kinds:
            hint = did_you_mean(str(answer["fails"]), kinds)
            check.say((*path, "fails"), "test", f"no failure is named `{answer['fails']}`", hint)
    elif len(gives) > 1 and set(answer) <= {"answers", "failed"}:
        _of_all_routes(check, answer, path, gives)
    elif gives:
        for name, value in answer.items():
            _field(check, (*path, name), value, gives[0])


def _of_all_routes(check: Checker, answer: Mapping[str, Any], path: Path, gives: list[Mapping[str, Any]]) -> None:
    """Every answer of its own, and why the others gave none: a kind of failure is enough."""
    for index, one in enumerate(_list(check, answer.get("answers", []), (*path, "answers"))):
        _answer(check, one, (*path, "answers", index), gives[:1])
    for index, one in enumerate(_list(check, answer.get("failed", []), (*path, "failed"))):
        kind = {"fails": one.get("kind", "timeout") if isinstance(one, Mapping) else one}
        _answer(check, kind, (*path, "failed", index), [])


def _list(check: Checker, value: Any, path: Path) -> list[Any]:
    if not isinstance(value, list):
        check.say(path, "test", f"{called(path)} is a list, and this is {said(value)}")
    return value if isinstance(value, list) else []


def _field(check: Checker, path: Path, value: Any, known: Mapping[str, Any]) -> None:
    name = str(path[-1])
    if name not in known:
        check.say((*path, "@key"), "test", f"the answer has no `{name}`", did_you_mean(name, known))
    elif isinstance(known[name], FieldInfo):
        literal(check, path, completed(known[name], value), known[name], "test")


def _parameters(check: Checker, given: Any, path: Path, action: str, step: Step | None = None) -> None:
    """Parameters that a call is told by: they are of the action, and of its types."""
    capability = check.capabilities.get(action)
    if not isinstance(given, Mapping):
        check.say(path, "test", f"{called(path)} is a mapping of parameters")
    elif capability is not None and not isinstance(step, PlaybookStep):
        for name, value in given.items():
            info = capability.takes.model_fields.get(name)
            if info is None:
                hint = did_you_mean(name, capability.takes.model_fields)
                check.say((*path, name, "@key"), "test", f"`{action}` takes no `{name}`", hint)
            else:
                literal(check, (*path, name), value, info, "test")


# --- what people answer


def _answered(check: Checker, name: str, answer: Any, path: Path) -> None:
    step = check.step_names.find(name)
    if isinstance(step, ApprovalStep):
        if answer not in VERDICTS:
            check.say(path, "test", f"{said(answer)} is no answer to an approval", did_you_mean(str(answer), VERDICTS))
    elif isinstance(step, AskStep):
        _fields(check, step, answer, path)
    elif not check.step_names.is_unread(name):
        hint = did_you_mean(name, check.step_names.of(ApprovalStep, AskStep))
        check.say((*path, "@key"), "test", f"no approval or question has the id `{name}`", hint)


def _fields(check: Checker, step: AskStep, answer: Any, path: Path) -> None:
    if answer == "expire" or (answer == "done" and not step.ask.fields):
        return
    if not isinstance(answer, Mapping):
        known = ", ".join(step.ask.fields) or "none, so it is `done`"
        message = f"{called(path)}: {said(answer)} is no answer to a question: say its fields, or `expire`"
        check.say(path, "test", message, f"its fields: {known}")
        return
    own = {name: value for name, value in answer.items() if name not in ABOUT or name in step.ask.fields}
    for name in answer.keys() - own.keys():
        literal(check, (*path, name), answer[name], ABOUT[name], "test")
    fields(check, path, step.ask.fields, own, "the question has no field")


# --- what is expected


def _expected(check: Checker, test: Test, path: Path) -> None:
    _idle(check, test, path)
    for index, entry in enumerate(test.expect.calls or ()):
        _call(check, entry, (*path, "calls", index))
    for index, name in enumerate(test.expect.not_called):
        _action(check, name, (*path, "not_called", index))
    for index, name in enumerate(test.expect.undone or ()):
        _step(check, name, (*path, "undone", index), ActionStep)
    for index, name in enumerate(test.expect.asked or ()):
        _step(check, name, (*path, "asked", index), ApprovalStep, AskStep)
    for name in test.expect.outputs or ():
        if name not in check.model.outputs:
            hint = did_you_mean(name, check.model.outputs)
            check.say((*path, "outputs", name, "@key"), "test", f"the playbook gives no `{name}`", hint)


def _idle(check: Checker, test: Test, path: Path) -> None:
    """Where nothing starts, nothing else can be seen."""
    if test.expect.starts:
        return
    for word in ("given", "answers", "joins"):
        if getattr(test, word):
            check.say((*path[:-1], word), "test", f"nothing starts here, so `{word}` is for nobody", "leave it out")
    for word in test.expect.model_fields_set - {"starts"}:
        check.say((*path, word), "test", f"nothing starts here, so `{word}` cannot fail", "leave it out")


def _step(check: Checker, name: str, path: Path, *kinds: type[Step]) -> None:
    """A step that could have done it."""
    step, known = check.step_names.find(name), check.step_names.of(*kinds)
    if step is None and not check.step_names.is_unread(name):
        check.say(path, "test", f"no step has the id `{name}`", did_you_mean(name, known))
    elif step is not None and not isinstance(step, kinds):
        what = "asks nobody" if path[-2] == "asked" else "does nothing that could be undone"
        check.say(path, "test", f"`{name}` {what}: it is `{step.KIND}:`", did_you_mean(name, known))


def _call(check: Checker, entry: str | Mapping[str, Mapping[str, Any]], path: Path) -> None:
    if isinstance(entry, str):
        _action(check, entry, path)
        return
    for name, parameters in entry.items():
        _action(check, name, (*path, name, "@key"))
        _parameters(check, parameters, (*path, name), name)


def _action(check: Checker, name: str, path: Path) -> None:
    if name not in check.capabilities:
        check.say(path, "test", f"no action is named `{name}`", did_you_mean(name, check.capabilities))
