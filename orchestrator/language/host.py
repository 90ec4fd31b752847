"""What the interpreter of playbooks asks of the world that it runs in: the Temporal workflow, or the simulator.

Everything here is plain data that survives JSON, so that it can travel as the argument or the result of an activity.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from orchestrator.errors import FailureKind


class Record(BaseModel):
    """A frozen piece of data between the interpreter and its host."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunContext(Record):
    """Which run this is, the same on every attempt and after continue-as-new.

    `run` is the run's own name: `PLAYBOOK/a/ALERT` for a run that an alert started, whatever its workflow id. `event`
    is what ledger keys begin with: the alert key, or the request or scheduled time. `within` is what comes before the
    path of a step there: for a sub-playbook, the versions and paths of the steps that called it. `mode_why` says what
    makes it shadow.
    """

    run: str
    playbook: str
    digest: str
    event: str
    workflow_id: str
    first_run_id: str
    mode: Literal["live", "shadow"] = "live"
    mode_why: str = ""
    requester: str | None = None
    case: str | None = None
    within: tuple[str, ...] = ()
    depth: int = 0


class StepStatus(StrEnum):
    """What became of a step."""

    SKIPPED = "skipped"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"
    EXPIRED = "expired"
    SHADOWED = "shadowed"

    @property
    def ok(self) -> bool:
        """What `steps.x.ok` reads: it did its work, or would have."""
        return self in (StepStatus.SUCCEEDED, StepStatus.SHADOWED)


class StepError(Record):
    """Why a step failed: `steps.x.error`."""

    kind: FailureKind
    message: str
    retry_after: float | None = None


class Trace(Record):
    """Something that the interpreter decided, for the audit: a condition with its values, a step's start or end.

    Traces gather while no activity runs and travel with the next one, so that they cost no activity of their own.
    """

    at: datetime
    type: str
    step: str | None = None
    path: tuple[str, ...] = ()
    body: dict[str, Any] = {}


class ActionCall(Record):
    """One attempt of one action. `path` is the path of step ids, loop indexes with a hash of their item included.

    `expires` is how long, in seconds, the effect shall last (None with `keep`, or for what cannot be undone).
    `approval` is the id of the approval that covers the step. `timeout` is in seconds and bounds this attempt.
    `seen` is how many joined alerts the parameters were rendered with. `all_routes` asks all of the route.
    `verified` holds the result back until the effect was seen at its target.
    """

    step: str
    path: tuple[str, ...]
    action: str
    parameters: dict[str, Any]
    expires: float | None = None
    keep: bool = False
    optional: bool = False
    unattended: bool = False
    all_routes: bool = False
    verified: bool = False
    attempt: int = 1
    timeout: float = 30.0
    approval: str | None = None
    summary: str = ""
    seen: int = 0


class Wanted(Record):
    """An approval that the site demands before an action is sent: by which line, who may answer, until when.

    `key` says who has to answer: what was approved under the same satisfies it. `within` is in seconds.
    """

    line: str
    key: str
    group: str | None = None
    count: int = 1
    within: float
    otherwise: Literal["deny", "fail"] = "deny"


class Above(Record):
    """A budget is reached, and people are asked about all that waits under the same `card`: why, who may answer.

    `within` is in seconds.
    """

    why: str
    card: str
    group: str | None = None
    count: int = 1
    within: float
    otherwise: Literal["deny", "fail"] = "deny"


class ActionOutcome(Record):
    """What came of an attempt: an output for succeeded and shadowed, an error for failed.

    `seen` is how many joined alerts the parameters were rendered with that were sent: those recorded first, where the
    task of the run is carried out again with more alerts in it. `halted` says which kill switch halts the attempt: it
    has not failed, and is to be asked for again until it is lifted. So is what is `above` a budget, until people have
    answered. `wanted` says that people have to approve it first.
    """

    status: StepStatus
    output: dict[str, Any] | None = None
    error: StepError | None = None
    integration: str | None = None
    milliseconds: float | None = None
    seen: int = 0
    halted: str = ""
    above: Above | None = None
    wanted: Wanted | None = None

    @property
    def waits(self) -> str:
        """Why it is to be asked for again; empty where it is not."""
        return self.halted or (self.above.why if self.above else "")


class Escalation(Record):
    """From this moment on, this group may answer too."""

    at: datetime
    group: str


class Question(Record):
    """What any question to people says: who may answer, until when, how often they are reminded."""

    step: str
    path: tuple[str, ...]
    ask: str
    group: str | None = None
    user: str | None = None
    count: int = 1
    distinct: bool = True
    deadline: datetime | None = None
    remind: float | None = None
    escalate: Escalation | None = None


