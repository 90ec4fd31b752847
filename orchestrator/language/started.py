"""What starts a playbook, and who may."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.language.written import Condition, Doc, Duration, Value


class By(Doc):
    """Who may answer. A `user` from data must be in the group as well."""

    group: str | None = Field(None, description="the group whose people may answer")
    count: Annotated[int, Field(ge=1, le=10, description="how many have to")] = 1
    distinct: bool = Field(True, description="the requester and the playbook's last editor do not count")
    user: str | None = Field(None, description="a template that names the one person who may")

    @model_validator(mode="after")
    def _of_a_group(self) -> By:
        if self.user and not self.group:
            raise ValueError("a `user` needs a `group` that the person must be in")
        return self


class Schedule(Doc):
    """Start by the clock; such a run has no alert.

    `cron` has numbers, lists, ranges and steps, months and days also as `jan` and `mon`; where both days are said both
    have to fit, so `0 8 1-7 * 1` is the first Monday of a month. It goes by the clock of `tz`: at 8:00 in summer and in
    winter. A time that the clock leaves out when it is put forward does not come that day, and one that it shows twice
    comes once; the checker warns of both.
    """

    cron: str = Field(description="five fields: minute, hour, day of the month, month, day of the week (Sunday 0 or 7)")
    tz: str = Field("UTC", description="the time zone, as `Europe/Amsterdam`")
    missed: Literal["skip", "run"] = Field(
        "skip",
        description="what becomes of a start that was missed: `skip` starts it up to a minute late, `run` up to a year",
    )


class Manual(Doc):
    """Start by hand, with `tocsin run`; the requester cannot approve."""

    by: By = Field(By(), description="who may start it")


class Trigger(Doc):
    """What starts a run; several may stand side by side.

    Alerts with the same `key` join the open run; repeats within `join` of its end are counted and start nothing.
    """

    match: Condition | None = Field(None, description="a condition over `alert`")
    key: Value | None = Field(None, description="a bare expression; alerts with the same key join the open run")
    join: Duration | None = Field(None, description="repeats within this time after the run's end are only counted")
    joins: Condition | None = Field(
        None, description="a condition over `alert` for what may join, where that is wider than `match`"
    )
    schedule: Schedule | None = Field(None, description="start by the clock")
    manual: Manual | None = Field(None, description="start by hand")

    @model_validator(mode="after")
    def _belong_together(self) -> Trigger:
        if self.match is None and (self.key or self.join or self.joins):
            raise ValueError("`key`, `join` and `joins` are about alerts, and there is no `match`")
        if self.joins is not None and self.key is None:
            raise ValueError("`joins` needs a `key`: alerts without one never join another")
        return self
