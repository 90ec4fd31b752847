"""Start runs, or bring alerts to the open one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.actions.modes import Modes
from orchestrator.alerts.requests import Started, StartRequest
from orchestrator.errors import DeadLetter, Unavailable
from orchestrator.workflow.messages import JoinedAlert, RunStart
from orchestrator.workflow.search_attributes import of_run
from orchestrator.workflow.visible import one_line

LARGEST_SIGNAL = 1_000_000
"""bytes of alerts in one Signal; Temporal refuses payloads above 2 MB"""
ROUNDS = 20
TURNS = {"high": 2, "normal": 3, "low": 4}
"""Temporal's numbers: 1 goes first, 3 is what goes unsaid, 5 goes last"""


class TemporalStarter:
    """Starts runs on the real Temporal; `eager` where the worker shares this process and client."""

    def __init__(self, client: Client, task_queue: str, *, eager: bool = True, modes: Modes | None = None) -> None:
        self._modes = modes or Modes()
        self._client = client
        self._task_queue = task_queue
        self._eager = eager

    async def start(self, requests: Sequence[StartRequest]) -> list[Started]:
        """See `orchestrator.alerts.requests.Starter`."""
        if requests[0].group_key is None:
            return [await self._own(request) for request in requests]
        # one that may only join cannot be the one that starts the run
        order = sorted(range(len(requests)), key=lambda place: not requests[place].may_start)
        became = await self._together([requests[place] for place in order])
        return [one for _, one in sorted(zip(order, became, strict=True))]

    async def _together(self, requests: Sequence[StartRequest]) -> list[Started]:
        """The first starts the run, unless one is open; the others join it."""
        first, *rest = requests
        if not first.may_start:
            return [
                Started.JOINED if await self._join(first.workflow_id, [one]) else Started.NOTHING for one in requests
            ]
        for _ in range(ROUNDS):  # a run may end between being found and being told
            if await self._start(first, WorkflowIDReusePolicy.ALLOW_DUPLICATE):
                joined = await self._join(first.workflow_id, rest)
                if joined or not rest:
                    return [Started.STARTED, *(Started.JOINED for _ in rest)]
                return [Started.STARTED, *await self._together(rest)]
            if await self._join(first.workflow_id, requests):
                return [Started.JOINED for _ in requests]
        raise Unavailable(f"the run {first.workflow_id} neither starts nor takes alerts; trying again")

    async def _own(self, request: StartRequest) -> Started:
        """A run of its own for the alert; one that ran before is never run again."""
        started = await self._start(request, WorkflowIDReusePolicy.REJECT_DUPLICATE)
        return Started.STARTED if started else Started.ALREADY

    async def _start(self, request: StartRequest, reuse: WorkflowIDReusePolicy) -> bool:
        ruled = await self._modes.of_run(request.playbook, "shadow" if request.mode == "shadow" else "live")
        try:
            await self._client.start_workflow(
                request.playbook,
                argument(request),
                id=request.workflow_id,
                task_queue=self._task_queue,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=of_run(request.playbook, request.severity, ruled.mode),
                static_summary=summary(request, ruled.mode),
                static_details=details(request),
                priority=priority_of(request.document),
                request_eager_start=self._eager,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise refusal(error) from error
        return True

    async def _join(self, workflow_id: str, requests: Sequence[StartRequest]) -> bool:
        """Bring alerts to the open run; False where none is open."""
        handle = self._client.get_workflow_handle(workflow_id)
        for alerts in _portions(requests):
            try:
                await handle.signal("join", alerts)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise refusal(error) from error
        return True


def priority_of(document: Mapping[str, Any]) -> Priority:
    """Whose turn it is first where many runs wait for a worker; what a run calls and does has the same."""
    return Priority(priority_key=TURNS.get(document.get("priority", "normal"), TURNS["normal"]))


def _portions(requests: Sequence[StartRequest]) -> Iterator[list[JoinedAlert]]:
    portion: list[JoinedAlert] = []
    size = 0
    for request in requests:
        alert = JoinedAlert(
            alert=request.alert, alert_key=request.alert_key, severity=request.severity, run=request.run,
            reason=request.reason, may_start=request.may_start,
        )  # fmt: skip
        added = len(orjson.dumps(request.alert))
        if portion and size + added > LARGEST_SIGNAL:
            yield portion
            portion, size = [], 0
        portion.append(alert)
        size += added
    if portion:
        yield portion


def argument(request: StartRequest) -> RunStart:
    """What the run is started with."""
    return RunStart.model_validate(request.model_dump(exclude={"workflow_id", "title", "may_start"}))


def summary(request: StartRequest, mode: str = "live") -> str:
    """What the run is about, in one line of at most 200 bytes; of one that sends nothing, that first."""
    line = f"{'shadow, ' if mode == 'shadow' else ''}{request.severity}: {one_line(request.title)}"
    return line.encode()[:200].decode(errors="ignore")


def details(request: StartRequest) -> str:
    """What the playbook is for, in its author's words: people read it beside the card."""
    title, why = (str(request.document.get(name) or "") for name in ("title", "why"))
    return "\n\n".join(part for part in (f"**{one_line(title)}**" if title else "", why) if part)[:4_000]


def refusal(error: RPCError) -> DeadLetter | Unavailable:
    """What a refusal of Temporal means: too large for ever, or not now.

    The words decide, since a rate limit and a limit of Signals have the same status, and those pass: an alert that is
    only refused for now must never become a dead letter.
    """
    words = error.message.lower()
    too_large = {
        RPCStatusCode.INVALID_ARGUMENT: "blob data size exceeds" in words,
        RPCStatusCode.RESOURCE_EXHAUSTED: "larger than max" in words,
    }
    if too_large.get(error.status, False):
        return DeadLetter("too_large_for_temporal", "Temporal refuses a start of this size")
    token = " (temporal.token, temporal.token_file)" if error.status is RPCStatusCode.PERMISSION_DENIED else ""
    return Unavailable(f"Temporal cannot take it now ({error.status.name}): {error.message}{token}")
