"""A playbook as its author writes it: the typed model from which it is checked, run, drawn and documented.

The docstring of a model says what the construct means; the description of a field says what may stand there. The
reference that authors read is made of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from orchestrator.errors import FailureKind
from orchestrator.language.started import By, Trigger
from orchestrator.language.tested import Test
from orchestrator.language.typed import TypeSpec
from orchestrator.language.written import Condition, Doc, Duration, Identifier, PlaybookName, Technique, Value

MOST_DEPTH = 5
"""how deep sub-playbooks may call sub-playbooks"""


class Retry(Doc):
    """How often a failed attempt is repeated, after which pauses, for which kinds of failure."""

    attempts: Annotated[int, Field(ge=1, le=20, description="attempts in all")] = 3
    backoff: Duration = Field("1s", description="the first pause; each further one is twice as long")
    max_backoff: Duration = Field("30s", description="the longest pause")
    on: tuple[FailureKind, ...] | None = Field(
        None, description="the kinds of failure that are tried again; all that can be, unless said"
    )


class StepKeys(Doc):
    """What any step may have beside its own key."""

    KIND: ClassVar[str] = ""

    id: Identifier | None = Field(None, description="its name in expressions, tests and the ledger's keys")
    name: str | None = Field(None, description="its name for people")
    when: Condition | None = Field(None, description="a condition; the step is skipped unless it holds")
    unless: Condition | None = Field(None, description="a condition; the step is skipped if it holds")
    timeout: Duration | None = Field(
        None, description="bounds one attempt of an action, the whole of a container; waiting for people does not count"
    )
    on_error: Literal["fail", "continue"] | tuple[Step, ...] = Field(
        "fail", description="what follows a failure: `fail`, `continue`, or steps"
    )
    default: Any = Field(None, description="its output where it failed, was skipped or was not reached")


class Until(Doc):
    """How long an effect lasts, computed: never longer than `at_most`."""

    value: Value = Field(
        description="an expression that gives a duration, as `24 | hours` or `steps.x.output.minutes | minutes`"
    )
    at_most: Duration = Field(description="the longest that it may come to")


class ActionStep(StepKeys):
    """One call of a capability through the gateway.

    An action that can be undone says `for: 24h`, after which it is undone by itself, or `keep: true`. Reads are tried
    three times unless `retry` says otherwise, writes once: after a lost answer the ledger finds out what happened.
    """

    KIND: ClassVar[str] = "action"

    action: str = Field(description="the name of the capability")
    with_: dict[str, Any] = Field(default={}, alias="with", description="its parameters; strings are templates")
    for_: Duration | Until | None = Field(default=None, alias="for", description="how long the effect lasts")
    keep: bool = Field(False, description="leave the effect until somebody undoes it")
    verify: Literal["wait"] | None = Field(
        None, description="`wait`: the step ends when the effect was seen at its target"
    )
    all_routes: bool = Field(False, description="ask every integration of the route; the output is `{answers, failed}`")
    retry: Retry | None = Field(None, description="how often a failed attempt is repeated")
    optional: bool = Field(False, description="skipped where the site has no integration for the capability")
    unattended: bool = Field(False, description="an irreversible action that nobody approves, on purpose")


class Escalate(Doc):
    """After a while of silence, another group may answer too."""

    after: Duration = Field(description="how long after the question")
    group: str = Field(description="who may answer from then on, besides")


class Approval(Doc):
    """What people decide: whether the steps that `covers` names are sent, exactly as shown."""

    ask: str = Field(description="the question; a template")
    covers: Annotated[tuple[Identifier, ...], Field(min_length=1, description="the later steps that it decides about")]
    auto: Condition | None = Field(
        None, description="a condition that approves with nobody asked; its values are recorded"
    )
    by: By = Field(By(), description="who may answer")
    within: Duration = Field("24h", description="how long the question stands")
    remind: Duration | None = Field(None, description="how often it is asked again")
    escalate: Escalate | None = Field(None, description="who may answer too after a while")
    otherwise: Literal["deny", "fail", "approve"] = Field(
        "deny", description="what silence means; `approve` only for what can be undone, by one person"
    )


class ApprovalStep(StepKeys):
    """People decide whether what it covers is sent. Denied, expired or skipped: what it covers is skipped.

    The card shows every request that the covered steps will send, rendered once: what is approved is what is sent.
    """

    KIND: ClassVar[str] = "approval"

    approval: Approval = Field(description="the question")


class To(Doc):
    """Somebody outside the SOC."""

    mail: str = Field(description="a template that gives the mail address")


class Ask(Doc):
    """A question to people: a form, a manual task, or "was this you?"; never an approval."""

    text: str = Field(description="the question or the task; a template")
    by: By | None = Field(None, description="who in the SOC may answer")
    to: To | None = Field(None, description="who outside is asked")
    fields: dict[Identifier, TypeSpec] = Field({}, description="what the answer holds; without fields it is `done`")
    within: Duration = Field("24h", description="how long the question stands")
    remind: Duration | None = Field(None, description="how often it is asked again")
    escalate: Escalate | None = Field(None, description="who may answer too after a while")
    otherwise: Literal["fail"] | dict[Identifier, Any] = Field(
        "fail", description="what silence means: `fail`, or an answer"
    )

    @model_validator(mode="after")
    def _of_one(self) -> Ask:
        if self.by is not None and self.to is not None:
            raise ValueError("`by` asks the SOC and `to` asks somebody outside; one of them")
        return self


class AskStep(StepKeys):
    """People answer, and a branch follows. The output holds the fields, and `by`, `at`, `trust`."""

    KIND: ClassVar[str] = "ask"

    ask: Ask = Field(description="the question")


class PlaybookStep(StepKeys):
    """A sub-playbook, as a run of its own with typed inputs and outputs."""

    KIND: ClassVar[str] = "playbook"

    playbook: PlaybookName = Field(description="its name, a literal")
    with_: dict[str, Any] = Field(default={}, alias="with", description="its inputs; strings are templates")
    detach: bool = Field(False, description="do not wait for its end")


class ParallelStep(StepKeys):
    """All branches run at the same time and finish; they do not see each other."""

    KIND: ClassVar[str] = "parallel"

    parallel: Annotated[
        tuple[Step, ...], Field(min_length=1, description="the branches, a step each; `do` for several")
    ]
    fail_fast: bool = Field(
        False, description="the first failure ends the others, once their calls in flight are settled"
    )


class DoStep(StepKeys):
    """A group: a branch of several steps, or one `timeout` and one `on_error` for a chain."""

    KIND: ClassVar[str] = "do"

    do: Annotated[tuple[Step, ...], Field(min_length=1, description="the steps")]


class ForEach(Doc):
    """The items, and what is done with each."""

    items: Value | list[Any] = Field(description="a bare expression that gives a list, or a list")
    as_: Identifier = Field("item", alias="as", description="the name of the item in expressions")
    concurrency: Annotated[int, Field(ge=1, le=100, description="how many items at a time")] = 1
    collect: str | dict[str, Any] | list[Any] | None = Field(
        None, description="what `steps.<id>.output.collect` holds of each item; a template"
    )
    steps: Annotated[tuple[Step, ...], Field(min_length=1, description="what is done with each")]


class ForEachStep(StepKeys):
    """The steps once for each item of a list; each item has its own place in the ledger and is checkpointed.

    Failed items do not stop the others; afterwards the step fails with the first of them in the order of the list,
    unless `on_error` says otherwise. `on_error` steps run for each item that failed; there `steps.<id>.error`, with the
    loop's own id, is the error of that item. An `undo` of what a step here did stands inside the loop too.
    """

    KIND: ClassVar[str] = "for_each"

    for_each: ForEach = Field(description="the loop")


class IfStep(StepKeys):
    """One of two branches."""

    KIND: ClassVar[str] = "if"

    if_: Condition = Field(alias="if", description="the condition")
    then: Annotated[tuple[Step, ...], Field(min_length=1, description="the steps where it holds")]
    else_: tuple[Step, ...] = Field(default=(), alias="else", description="the steps where it does not")


class SwitchStep(StepKeys):
    """The branch whose literal is the value. Of a choice or a severity every value has one, or there is a default."""

    KIND: ClassVar[str] = "switch"

    switch: Value = Field(description="a bare expression")
    cases: Annotated[dict[str, tuple[Step, ...]], Field(min_length=1, description="literals, each with its steps")]
    default: tuple[Step, ...] | None = Field(None, description="the steps where no case fits")


class Repeat(Doc):
    """What is repeated, and when that ends."""

    until: Condition = Field(description="looked at after each turn; it ends when it holds")
    every: Duration = Field("10s", description="the pause between turns")
    times: Annotated[int, Field(ge=1, le=10_000, description="the most turns; out of turns is a failure")]
    steps: Annotated[tuple[Step, ...], Field(min_length=1, description="one turn")]


class RepeatStep(StepKeys):
    """Polling: the steps again and again until a condition holds. Afterwards the steps show their last turn."""

    KIND: ClassVar[str] = "repeat"

    repeat: Repeat = Field(description="the loop")


class Wait(Doc):
    """What is waited for: a time, a moment, or another alert that joins the run."""

    for_: Duration | None = Field(default=None, alias="for", description="so long")
    until: Value | None = Field(None, description="a bare expression that gives the moment")
    alert: Condition | None = Field(None, description="a condition over `joining`, an alert that joins this run")
    within: Duration | None = Field(None, description="how long an alert is waited for")

    @model_validator(mode="after")
    def _of_one_kind(self) -> Wait:
        if sum(one is not None for one in (self.for_, self.until, self.alert)) != 1:
            raise ValueError("a wait has one of `for`, `until`, `alert`")
        if (self.alert is None) != (self.within is None):
            raise ValueError("`alert` and `within` go together")
        return self


class WaitStep(StepKeys):
    """Wait for a time, for a moment, or for another alert that joins the run.

    For an alert it looks at all that joined since the last one that it gave; none in time is `expired`.
    """

    KIND: ClassVar[str] = "wait"

    wait: Wait = Field(description="what for")


class SetStep(StepKeys):
    """Give names to values: `vars.<name>`."""

    KIND: ClassVar[str] = "set"

    set: Annotated[
        dict[Identifier, Any], Field(min_length=1, description="names and their values; strings are templates")
    ]


class UndoStep(StepKeys):
    """Release this run's hold on the effects of these steps, in reverse; what nobody else holds is undone.

    Of a step that calls a sub-playbook: on all that this has done, unless it is detached.
    """

    KIND: ClassVar[str] = "undo"

    undo: Annotated[tuple[Identifier, ...], Field(min_length=1, description="the steps whose effects are undone")]


class StopStep(StepKeys):
    """End the run from anywhere, once calls in flight are settled."""

    KIND: ClassVar[str] = "stop"

    stop: Literal["success", "failure"] = Field(description="how the run ends")
    message: str = Field("", description="why; a template")


Step = Annotated[
    Annotated[ActionStep, Tag("step:action")]
    | Annotated[ApprovalStep, Tag("step:approval")]
    | Annotated[AskStep, Tag("step:ask")]
    | Annotated[PlaybookStep, Tag("step:playbook")]
    | Annotated[ParallelStep, Tag("step:parallel")]
    | Annotated[DoStep, Tag("step:do")]
    | Annotated[ForEachStep, Tag("step:for_each")]
    | Annotated[IfStep, Tag("step:if")]
    | Annotated[SwitchStep, Tag("step:switch")]
    | Annotated[RepeatStep, Tag("step:repeat")]
    | Annotated[WaitStep, Tag("step:wait")]
    | Annotated[SetStep, Tag("step:set")]
    | Annotated[UndoStep, Tag("step:undo")]
    | Annotated[StopStep, Tag("step:stop")],
    Discriminator(lambda step: f"step:{kind_of_step(step)}"),
]
STEPS: dict[str, type[StepKeys]] = {
    one.KIND: one
    for one in (
        *(ActionStep, ApprovalStep, AskStep, PlaybookStep, ParallelStep, DoStep, ForEachStep, IfStep, SwitchStep),
        *(RepeatStep, WaitStep, SetStep, UndoStep, StopStep),
    )
}
"""The step kinds, each by its own key."""


def kind_of_step(step: Any) -> str:
    """The kind of a step, by the key that it has; an action where it has none, so that this is what is asked for."""
    if isinstance(step, StepKeys):
        return step.KIND
    return next((kind for kind in STEPS if isinstance(step, dict) and kind in step), "action")


class PlaybookDocument(Doc):
    """One file in `playbooks/`; the file's name is its id."""

    title: str = Field(description="what it does, in a few words")
    why: str | None = Field(None, description="why that is right; people read it when they are asked")
    attack: tuple[Technique, ...] = Field((), description="MITRE ATT&CK techniques that it answers")
    owner: str | None = Field(None, description="who looks after it")
    mode: Literal["live", "shadow"] = Field(
        "live", description="`shadow`: writes are rendered, checked and recorded, and not sent"
    )
    priority: Literal["low", "normal", "high"] = Field(
        "normal", description="whose turn comes first when many runs wait"
    )
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="how many runs may be open; more wait, visibly, the most severe first, then the oldest"
    )
    undo_on_failure: bool = Field(
        False, description="where the run fails, what it did (with its sub-playbooks) is undone first, in reverse"
    )
    trigger: Trigger = Field(Trigger(), description="what starts it; none for one that only others call")
    inputs: dict[Identifier, TypeSpec] = Field(
        {}, description="typed inputs of sub-playbooks, manual and scheduled runs"
    )
    outputs: dict[Identifier, Any] = Field({}, description="what a caller gets; strings are templates")
    steps: Annotated[tuple[Step, ...], Field(min_length=1, description="what is done, in order")]
    on_failure: tuple[Step, ...] = Field((), description="what is done when the run failed; it cannot rescue the run")
    tests: tuple[Test, ...] = Field((), description="at least one that starts it and one that does not")


