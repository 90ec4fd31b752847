"""The tests that a playbook brings with it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.language.written import Doc, Duration


class Expect(Doc):
    """What has to come of a test."""

    starts: bool = Field(True, description="whether the alert starts it")
    ends: Literal["success", "failure"] | None = Field(None, description="how it ends; success unless said")
    calls: tuple[str | dict[str, dict[str, Any]], ...] | None = Field(
        None,
        description=(
            "the actions, exactly and in order (free between branches); `{action: {parameters}}` for more; one that is "
            "tried again counts once"
        ),
    )
    not_called: tuple[str, ...] = Field((), description="actions that must not be called")
    undone: tuple[str, ...] | None = Field(None, description="the steps whose effects were undone")
    outputs: dict[str, Any] | None = Field(None, description="the playbook's outputs")
    asked: tuple[str, ...] | None = Field(None, description="the approvals and questions, in order")


class JoinLater(Doc):
    """An alert that joins the run in a test."""

    after: Duration = Field(description="how long after the start")
    alert: dict[str, Any] = Field(description="the alert, as in the test itself")


class Test(Doc):
    """A test of the playbook: what starts it, what actions and people answer, and what has to come of it."""

    __test__ = False  # pytest takes classes of this name for its own

    name: str = Field(description="what it shows, in a sentence")
    alert: dict[str, Any] | None = Field(
        None, description="the alert; `from` names a file below samples/, what stands beside it replaces its own"
    )
    inputs: dict[str, Any] | None = Field(None, description="the inputs of a run without an alert")
    schedule: bool = Field(False, description="a scheduled run")
    at: str | None = Field(None, description="the time at which it starts, in ISO 8601")
    lists: dict[str, list[Any]] = Field({}, description="lists of the site, for this test")
    calendars: dict[str, Any] = Field({}, description="calendars of the site, for this test")
    given: dict[str, Any] = Field({}, description="what actions answer: by action, by `steps.<id>` or by the id")
    answers: dict[str, Any] = Field(
        {}, description="what people answer: approve, deny, expire, or the fields of a question"
    )
    joins: tuple[JoinLater, ...] = Field((), description="alerts that join the run")
    expect: Expect = Field(description="what has to come of it")