class ApprovalRequest(Question):
    """What people are asked. `calls` are the steps it covers, rendered once; `deadline` is absolute.

    `demanded` is there where the site demands it and no author wrote it: the key of what is wanted.
    """

    calls: tuple[ActionCall, ...]
    otherwise: Literal["deny", "fail", "approve"] = "deny"
    auto_reason: dict[str, Any] | None = None
    demanded: str = ""


class AskRequest(Question):
    """A form or a task. `fields` are the specs of what an answer holds; `otherwise` the answer that silence means."""

    fields: dict[str, dict[str, Any]] = {}
    mail: str | None = None
    otherwise: dict[str, Any] | None = None


class Decision(Record):
    """How an approval ended. `status` is succeeded (approved), denied, expired or failed.

    `approval` is the id that covered calls must carry. `auto` says that the playbook's condition approved, nobody else.
    """

    status: StepStatus
    approval: str | None = None
    by: str | None = None
    at: datetime | None = None
    trust: Literal["signed", "principal", "unverified", "silence"] | None = None
    note: str = ""
    auto: bool = False


class Answered(Record):
    """How a question ended: succeeded with the fields of the answer, or failed for want of one."""

    status: StepStatus
    fields: dict[str, Any] = {}
    by: str | None = None
    at: datetime | None = None
    trust: Literal["signed", "principal", "unverified", "silence"] | None = None
    note: str = ""


class SubCall(Record):
    """A sub-playbook to run, with its inputs packed (see `packing`).

    `begun` says that it runs already: an earlier execution of the run has called it.
    """

    step: str
    path: tuple[str, ...]
    playbook: str
    inputs: dict[str, Any]
    severity: str
    case: str | None = None
    detach: bool = False
    begun: bool = False


class SubOutcome(Record):
    """How a sub-playbook ended: its outputs packed, or its error."""

    status: StepStatus
    outputs: dict[str, Any] = {}
    error: StepError | None = None


class UndoCall(Record):
    """Release the run's hold on what these steps did; on all that it did, where none are named."""

    step: str
    path: tuple[str, ...]
    steps: tuple[str, ...] | None = None


class UndoOutcome(Record):
    """The steps whose effects were undone, and the first failure where one was not."""

    undone: tuple[str, ...] = ()
    error: StepError | None = None


class Joined(Record):
    """The alerts that joined the run so far: the first of them and the latest ones, and how many there are in all.

    `latest` holds each with its place, counted from 0, for those that wait for one.
    """

    alerts: tuple[dict[str, Any], ...] = ()
    latest: tuple[tuple[int, dict[str, Any]], ...] = ()
    count: int = 0
    severity: str | None = None


class Host(Protocol):
    """The world of a run. The interpreter calls nothing else: no clock, no randomness, no I/O of its own.

    The world ends what waits by cancelling it, as asyncio does; calls under way are settled all the same.
    """

    context: RunContext

    def now(self) -> datetime:
        """The run's clock."""
        ...

    async def ready(self) -> None:
        """Wait until something may begin: a run that goes on elsewhere begins nothing here any more."""
        ...

    async def stopping(self) -> None:
        """Wait until somebody ends the run."""
        ...

    def clean_up(self) -> None:
        """What is done after the end of the steps begins now: it is sent also where somebody ended the run."""
        ...

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """Carry out one attempt; never raises for a failure of the action, which is in the outcome."""
        ...

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        """Ask people and wait for the decision; with `auto_reason` set, record that nobody had to be asked."""
        ...

    async def question(self, request: AskRequest, traces: tuple[Trace, ...]) -> Answered:
        """Ask people and wait for their answer."""
        ...

    async def call(self, call: SubCall, traces: tuple[Trace, ...]) -> SubOutcome:
        """Run a sub-playbook, and wait for its end unless it is detached."""
        ...

    async def call_off(self, call: SubCall) -> None:
        """End a sub-playbook that an earlier execution has called and nobody waits for any more; returns at its end."""
        ...

    async def undo(self, call: UndoCall, traces: tuple[Trace, ...]) -> UndoOutcome:
        """Undo what the run did."""
        ...

    async def joining(self, count: int) -> None:
        """Wait until more than `count` alerts have joined."""
        ...

    def joined(self) -> Joined:
        """A snapshot of what joined the run until now."""
        ...

    def seen(self, count: int) -> None:
        """A step took the first `count` joined alerts into account; the run owes them nothing more."""
        ...

    def halted(self, path: tuple[str, ...], why: str, *, above: bool = False) -> None:
        """Show why this step waits, for a kill switch or `above` a budget, or with no words that it does not."""
        ...

    def show(self, state: str) -> None:
        """Say in a few words what the run is doing, for people who look at it."""
        ...
