"""What travels between starter, workflow and activities: frozen models, small enough for Temporal."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.alerts.requests import content_digest
from orchestrator.language.host import (
    ActionCall,
    Answered,
    ApprovalRequest,
    AskRequest,
    Decision,
    RunContext,
    StepError,
    Trace,
    UndoCall,
)
from orchestrator.language.model import MOST_DEPTH


class Message(BaseModel):
    """A frozen message."""

    model_config = ConfigDict(frozen=True)


SeverityName = Literal["informational", "low", "medium", "high", "critical"]
# Signals and starts may come from anybody who reaches Temporal: what Postgres would choke on must not get that far.
Name = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]+$")]


class JoinedAlert(Message):
    """An alert that joins an open run.

    `alert` is empty where a run had too many to pass on: it counts all the same, and `left_out` is the digest of what
    it held. No Signal of ours comes without.
    """

    alert: dict[str, Any]
    alert_key: Name
    severity: SeverityName
    run: Name
    reason: dict[str, Any] = {}
    may_start: bool = True
    left_out: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @cached_property
    def content(self) -> str | None:
        """The digest of what intake recorded with its request to start this; None where nobody knows any more."""
        if not self.alert:
            return self.left_out
        return content_digest(self.run, self.alert_key, self.severity, self.alert)

    @property
    def identity(self) -> tuple[str, str | None, str, bool]:
        """Which alert it says that it is, and what it says of it: only one of those who say so is right."""
        return self.alert_key, self.content, self.severity, self.may_start

    def without_content(self) -> JoinedAlert:
        """The same for where there is no room for more than that it came."""
        return self.model_copy(update={"alert": {}, "reason": {}, "left_out": self.content})


class Carried(Message):
    """What a run that goes on in a new execution has behind it: alerts that its steps have seen, and how many.

    `trimmed` says that of the first ones some were too large to take along.

    `progress` is what its steps came to so far (see `interpreter.progress`), squeezed.
    """

    joined: tuple[JoinedAlert, ...] = ()
    count: int = 0
    latest: tuple[tuple[int, JoinedAlert], ...] = ()
    trimmed: bool = False
    severity: SeverityName = "informational"
    progress: str | None = None


How = Literal["alert", "manual", "schedule", "playbook"]


class RunStart(Message):
    """The one argument of a run: the playbook by content with those that it calls, the alert or the inputs, and why.

    `event` is what ledger keys begin with, where that is not the alert's key: a sub-playbook's are those of the run
    that called it. `caller` is the run that waits for this one, and `called_at` the path of its step: what this run
    does is undone with what that one did. `site` is the snapshot of the site's lists and calendars that the run began
    with. `inbox` is what waited for this run, in the keeping of the runs before it. `carried` is there where the same
    run goes on because its history had become long.
    """

    run: Name
    playbook: Name
    digest: Name
    document: dict[str, Any]
    bundle: dict[str, Any] = {}
    mode: Literal["live", "shadow"]
    how: How = "alert"
    alert: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    requester: Annotated[str, Field(max_length=200)] | None = None
    case: Annotated[str, Field(max_length=1_024)] | None = None
    event: Name | None = None
    caller: Name | None = None
    called_at: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    depth: Annotated[int, Field(ge=0, le=MOST_DEPTH)] = 0
    site: dict[str, Any] | None = None
    alert_key: Name
    severity: SeverityName
    group_key: Annotated[str, Field(max_length=1024)] | None = None
    join: Annotated[float, Field(ge=0, le=10 * 365 * 86_400)] = 0.0
    reason: dict[str, Any] = {}
    inbox: tuple[JoinedAlert, ...] = ()
    carried: Carried | None = None


class Begin(Message):
    """Ask whether the alert is this run's. `content` is the digest of what the run carries of it.

    `parent` is the workflow that the server says has started this one, `caller` the run of it that waits for this one,
    at its step `called_at`; `wants` the lists and calendars of the site that its playbook names, as `lists.travel`.
    `continued` says that the server has continued the run; one that was `cancelled` waits for no turn, since it sends
    nothing any more.
    """

    context: RunContext
    how: How = "alert"
    parent: str | None = None
    caller: str | None = None
    called_at: tuple[str, ...] = ()
    scheduled_at: datetime | None = None
    continued: bool = False
    cancelled: bool = False
    wants: tuple[str, ...] = ()
    alert_key: str
    content: str
    severity: str
    group_key: str | None
    join: float
    reason: dict[str, Any]


class Ending(Message):
    """How a run ended. `seen` is how many of the joined alerts its steps took into account."""

    state: Literal["succeeded", "failed", "cancelled"]
    failed_step: str | None = None
    error: StepError | None = None
    message: str = ""
    outputs: dict[str, Any] = {}
    steps: dict[str, str] = {}
    seen: int = 0


class Begun(Message):
    """Who has the alert. Only `mine` runs; `by` names the run that has it otherwise.

    `queued` says that as many runs of the playbook are open as may be. `site` is the snapshot that the run wants.
    `ending` is there where this execution has recorded its end already, and its last task is carried out again.
    `mode` is what the policy makes of the one that was asked for, and `mode_why` what makes it shadow.
    """

    verdict: Literal["mine", "duplicate", "counted", "refused", "queued"]
    by: str | None = None
    why: str = ""
    site: dict[str, Any] = {}
    ending: Ending | None = None
    mode: Literal["live", "shadow"] | None = None
    mode_why: str = ""


class TakenAlert(Message):
    """An alert to claim, with the digest of its content; only where it is `whole` does the run have that itself."""

    alert_key: Name
    content: str | None = None
    whole: bool = True
    severity: SeverityName
    may_start: bool = True
    reason: dict[str, Any] = {}


class TakeIn(Message):
    """Alerts that joined. `how` is `counted` for those that came when no step was left to see them.

    Those named in `passed_on` may be held by an earlier run of the same chain, which passed them on to this one.

    `asking` are the paths of the questions that the run asks, by the first `place` events of its history: what it asked
    before that and asks no longer, it asked in a task that was dropped.
    """

    context: RunContext
    alerts: tuple[TakenAlert, ...]
    how: Literal["joined", "counted"] = "joined"
    passed_on: tuple[str, ...] = ()
    asking: tuple[tuple[str, ...], ...] = ()
    place: int = 0


class Act(Message):
    """One attempt of one action."""

    context: RunContext
    call: ActionCall
    traces: tuple[Trace, ...]


class Undo(Message):
    """Take back what the run did."""

    context: RunContext
    call: UndoCall
    traces: tuple[Trace, ...]


class Void(Message):
    """A question that nobody has to answer any more, and why."""

    context: RunContext
    approval: str
    why: str


class Ask(Message):
    """A question to people. `original_run_id` differs from the execution's own id after a reset, and then asks anew.

    `place` is how many events the history has: of two that one execution asks at one path, the later one counts.
    """

    context: RunContext
    request: ApprovalRequest | AskRequest
    traces: tuple[Trace, ...]
    original_run_id: str = ""
    place: int = 0


class Asked(Message):
    """The question as it was recorded the first time, its deadline included.

    `decision` is there already where nobody had to be asked, or somebody answered.
    """

    approval: str
    digest: str
    card: str
    deadline: datetime | None = None
    decision: Decision | Answered | None = None
    error: StepError | None = None


class ReadAnswers(Message):
    """Look for answers in the run's own history, after the last event looked at.

    `request` has the deadline that was recorded.
    """

    context: RunContext
    request: ApprovalRequest | AskRequest
    approval: str
    digest: str
    after: int
    expired: bool
    original_run_id: str = ""


class AnswersRead(Message):
    """What was found: the last event looked at, and the decision if there is one.

    `ask_again` says that the question is from before a reset.
    """

    last: int
    decision: Decision | Answered | None = None
    ask_again: bool = False


class BudgetStart(Message):
    """The one argument of a budget's question: which card it is. Who may answer stands in the ledger."""

    card: Annotated[str, Field(min_length=1, max_length=1_024)]


