"""What a run is told of an action: its outcome, from what integrations answered or from what the ledger has."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.actions.ledger import Ending, Verdict
from orchestrator.actions.site import Configured
from orchestrator.errors import FailureKind
from orchestrator.language.host import ActionOutcome, StepError, StepStatus


def all_answers(outcomes: Sequence[ActionOutcome]) -> ActionOutcome:
    """What all integrations said, and which said nothing; a failure only where every one failed."""
    given = [one for one in outcomes if one.error is None and one.output is not None]
    silent = [one for one in outcomes if one.error is not None]
    if not given:
        return outcomes[0]
    refused = [
        {"integration": one.integration or "", "kind": one.error.kind, "message": one.error.message}
        for one in silent
        if one.error
    ]
    output = {"answers": [one.output for one in given], "failed": refused}
    return given[0].model_copy(update={"output": output, "integration": None})


NOT_NOW = frozenset({"busy", "stale", "waits", "refused", "denied"})
"""verdicts of the ledger under which nothing was recorded and nothing is sent"""


def not_now(verdict: Verdict, target: str, configured: Configured) -> ActionOutcome:
    """The outcome where nothing was sent: a failure, or something to be asked for again."""
    if verdict.verdict == "waits":
        why = f"waits until the first target of the run, {verdict.first}, is seen (canary)"
        return failed(FailureKind.REFUSED_BY_POLICY, why, configured).model_copy(update={"halted": why})
    if verdict.verdict == "denied":
        said = f"denied by {verdict.by}" if verdict.by else "nobody said in time that it may be sent"
        return failed(FailureKind.REFUSED_BY_POLICY, f"over budget: {verdict.budget}; {said}", configured)
    if verdict.verdict == "refused":
        why = f"the first target of the run, {verdict.first}, was not seen (canary)"
        return failed(FailureKind.REFUSED_BY_POLICY, why, configured)
    stale = verdict.verdict == "stale"
    why = "the policy changes faster than it can be gone by" if stale else f"{target} is being released just now"
    return failed(FailureKind.CONFLICT, why, configured)


def failed(
    kind: FailureKind, message: str, configured: Configured | None, retry_after: float | None = None
) -> ActionOutcome:
    """An outcome that is a failure."""
    error = StepError(kind=kind, message=message, retry_after=retry_after)
    return ActionOutcome(status=StepStatus.FAILED, error=error, integration=configured.name if configured else None)


def outcome_of(ending: Ending, integration: str | None) -> ActionOutcome:
    """What the run is told of an ending in the ledger, whether it ended just now or before a crash."""
    if ending.state in ("done", "undone", "left", "shadowed"):  # what is over by now did its work
        status = StepStatus.SHADOWED if ending.state == "shadowed" else StepStatus.SUCCEEDED
        return ActionOutcome(
            status=status, output=ending.result, integration=integration, milliseconds=ending.milliseconds
        )
    error = StepError(
        kind=FailureKind(ending.error_kind or FailureKind.UNKNOWN_OUTCOME),
        message=ending.error_message or ending.state or "",
        retry_after=ending.retry_after,
    )
    return ActionOutcome(
        status=StepStatus.FAILED, error=error, integration=integration, milliseconds=ending.milliseconds
    )
