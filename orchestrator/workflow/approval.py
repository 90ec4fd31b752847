"""What answers come to: a function of the server's history and of policy, nothing else. No clock, no handler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from orchestrator.language.host import ApprovalRequest, Decision, StepStatus
from orchestrator.workflow.messages import Answer, SignalSeen
from orchestrator.workflow.visible import visible

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
    verdict: Literal["counted", "refused"]
    reason: str
    note: str = ""


@dataclass(frozen=True)
class Question:
    """A question of this run as it stands in the records: what was shown, and how it ended if it did."""

    approval: str
    step: str
    digest: str
    deadline: datetime | None
    state: str
    by: str | None = None

    @property
    def open(self) -> bool:
        """Whether it can still be answered."""
        return self.state == "waiting"


def judge(
    signals: Sequence[SignalSeen], request: ApprovalRequest, digest: str, people: People, others: Iterable[Question]
) -> tuple[list[Judged], Judged | None]:
    """Every answer that is this question's or nobody's, with what becomes of it, and the one that decides.

    The first that counts decides, and a denial among those read together beats approvals. An answer at the deadline is
    late: expiry wins ties. What is about another open question is left to that one.
    """
    questions = {other.step: other for other in others if other.digest != digest}
    judged: list[Judged] = []
    for signal in signals:
        answer = _answer(signal)
        if answer is None or answer.step != request.step:
            judged += leftover([signal], questions.values())
        else:
            judged.append(_judge(signal, answer, request, digest, people))
    counted = [one for one in judged if one.verdict == "counted"]
    denials = [one for one in counted if one.signal.signal == "deny"]
    deciding = next(iter(denials or counted), None)
    return [_spent(one, deciding) for one in judged], deciding


def leftover(signals: Sequence[SignalSeen], questions: Iterable[Question]) -> list[Judged]:
    """Answers that no open question takes, each refused with its reason; those of open questions are left out."""
    known = {question.step: question for question in questions}
    judged = []
    for signal in signals:
        answer = _answer(signal)
        question = known.get(answer.step) if answer else None
        if question is None or not question.open:
            name, trust = who(signal)
            judged.append(Judged(signal, name, trust, "refused", _why(signal, answer, question)))
    return judged


def _why(signal: SignalSeen, answer: Answer | None, question: Question | None) -> str:
    """Why an answer comes to nothing whoever gave it."""
    if answer is None:
        return 'malformed: the answer is JSON such as {"step": "...", "digest": "sha256:..."}'
    if question is None:
        return f"no step {answer.step[:80]!r} has asked anything"
    if answer.digest != question.digest:
        return "the digest is not that of the request as it was shown"
    if question.by is None and question.deadline is not None and signal.at >= question.deadline:
        return f"late: the question ended at {_second(question.deadline)}"
    return f"too late: the question is {question.state} already" + (f", by {question.by}" if question.by else "")


def _judge(signal: SignalSeen, answer: Answer, request: ApprovalRequest, digest: str, people: People) -> Judged:
    name, trust = who(signal)

    def refused(reason: str) -> Judged:
        return Judged(signal, name, trust, "refused", reason)

    if answer.digest != digest:
        return refused("the digest is not that of the request as it was shown")
    if request.deadline is not None and signal.at >= request.deadline:
        return refused(f"late: the question ended at {_second(request.deadline)}")
    if not name:
        return refused('nobody: the server names no sender; add "by": "your name" to the answer')
    barred = people.refuse(name, request.group)
    if barred:
        return refused(barred)
    return Judged(signal, name, trust, "counted", signal.signal, answer.note)


def _spent(judged: Judged, deciding: Judged | None) -> Judged:
    """One answer decides; the others that would have counted were too late for that, or lost to a denial."""
    if judged.verdict != "counted" or judged is deciding or deciding is None:
        return judged
    return replace(judged, verdict="refused", reason=f"too late: {deciding.by} has decided ({deciding.signal.signal})")


def who(signal: SignalSeen) -> tuple[str, Trust]:
    """The server's own principal where it states one; else the name that the sender gave, unverified."""
    if signal.principal:
        return visible(signal.principal), "principal"
    answer = _answer(signal)
    return visible((answer.by if answer else None) or signal.identity), "unverified"


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
