"""A playbook as its author writes it: the typed model from which it is checked, run and documented."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from orchestrator.errors import FailureKind
from orchestrator.language.durations import parse_duration


class Doc(BaseModel):
    """A part of the document; frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _duration(value: Any) -> str:
    parse_duration(value)
    return str(value).strip()


def _condition(value: Any) -> Any:
    # `when: true` is YAML's own truth value, and means the same in an expression
    return str(value).lower() if isinstance(value, bool) else value


Duration = Annotated[str, BeforeValidator(_duration)]
"""A literal with a unit: 90s, 30m, 24h, 7d."""
Condition = Annotated[str, BeforeValidator(_condition)]
"""A bare expression that holds or does not."""
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Technique = Annotated[str, Field(pattern=r"^T[0-9]{4}(\.[0-9]{3})?$")]


class Retry(Doc):
    """How often a failed attempt is repeated, after which pauses, for which kinds of failure."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    backoff: Duration = "1s"
    max_backoff: Duration = "30s"
    on: tuple[FailureKind, ...] | None = None


class StepKeys(Doc):
    """What any step may have beside its own key."""

    id: Identifier | None = None
    name: str | None = None
    when: Condition | None = None
    unless: Condition | None = None
    on_error: Literal["fail", "continue"] | tuple[Step, ...] = "fail"
    default: dict[str, Any] | None = None


class ActionStep(StepKeys):
    """One call through the gateway. Reversible ones say `for` (undone by itself) or `keep: true`."""

    action: str
    with_: dict[str, Any] = Field(default={}, alias="with")
    for_: Duration | None = Field(default=None, alias="for")
    keep: bool = False
    timeout: Duration = "30s"
    retry: Retry | None = None
    optional: bool = False
    unattended: bool = False


class By(Doc):
    """Who may answer."""

    group: str | None = None
    count: Annotated[int, Field(ge=1, le=1)] = 1


class Approval(Doc):
    """What people decide: whether the steps that `covers` names are sent, exactly as shown."""

    ask: str
    covers: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    auto: Condition | None = None
    by: By = By()
    within: Duration = "24h"
    otherwise: Literal["deny", "fail", "approve"] = "deny"


class ApprovalStep(StepKeys):
    """People decide whether what it covers is sent. Denied, expired or skipped: what it covers is skipped."""

    approval: Approval


class ParallelStep(StepKeys):
    """All branches run at the same time and finish; they do not see each other."""

    parallel: Annotated[tuple[Step, ...], Field(min_length=1)]


class DoStep(StepKeys):
    """A group: a branch of several steps, or one `when` and one `on_error` for a chain."""

    do: Annotated[tuple[Step, ...], Field(min_length=1)]


KINDS = ("action", "approval", "parallel", "do")
"""The step kinds, each by its own key."""


def kind_of_step(step: Any) -> str:
    """The kind of a step, by the key that it has."""
    keys = step if isinstance(step, dict) else type(step).model_fields
    return next((f"step:{kind}" for kind in KINDS if kind in keys), "step:action")


Step = Annotated[
    Annotated[ActionStep, Tag("step:action")]
    | Annotated[ApprovalStep, Tag("step:approval")]
    | Annotated[ParallelStep, Tag("step:parallel")]
    | Annotated[DoStep, Tag("step:do")],
    Discriminator(kind_of_step),
]


class Trigger(Doc):
    """What starts a run. Alerts with the same `key` join the open run; repeats within `join` of its end are counted."""

    match: Condition
    key: str | None = None
    join: Duration | None = None


class Expect(Doc):
    """What has to come of a test."""

    starts: bool = True
    ends: Literal["success", "failure"] | None = None
    calls: tuple[str | dict[str, dict[str, Any]], ...] | None = None
    not_called: tuple[str, ...] = ()
    asked: tuple[str, ...] | None = None


class Test(Doc):
    """A test of the playbook: an alert, what the actions answer, what people answer, and what has to come of it."""

    __test__ = False  # pytest takes classes of this name for its own

    name: str
    alert: dict[str, Any]
    given: dict[str, Any] = {}
    answers: dict[str, Literal["approve", "deny", "expire"]] = {}
    expect: Expect


class PlaybookDocument(Doc):
    """One file in `playbooks/`; the file's name is its id."""

    title: str
    why: str | None = None
    attack: tuple[Technique, ...] = ()
    owner: str | None = None
    mode: Literal["live", "shadow"] = "live"
    priority: Literal["low", "normal", "high"] = "normal"
    trigger: Trigger
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    on_failure: tuple[Step, ...] = ()
    tests: tuple[Test, ...] = ()


for _model in (StepKeys, ActionStep, ApprovalStep, ParallelStep, DoStep, PlaybookDocument):
    _model.model_rebuild()

LATER = frozenset(
    {
        *("schedule", "manual", "joins", "inputs", "outputs", "concurrency", "undo_on_failure", "lists", "at"),
        *("ask", "playbook", "detach", "for_each", "if", "switch", "cases", "repeat", "wait", "set", "undo", "stop"),
        *("verify", "fail_fast", "distinct", "user", "remind", "escalate", "all_routes", "undone"),
    }
)
"""Keys of the language that this version does not run yet: the checker says so instead of guessing."""
