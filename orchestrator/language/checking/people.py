"""Approvals and questions: what is covered can be shown, somebody can answer in time, and silence means something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.contract import Effect
from orchestrator.language.checking.around import Around
from orchestrator.language.checking.checker import did_you_mean
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import compile_condition, compile_template, compile_value
from orchestrator.language.model import (
    ActionStep,
    Approval,
    ApprovalStep,
    Ask,
    AskStep,
    ForEachStep,
    Step,
    every_step,
    inside,
)
from orchestrator.language.outputs import ApprovalOutput, annotated_output
from orchestrator.language.program import conditions_of, values_of
from orchestrator.language.started import By
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker


def approval(check: Checker, step: ApprovalStep, path: Path, around: Around) -> Any:
    """Every step that it covers can be shown when it is asked, and is sent after it."""
    asked, here = step.approval, (*path, "approval")
    check.text((*here, "ask"), asked.ask, around)
    if asked.auto:
        check.condition((*here, "auto"), asked.auto, around)
    _times(check, asked, here)
    _by(check, asked.by, (*here, "by"), around)
    for index, name in enumerate(asked.covers):
        _covers(check, (*here, "covers", index), name, step, path, around)
    if asked.otherwise == "approve":
        _approves_by_silence(check, asked, (*here, "otherwise"))
    return ApprovalOutput


def _approves_by_silence(check: Checker, asked: Approval, here: Path) -> None:
    if asked.by.count > 1:
        check.say(here, "people", "silence cannot approve what wants several people", "write `otherwise: deny`")
    for name in asked.covers:
        step = check.ids.get(name)
        capability = check.capabilities.get(step.action) if isinstance(step, ActionStep) else None
        if capability is not None and capability.effect is Effect.IRREVERSIBLE:
            message = f"silence cannot approve `{name}`, which cannot be undone"
            check.say(here, "people", message, "write `otherwise: deny`")


def _times(check: Checker, asked: Approval | Ask, here: Path) -> None:
    within = parse_duration(asked.within)
    if asked.remind and parse_duration(asked.remind) >= within:
        check.say(
            (*here, "remind"), "people", f"nobody is reminded: the question ends after {asked.within}", "shorten it"
        )
    if asked.escalate and parse_duration(asked.escalate.after) >= within:
        message = f"nobody else is asked: the question ends after {asked.within}"
        check.say((*here, "escalate", "after"), "people", message, "shorten it")


def _by(check: Checker, by: By, here: Path, around: Around) -> None:
    if by.user:
        check.text((*here, "user"), by.user, around)
    if by.user and by.count > 1:
        check.say((*here, "count"), "people", "one person is named, and several are wanted", "remove `user` or `count`")
    if by.user and by.distinct and set(check.named(by.user, compile_template)) == {("run", "requester")}:
        message = "only who has started the run may answer, and does not count"
        check.say((*here, "user"), "people", message, "write `distinct: false` where that is meant, or name another")


def _covers(check: Checker, here: Path, name: str, asking: ApprovalStep, path: Path, around: Around) -> None:
    step = check.ids.get(name)
    if step is None:
        check.unknown_step(here, name)
        return
    if not isinstance(step, ActionStep):
        hint = "" if not any(True for _ in inside(step)) else "name the actions inside it"
        check.say(here, "covers", f"`{name}` is no action; an approval covers what is sent", hint)
        return
    capability = check.capabilities.get(step.action)
    if capability is not None and not capability.effect.mutates:
        check.say(here, "covers", f"`{name}` only reads; nobody has to approve that", "remove it from the list")
    others = [one.id or "another one" for one in every_step(check.lists) if _also_covers(one, name, asking)]
    if others or asking.approval.covers.count(name) > 1:
        check.say(here, "covers", f"`{name}` is covered twice", "a step is covered once")
    reason = _place(check, name, path)
    if reason:
        check.say(here, "covers", f"`{name}` {reason[0]}", reason[1])
        return
    _known_when_asked(check, here, name, path, around)


def _also_covers(step: Step, name: str, asking: ApprovalStep) -> bool:
    return isinstance(step, ApprovalStep) and step is not asking and name in step.approval.covers


def _place(check: Checker, name: str, path: Path) -> tuple[str, str] | None:
    """Why the step cannot be decided from here: it comes before, stands beside, or nobody knows what it will do."""
    there = next(found for found, step in check.located() if step.id == name)
    if there[0] != path[0]:
        return "stands on the other side of the run's failure", "an approval covers what comes after it on its own side"
    common = next(
        (at for at, (a, b) in enumerate(zip(path, there, strict=False)) if a != b), min(len(path), len(there))
    )
    lists = _lists(path[:common])
    if common == len(there) or common == len(path):
        return "cannot be asked about here: it is the approval, or one stands in the other", "ask before it"
    if common < min(len(path), len(there)) and isinstance(there[common], str):
        return "stands in another branch than the approval", "move the approval before the branches"
    if lists and lists[-1] == "parallel":
        return "runs beside the approval, in another branch", "move the approval before the `parallel`"
    a, b = path[common], there[common]
    if isinstance(a, int) and isinstance(b, int) and b < a:
        return "runs before it is asked about", "move the approval up"
    if {"for_each", "repeat"} & set(_lists(path[common:])):
        return "stands outside the loop that this is asked in", "move the approval out of the loop"
    below = there[common:]
    if "on_error" in below:
        return "stands in an `on_error`, and nobody can say beforehand whether that is reached", ""
    if "repeat" in below:
        return "stands in a `repeat`, and nobody can say beforehand what its turns will do", "ask inside the `repeat`"
    return None


def _lists(path: Path) -> list[str]:
    return [part for part in path if isinstance(part, str)]


def _known_when_asked(check: Checker, here: Path, name: str, path: Path, around: Around) -> None:
    """All that the request needs, and all that decides whether it is reached, is known when it is asked about."""
    needed = {path[:2] for step in _ancestors(check, name) for path in _needs(check, step) if len(path) > 1}
    for kind, word in sorted(needed):
        if kind == "steps" and word in check.ids and word not in around.known:
            message = f"`{name}` needs step `{word}`, which is not known when this is asked"
            check.say(here, "covers", message, f"move the approval below `{word}`")
        if kind == "vars" and word not in around.vars:
            message = f"`{name}` needs `vars.{word}`, which is not known when this is asked"
            check.say(here, "covers", message, "move the approval below the `set`")


def _needs(check: Checker, step: Step) -> Iterator[tuple[str, ...]]:
    """The paths that decide whether a step is reached, and what an action sends; not what a loop collects."""
    for source in (step.when, step.unless, *conditions_of(step)):
        yield from check.named(source, compile_condition) if source else ()
    for source in values_of(step):
        yield from check.named(source, compile_value)
    if isinstance(step, ActionStep):
        yield from check.named_in(step.with_)
    if isinstance(step, ForEachStep) and not isinstance(step.for_each.items, str):
        yield from check.named_in(step.for_each.items)


def _ancestors(check: Checker, name: str) -> list[Step]:
    """The step and all around it, from the outside."""

    def search(steps: tuple[Step, ...]) -> list[Step]:
        for step in steps:
            if step.id == name:
                return [step]
            for _, inner in inside(step):
                found = search(inner)
                if found:
                    return [step, *found]
        return []

    return search(check.lists)


def ask(check: Checker, step: AskStep, path: Path, around: Around) -> Any:
    """Somebody can answer, and silence means an answer that fits."""
    asked, here = step.ask, (*path, "ask")
    check.text((*here, "text"), asked.text, around)
    _times(check, asked, here)
    if asked.by is not None:
        _by(check, asked.by, (*here, "by"), around)
        if asked.by.count > 1:
            check.say((*here, "by", "count"), "people", "one answer is taken", "remove `count`")
    if asked.to is not None:
        check.text((*here, "to", "mail"), asked.to.mail, around)
    if asked.otherwise != "fail":
        _silence(check, asked, (*here, "otherwise"))
    for name in ("by", "at", "trust"):
        if name in asked.fields:
            check.say(
                (*here, "fields", name, "@key"), "value", f"`{name}` is said of every answer", "choose another name"
            )
    return annotated_output(asked.fields)


def _silence(check: Checker, asked: Ask, here: Path) -> None:
    assert isinstance(asked.otherwise, dict)  # noqa: S101 - asked by the caller
    for name, value in asked.otherwise.items():
        spec = asked.fields.get(name)
        if spec is None:
            hint = did_you_mean(name, asked.fields)
            check.say((*here, name, "@key"), "unknown_key", f"the question has no field `{name}`", hint)
            continue
        try:
            spec.validated(value)
        except ValueError as error:
            check.say((*here, name), "value", f"`{name}`: {error}")
    for name, spec in asked.fields.items():
        if spec.is_required and name not in asked.otherwise:
            check.say(here, "missing_key", f"silence has to mean something for `{name}` too", "add it")


def check_trust(check: Checker) -> None:
    """Warn where an answer that nobody verified opens the way to what cannot be undone."""
    asks = {step.id for step in check.ids.values() if isinstance(step, AskStep)}
    for path, step in check.located():
        opened = _opened_by(check, step, asks)
        if not opened:
            continue
        for inner in every_step((step,)):
            if isinstance(inner, ActionStep) and _is_unattended(check, inner):
                message = (
                    f"the answer to `{opened}` opens the way to `{inner.id or inner.action}`, which nobody approves"
                )
                hint = (
                    f"look at `steps.{opened}.output.trust` too, or cover `{inner.id or inner.action}` with an approval"
                )
                check.warn(path, "trust", message, hint)
                break


def _opened_by(check: Checker, step: Step, asks: set[str | None]) -> str | None:
    """The question whose answer, and not how far it is known, decides whether the step is reached."""
    named = [one for one in _deciding(check, step) if one[0] == "steps" and len(one) > 2 and one[1] in asks]
    if any(one[3:4] == ("trust",) for one in named):
        return None
    return next((one[1] for one in named if one[2] == "output"), None)


def _deciding(check: Checker, step: Step) -> set[tuple[str, ...]]:
    """The paths that decide whether the step, or what it holds, is reached."""
    sources = [one for one in (step.when, step.unless, getattr(step, "if_", None)) if one]
    paths = {path for source in sources for path in check.named(source, compile_condition)}
    switch = getattr(step, "switch", None)
    return paths | check.named(switch, compile_value) if switch else paths


def _is_unattended(check: Checker, step: ActionStep) -> bool:
    capability = check.capabilities.get(step.action)
    irreversible = capability is not None and capability.effect is Effect.IRREVERSIBLE
    return (irreversible or step.unattended) and step.id not in check.covered
