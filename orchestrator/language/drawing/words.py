"""The words on the cards: what a step does, in as few of them as an analyst needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from orchestrator.contract import Capability
from orchestrator.language.drawing.picture import Fact, Tone
from orchestrator.language.model import (
    ActionStep,
    Approval,
    Ask,
    ForEach,
    PlaybookStep,
    Repeat,
    Retry,
    SetStep,
    Step,
    StepKeys,
    Until,
    Wait,
)
from orchestrator.language.started import By, Manual, Schedule, Trigger
from orchestrator.language.typed import Spec

Some = Capability[Any, Any]
SILENCE = {"deny": "denied", "fail": "failed", "approve": "approved"}
MOST_NAMES = 6
_BRACES = re.compile(r"\{\{(.*?)\}\}")


def bare(template: Any) -> str:
    """A template as it reads best: one that is a single expression stands without its braces."""
    if not isinstance(template, str):
        return value_text(template)
    text = " ".join(template.split())
    if text.startswith("{{") and text.endswith("}}") and text.count("{{") == 1:
        return text[2:-2].strip()
    return _BRACES.sub(lambda found: f"{{{found.group(1).strip()}}}", text)


def value_text(value: Any) -> str:
    """A value as YAML writes it on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {value_text(one)}' for name, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, str):
        return bare(value) or '""'
    return orjson.dumps(value, default=str).decode()


def title_of(step: StepKeys, otherwise: str) -> Fact:
    """Its name for people, else its id, else what its kind is."""
    return Fact(step.name or (step.id or otherwise).replace("_", " "), Tone.TITLE)


def of_action(step: ActionStep, capability: Some | None) -> Iterator[Fact]:
    """What is called, upon what, and how long its effect lasts."""
    if step.name or step.id:
        yield Fact(step.action, Tone.CODE)
    target = capability.target if capability else next(iter(step.with_), None)
    if target in step.with_:
        yield Fact(f"{target}: {bare(step.with_[target])}", Tone.CODE)
    yield from _lasts(step)
    if step.all_routes:
        yield Fact("asks every integration")
    if step.verify:
        yield Fact("waits until the effect is seen")
    if step.unattended:
        yield Fact("nobody approves it, on purpose", Tone.WARN)
    if step.optional:
        yield Fact("skipped where the site has no integration", Tone.QUIET)
    yield from _retried(step.retry)


def _lasts(step: ActionStep) -> Iterator[Fact]:
    if isinstance(step.for_, Until):
        yield Fact(f"for {step.for_.value}, at most {step.for_.at_most}")
    elif step.for_:
        yield Fact(f"for {step.for_}, then undone by itself")
    elif step.keep:
        yield Fact("until somebody undoes it")


def _retried(retry: Retry | None) -> Iterator[Fact]:
    if retry is not None:
        kinds = f", after {' or '.join(retry.on)}" if retry.on else ""
        yield Fact(f"tried up to {retry.attempts} times{kinds}", Tone.QUIET)


def of_any(step: Step, *, guarded_default: bool = True) -> Iterator[Fact]:
    """What any step may have."""
    if step.timeout:
        yield Fact(f"timeout {step.timeout}", Tone.QUIET)
    if step.on_error == "continue":
        yield Fact("if it fails, the run goes on", Tone.WARN)
    if guarded_default and step.default is not None:
        yield Fact(f"without it: {bare(step.default)}", Tone.QUIET)


def of_approval(asked: Approval) -> Iterator[Fact]:
    """The question, who decides, and what silence means."""
    yield Fact(bare(asked.ask))
    if asked.auto:
        yield Fact(f"nobody is asked if {asked.auto}", Tone.CODE)
    yield Fact(f"{_by(asked.by)} decides {_count(asked.by)}".strip(), Tone.PEOPLE)
    yield from _meanwhile(asked)
    yield Fact(f"{asked.within} of silence: {SILENCE[asked.otherwise]}", Tone.PEOPLE)
    yield Fact(f"covers {', '.join(asked.covers)}", Tone.PEOPLE)


def of_ask(asked: Ask) -> Iterator[Fact]:
    """The question, who answers with what, and what silence means."""
    yield Fact(bare(asked.text))
    who = f"{bare(asked.to.mail)} answers by mail" if asked.to else f"{_by(asked.by or By())} answers"
    yield Fact(who, Tone.PEOPLE)
    for name, spec in list(asked.fields.items())[:MOST_NAMES]:
        yield Fact(f"{name}: {_type(spec)}", Tone.CODE)
    yield from _meanwhile(asked)
    silence = "failed" if asked.otherwise == "fail" else bare(dict(asked.otherwise))
    yield Fact(f"{asked.within} of silence: {silence}", Tone.PEOPLE)


