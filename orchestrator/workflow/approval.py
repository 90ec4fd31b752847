"""What answers come to: a function of the server's history and of policy, nothing else. No clock, no handler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from orchestrator.language.host import ApprovalRequest, Decision, StepStatus
from orchestrator.workflow.messages import Answer, SignalSeen

Trust = Literal["principal", "unverified"]


@dataclass(frozen=True)
class People:
    """Who may answer: names to their groups. With nobody listed, every name counts, unverified."""

    groups: Mapping[str, frozenset[str]]

    def refuse(self, name: str, group: str | None) -> str | None:
        """Why this person may not answer; None where they may."""
        if not self.groups:
            return None
        if name not in self.groups:
            return f"{name} is not listed as an approver"
        if group is not None and group not in self.groups[name]:
            return f"{name} is not in the group {group}"
        return None


@dataclass(frozen=True)
class Judged:
    """One answer: who gave it, how far that is known, and whether it counts."""

    signal: SignalSeen
    by: str
    trust: Trust
    verdict: Literal["counted", "refused", "other"]
    reason: str
    note: str = ""


def judge(
    signals: Sequence[SignalSeen], request: ApprovalRequest, digest: str, people: People
) -> tuple[list[Judged], Judged | None]:
    """Every answer with what becomes of it, and the one that decides.

    The first that counts decides, and a denial among those read together beats approvals. An answer at the deadline is
    late: expiry wins ties.
    """
    judged = [_judge(signal, request, digest, people) for signal in signals]
    counted = [one for one in judged if one.verdict == "counted"]
    denials = [one for one in counted if one.signal.signal == "deny"]
    return judged, next(iter(denials or counted), None)


def _judge(signal: SignalSeen, request: ApprovalRequest, digest: str, people: People) -> Judged:
    name, trust = who(signal)

    def refused(reason: str, verdict: Literal["refused", "other"] = "refused") -> Judged:
        return Judged(signal, name, trust, verdict, reason)

    answer = _answer(signal)
    if answer is None:
        return refused('malformed: the answer is JSON such as {"step": "...", "digest": "sha256:..."}')
    if answer.step != request.step:
        return refused(f"about another step: {answer.step[:80]!r}", "other")
    if answer.digest != digest:
        return refused("the digest is not that of the request as shown now")
    if request.deadline is not None and signal.at >= request.deadline:
        return refused(f"late: the request ended at {_second(request.deadline)}")
    barred = people.refuse(name, request.group)
    if barred:
        return refused(barred)
    return Judged(signal, name, trust, "counted", signal.signal, answer.note)


def who(signal: SignalSeen) -> tuple[str, Trust]:
    """The server's own principal where it states one; else the name that the sender gave, unverified."""
    if signal.principal:
        return signal.principal, "principal"
    return signal.identity, "unverified"


def _answer(signal: SignalSeen) -> Answer | None:
    if signal.malformed:
        return None
    try:
        return Answer.model_validate(signal.payload)
    except ValidationError:
        return None


def decision_of(judged: Judged, approval: str) -> Decision:
    """What the deciding answer means for the run."""
    status = StepStatus.SUCCEEDED if judged.signal.signal == "approve" else StepStatus.DENIED
    return Decision(
        status=status, approval=approval, by=judged.by, at=judged.signal.at, trust=judged.trust, note=judged.note[:2000]
    )


def expired(request: ApprovalRequest, approval: str) -> Decision:
    """What silence means: as the playbook says with `otherwise`."""
    meaning = {"deny": StepStatus.EXPIRED, "fail": StepStatus.FAILED, "approve": StepStatus.SUCCEEDED}
    return Decision(status=meaning[request.otherwise], approval=approval, at=request.deadline, trust="silence")


def state_of(decision: Decision) -> str:
    """The state of the approval's row."""
    return {
        StepStatus.SUCCEEDED: "approved",
        StepStatus.DENIED: "denied",
        StepStatus.EXPIRED: "expired",
        StepStatus.FAILED: "failed",
    }[decision.status]


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def names(people: Iterable[tuple[str, Iterable[str]]]) -> People:
    """People from the settings."""
    return People({name: frozenset(groups) for name, groups in people})
