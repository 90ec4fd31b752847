"""What travels between starter, workflow and activities: frozen models, small enough for Temporal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.language.host import ActionCall, ApprovalRequest, Decision, RunContext, StepError, Trace


class Message(BaseModel):
    """A frozen message."""

    model_config = ConfigDict(frozen=True)


class JoinedAlert(Message):
    """An alert that joins an open run."""

    alert: dict[str, Any]
    alert_key: str
    severity: str
    run: str
    reason: dict[str, Any] = {}


class RunStart(Message):
    """The one argument of a run: the playbook by content, the alert, and why. `inbox` is what waited for this run."""

    run: str
    playbook: str
    digest: str
    document: dict[str, Any]
    mode: Literal["live", "shadow"]
    alert: dict[str, Any]
    alert_key: str
    severity: str
    group_key: str | None = None
    join: float = 0.0
    reason: dict[str, Any] = {}
    inbox: tuple[JoinedAlert, ...] = ()


class Begin(Message):
    """Ask whether the alert is this run's."""

    context: RunContext
    alert_key: str
    severity: str
    group_key: str | None
    join: float
    reason: dict[str, Any]


class Begun(Message):
    """Who has the alert. Only `mine` runs; `by` names the run that has it otherwise."""

    verdict: Literal["mine", "duplicate", "counted", "refused"]
    by: str | None = None
    why: str = ""


class TakeIn(Message):
    """Alerts that joined. `how` is `counted` for those that came when no step was left to see them."""

    context: RunContext
    alerts: tuple[JoinedAlert, ...]
    how: Literal["joined", "counted"] = "joined"


class Act(Message):
    """One attempt of one action."""

    context: RunContext
    call: ActionCall
    traces: tuple[Trace, ...]


class Ask(Message):
    """A question to people."""

    context: RunContext
    request: ApprovalRequest
    traces: tuple[Trace, ...]


class Asked(Message):
    """The question as it was recorded. `decision` is there already where nobody had to be asked, or somebody answered."""

    approval: str
    digest: str
    card: str
    decision: Decision | None = None
    error: StepError | None = None


class ReadAnswers(Message):
    """Look for answers in the run's own history, after the last event looked at."""

    context: RunContext
    request: ApprovalRequest
    approval: str
    digest: str
    after: int
    expired: bool


class AnswersRead(Message):
    """What was found: the last event looked at, and the decision if there is one."""

    last: int
    decision: Decision | None = None


class Finish(Message):
    """How a run ended."""

    context: RunContext
    state: Literal["succeeded", "failed", "cancelled"]
    failed_step: str | None
    error: StepError | None
    steps: dict[str, str]
    traces: tuple[Trace, ...]


class Answer(Message):
    """What the Signals `approve` and `deny` carry: the step, and the digest of what was shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    digest: str
    note: str = ""


class SignalSeen(Message):
    """An answer as the server recorded it: its place and time, who the server says it was, who it claims to be."""

    event_id: int
    at: datetime
    signal: Literal["approve", "deny"]
    payload: Any = None
    malformed: bool = False
    principal: str | None = None
    identity: str = ""