def _by(by: By) -> str:
    if by.user:
        return f"{bare(by.user)} of {by.group}"
    return by.group or "somebody"


def _count(by: By) -> str:
    return f"({by.count} people)" if by.count > 1 else ""


def _meanwhile(asked: Approval | Ask) -> Iterator[Fact]:
    if asked.remind:
        yield Fact(f"reminded every {asked.remind}", Tone.QUIET)
    if asked.escalate:
        yield Fact(f"after {asked.escalate.after} {asked.escalate.group} too", Tone.PEOPLE)


def _type(spec: Spec) -> str:
    if spec.choice:
        return " | ".join(spec.choice)
    return f"list of {spec.list}" if spec.list else str(spec.type)


def of_playbook(step: PlaybookStep) -> Iterator[Fact]:
    """What is called with what."""
    yield Fact(step.playbook, Tone.CODE)
    for name, value in list(step.with_.items())[:MOST_NAMES]:
        yield Fact(f"{name}: {bare(value)}", Tone.CODE)
    if step.detach:
        yield Fact("is not waited for")


def of_for_each(each: ForEach) -> Iterator[Fact]:
    """The items, and how many of them at a time."""
    items = each.items if isinstance(each.items, str) else bare(each.items)
    yield Fact(f"for each {each.as_} of {items}", Tone.CODE)
    if each.concurrency > 1:
        yield Fact(f"{each.concurrency} at a time", Tone.QUIET)
    if each.collect is not None:
        yield Fact(f"collects {bare(each.collect)}", Tone.CODE)


def of_repeat(loop: Repeat) -> Iterator[Fact]:
    """When it ends."""
    yield Fact(f"until {loop.until}", Tone.CODE)
    yield Fact(f"every {loop.every}, at most {loop.times} times", Tone.QUIET)


def of_wait(wait: Wait) -> Iterator[Fact]:
    """What for."""
    if wait.for_:
        yield Fact(f"for {wait.for_}")
    elif wait.until:
        yield Fact(f"until {wait.until}", Tone.CODE)
    else:
        yield Fact(f"for an alert: {wait.alert}", Tone.CODE)
        yield Fact(f"{wait.within} without one: expired, the run goes on", Tone.QUIET)


def of_set(step: SetStep) -> Iterator[Fact]:
    """The names and their values."""
    for name, value in list(step.set.items())[:MOST_NAMES]:
        yield Fact(f"{name} = {bare(value)}", Tone.CODE)


def of_alert(trigger: Trigger) -> Iterator[Fact]:
    """Which alerts start it, and which join."""
    yield Fact("an alert", Tone.TITLE)
    yield Fact(str(trigger.match), Tone.CODE)
    if trigger.key:
        yield Fact(f"with the same {trigger.key} joins the open run", Tone.QUIET)
    if trigger.joins:
        yield Fact(f"so does one with {trigger.joins}", Tone.CODE)
    if trigger.join:
        yield Fact(f"repeats are only counted for {trigger.join} after its end", Tone.QUIET)


def of_schedule(schedule: Schedule) -> Iterator[Fact]:
    """When."""
    yield Fact("the clock", Tone.TITLE)
    yield Fact(f"{schedule.cron} {schedule.tz}", Tone.CODE)
    yield Fact("a missed start is made up for" if schedule.missed == "run" else "a missed start is skipped", Tone.QUIET)


def of_manual(manual: Manual) -> Iterator[Fact]:
    """Who."""
    yield Fact("a person, by hand", Tone.TITLE)
    yield Fact(_by(manual.by), Tone.PEOPLE)


def of_inputs(inputs: Mapping[str, Spec]) -> Iterator[Fact]:
    """What a caller gives."""
    for name, spec in list(inputs.items())[:MOST_NAMES]:
        default = f" = {bare(spec.default)}" if spec.default is not None else ""
        yield Fact(f"{name}: {_type(spec)}{default}", Tone.CODE)


def of_outputs(outputs: Mapping[str, Any]) -> Iterator[Fact]:
    """What a caller gets."""
    for name, value in list(outputs.items())[:MOST_NAMES]:
        yield Fact(f"{name} = {bare(value)}", Tone.CODE)
