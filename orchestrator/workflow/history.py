"""What people did to a run, from its own history, as the server recorded it: answers, and who cancelled it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any, Literal, cast

import orjson
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.errors import Unavailable
from orchestrator.workflow.messages import Cancelled, SignalSeen

ANSWERS = ("approve", "deny", "answer")
LARGEST = 64 * 1024


async def read_answers(client: Client, workflow_id: str, run_id: str, after: int) -> tuple[list[SignalSeen], int]:
    """The answers after an event, oldest first, and the last event there is; read backwards, so only what is new."""
    found: list[SignalSeen] = []
    last = after
    async for event in _backwards(client, workflow_id, run_id):
        if event.event_id <= after:
            break
        last = max(last, event.event_id)
        seen = _answer(event)
        found += [seen] if seen else []
    return found[::-1], last


async def cancelled_by(client: Client, workflow_id: str, run_id: str) -> Cancelled | None:
    """Who wanted this execution cancelled; None where its history does not say."""
    async for event in _backwards(client, workflow_id, run_id):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            return _cancelled(event)
    return None


def _cancelled(event: HistoryEvent) -> Cancelled:
    asked = event.workflow_execution_cancel_requested_event_attributes
    principal, caller = _principal(event), asked.external_workflow_execution.workflow_id
    return Cancelled(
        by=principal or (f"the run {caller}" if caller else asked.identity[:200]),
        trust="principal" if principal else "run" if caller else "unverified",
        why=asked.cause[:1_000],
        at=event.event_time.ToDatetime().replace(tzinfo=UTC),
    )


async def _backwards(client: Client, workflow_id: str, run_id: str) -> AsyncIterator[HistoryEvent]:
    """The events of an execution, the last first; read page by page."""
    token = b""
    while True:
        try:
            page = await client.workflow_service.get_workflow_execution_history_reverse(
                GetWorkflowExecutionHistoryReverseRequest(
                    namespace=client.namespace,
                    execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                    maximum_page_size=200,
                    next_page_token=token,
                )
            )
        except RPCError as error:
            raise Unavailable(f"Temporal does not give the history now: {error.message}") from error
        for event in page.history.events:
            yield event
        token = page.next_page_token
        if not token:
            return


def _answer(event: HistoryEvent) -> SignalSeen | None:
    if event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        return None
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name not in ANSWERS:
        return None
    payload, malformed = _payload(list(signal.input.payloads))
    return SignalSeen(
        event_id=event.event_id,
        at=event.event_time.ToDatetime().replace(tzinfo=UTC),
        signal=cast("Literal['approve', 'deny', 'answer']", signal.signal_name),
        payload=payload,
        malformed=malformed,
        principal=_principal(event),
        identity=signal.identity[:200],
    )


def _principal(event: HistoryEvent) -> str | None:
    """Who the server says it was: set by its authorizer, absent on servers without one."""
    if not event.HasField("principal"):
        return None
    return event.principal.name or None


def _payload(payloads: list[Any]) -> tuple[Any, bool]:
    """The answer's JSON; people paste it, so anything may be there."""
    if len(payloads) != 1 or len(payloads[0].data) > LARGEST:
        return None, True
    try:
        value = orjson.loads(payloads[0].data)
        # pasted as text with quotes around it
        return (orjson.loads(value), False) if isinstance(value, str) else (value, False)
    except orjson.JSONDecodeError:
        return None, True
