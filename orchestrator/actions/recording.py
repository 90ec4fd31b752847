"""What the audit is told of a run: its decisions, and what was not sent."""

from __future__ import annotations

import uuid

import orjson

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.audit.events import Event
from orchestrator.errors import ActionFailed, RefusedByPolicy
from orchestrator.language.host import ActionCall, RunContext, Trace

DECIDED = uuid.UUID("7a3d2c9e-4b1f-5e60-9c37-2f6d8a41b0c5")


def told(context: RunContext, trace: Trace) -> Event:
    """A trace of the interpreter as an event of the audit; `at` is the run's clock, not the database's.

    A task that is carried out again decides again: the same decision of the same step is one event.
    """
    decided = orjson.dumps([context.run, context.first_run_id, trace.type, trace.path, trace.step, trace.body])
    body = {"step": trace.step, "decided_at": trace.at.isoformat(), **trace.body}
    return Event(id=uuid.uuid5(DECIDED, decided.hex()), type=trace.type, run=context.run, body=body)


def refused(context: RunContext, call: ActionCall, failure: ActionFailed, request: CanonicalRequest | None) -> Event:
    """The record of what was not sent, and why; of a refusal also the facts that it goes by."""
    body = {
        "step": call.step,
        "capability": call.action,
        "parameters": request.parameters if request else call.parameters,
        "reason": failure.kind,
        "message": failure.message,
        **(failure.facts if isinstance(failure, RefusedByPolicy) else {}),
    }
    return Event(type="action.refused", run=context.run, subject=request.target if request else None, body=body)


def skipped(context: RunContext, call: ActionCall) -> Event:
    """The record of an optional action that nobody here can do."""
    body = {"step": call.step, "capability": call.action, "reason": "no integration is configured"}
    return Event(type="action.skipped", run=context.run, body=body)
