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
    is what ledger keys begin with: the alert key, or the request or scheduled time.
    """

    run: str
    playbook: str
    digest: str
    event: str
    workflow_id: str
    first_run_id: str
    mode: Literal["live", "shadow"] = "live"
    requester: str | None = None


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
    `seen` is how many joined alerts the parameters were rendered with.
    """

    step: str
    path: tuple[str, ...]
    action: str
    parameters: dict[str, Any]
    expires: float | None = None
    keep: bool = False
    optional: bool = False
    unattended: bool = False
    attempt: int = 1
    timeout: float = 30.0
    approval: str | None = None
    summary: str = ""
    seen: int = 0


class ActionOutcome(Record):
    """What came of an attempt: an output for succeeded and shadowed, an error for failed.

    `seen` is how many joined alerts the parameters were rendered with that were sent: those recorded first, where the
    task of the run is carried out again with more alerts in it.
    """

    status: StepStatus
    output: dict[str, Any] | None = None
    error: StepError | None = None
    integration: str | None = None
    milliseconds: float | None = None
    seen: int = 0


class ApprovalRequest(Record):
    """What people are asked. `calls` are the steps it covers, rendered once; `deadline` is absolute."""

    step: str
    path: tuple[str, ...]
    ask: str
    calls: tuple[ActionCall, ...]
    group: str | None = None
    count: int = 1
    deadline: datetime | None = None
    otherwise: Literal["deny", "fail", "approve"] = "deny"
    auto_reason: dict[str, Any] | None = None


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


class Joined(Record):
    """The alerts that joined the run so far: the first ones of them, and how many there are in all."""

    alerts: tuple[dict[str, Any], ...] = ()
    count: int = 0
    severity: str | None = None


class Host(Protocol):
    """The world of a run. The interpreter calls nothing else: no clock, no randomness, no I/O of its own."""

    context: RunContext

    def now(self) -> datetime:
        """The run's clock."""
        ...

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """Carry out one attempt; never raises for a failure of the action, which is in the outcome."""
        ...

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        """Ask people and wait for the decision; with `auto_reason` set, record that nobody had to be asked."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on the run's clock."""
        ...

    def joined(self) -> Joined:
        """A snapshot of what joined the run until now."""
        ...

    def seen(self, count: int) -> None:
        """A step took the first `count` joined alerts into account; the run owes them nothing more."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether somebody ended the run: no step begins any more, but those of `on_failure`."""
        ...

    def clean_up(self) -> None:
        """The steps of `on_failure` begin now."""
        ...

    def show(self, state: str) -> None:
        """Say in a few words what the run is doing, for people who look at it."""
        ...