class AskAbove(Message):
    """Ask about what waits above a budget. It is asked when no more than `waiting` wait: more are still arriving."""

    context: RunContext
    card: str
    waiting: int
    now: datetime
    original_run_id: str = ""


class AboveAsked(Message):
    """What waits, and the question about it; none where nothing waits, or more are still arriving."""

    waiting: int
    request: ApprovalRequest | None = None
    asked: Asked | None = None


class Finish(Message):
    """The end of a run. `answers` says that its history holds answers, of which some may not have been looked at."""

    context: RunContext
    ending: Ending
    traces: tuple[Trace, ...] = ()
    answers: bool = False


class Cancelled(Message):
    """Who wanted a run cancelled: `principal` where the server knew who that was, `run` for a run that called this one.

    Where it is `unverified`, `by` is what the client called itself.
    """

    by: str
    trust: Literal["principal", "run", "unverified"]
    why: str
    at: datetime


class Answer(Message):
    """What the Signals `approve`, `deny` and `answer` carry: the step, and the digest of what was shown.

    `fields` are what the Signal `answer` says. `by` is a name that counts only where the server does not know the
    sender, and is never more than a claim.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Annotated[str, Field(max_length=200)]
    digest: Annotated[str, Field(max_length=200)]
    note: Annotated[str, Field(max_length=2_000)] = ""
    fields: dict[str, Any] | None = None
    by: Annotated[str, Field(max_length=200)] | None = None


class SignalSeen(Message):
    """An answer as the server recorded it: its place and time, who the server says it was, who it claims to be."""

    event_id: int
    at: datetime
    signal: Literal["approve", "deny", "answer"]
    payload: Any = None
    malformed: bool = False
    principal: str | None = None
    identity: str = ""