_HOLDERS: tuple[type[BaseModel], ...] = (*STEPS.values(), ForEach, Repeat, StepKeys, PlaybookDocument)
for _model in _HOLDERS:
    _model.model_rebuild()


def inside(step: StepKeys) -> Iterator[tuple[tuple[str, ...], tuple[Step, ...]]]:
    """The lists of steps that a step holds, each with its path in the document below the step; `on_error` the last."""
    match step:
        case ParallelStep():
            yield ("parallel",), step.parallel
        case DoStep():
            yield ("do",), step.do
        case ForEachStep():
            yield ("for_each", "steps"), step.for_each.steps
        case RepeatStep():
            yield ("repeat", "steps"), step.repeat.steps
        case IfStep():
            yield ("then",), step.then
            yield ("else",), step.else_
        case SwitchStep():
            for literal, steps in step.cases.items():
                yield ("cases", literal), steps
            yield ("default",), step.default or ()
        case _:
            pass
    if not isinstance(step.on_error, str):
        yield ("on_error",), step.on_error


def every_step(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Each step and each inside it, in the order of the file."""
    for step in steps:
        yield step
        for _, inner in inside(step):
            yield from every_step(inner)


def located(steps: tuple[Step, ...], path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Step]]:
    """Every step with its place in the document."""
    for index, step in enumerate(steps):
        here = (*path, index)
        yield here, step
        for below, inner in inside(step):
            yield from located(inner, (*here, *below))


def named(steps: tuple[Step, ...]) -> list[tuple[str, Step]]:
    """Each step with its id; one without gets its kind and which of that kind it is, so that ledger keys last."""
    counts: dict[str, int] = {}
    listed = []
    for step in steps:
        kind = step.action if isinstance(step, ActionStep) else step.KIND
        counts[kind] = counts.get(kind, 0) + (0 if step.id else 1)
        listed.append((step.id or f"{kind}#{counts[kind]}", step))
    return listed
