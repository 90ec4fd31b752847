"""What answers come to: a function of the server's history and of policy, nothing else. No clock, no handler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from orchestrator.language.host import Answered, ApprovalRequest, AskRequest, Decision, StepStatus
from orchestrator.language.typed import Spec, validate_all
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
    fields: Mapping[str, Any] = field(default_factory=dict)


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


Request = ApprovalRequest | AskRequest


def judge(
    signals: Sequence[SignalSeen],
    request: Request,
    digest: str,
    people: People,
    others: Iterable[Question],
    requester: str | None = None,
    earlier: Sequence[Judged] = (),
) -> tuple[list[Judged], Judged | None]:
    """Every answer that is this question's or nobody's, with what becomes of it, and the one that decides.

    As many different people as the question wants decide, and a denial among those read together beats approvals. An
    answer at the deadline is late: expiry wins ties. What is about another open question is left to that one. Where
    several people are wanted, hand in all signals since the question was asked, and as `earlier` what was counted of
    those that earlier executions of the run got.
    """
    questions = [other for other in others if other.digest != digest]
    theirs = {other.digest for other in questions}
    judged: list[Judged] = []
    for signal in signals:
        answer = _answer(signal)
        if answer is None or answer.step != request.step or answer.digest in theirs:
            judged += leftover([signal], questions)
        else:
            judged.append(_judge(signal, answer, request, digest, people, requester))
    judged = _each_person_once([*earlier, *judged])[len(earlier) :] if request.count > 1 else judged
    counted = [*earlier] + [one for one in judged if one.verdict == "counted"]
    denials = [one for one in counted if one.signal.signal == "deny"]
    enough = counted[request.count - 1 :]
    deciding = next(iter(denials or enough), None)
    return [_spent(one, deciding, counted, request.count) for one in judged], deciding


def _each_person_once(judged: Sequence[Judged]) -> list[Judged]:
    """A second approval of the same person is no second person's."""
    said: set[tuple[str, str]] = set()
    kept = []
    for one in judged:
        mark = (one.by, one.signal.signal)
        twice = one.verdict == "counted" and mark in said
        said |= {mark} if one.verdict == "counted" else set()
        kept.append(replace(one, verdict="refused", reason=f"{one.by} has answered already") if twice else one)
    return kept


def leftover(signals: Sequence[SignalSeen], questions: Iterable[Question]) -> list[Judged]:
    """Answers that no open question takes, each refused with its reason; those of open questions are left out."""
    listed = list(questions)
    by_step, by_digest = {one.step: one for one in listed}, {one.digest: one for one in listed}
    judged = []
    for signal in signals:
        answer = _answer(signal)
        # the items of a loop ask under one name: the digest says which of them is meant
        question = (by_digest.get(answer.digest) or by_step.get(answer.step)) if answer else None
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


def _judge(
    signal: SignalSeen, answer: Answer, request: Request, digest: str, people: People, requester: str | None
) -> Judged:
    name, trust = who(signal)

    def refused(reason: str) -> Judged:
        return Judged(signal, name, trust, "refused", reason)

    if answer.digest != digest:
        return refused("the digest is not that of the request as it was shown")
    if (signal.signal == "answer") is not isinstance(request, AskRequest):
        return refused(f"this is {_WANTED[type(request)]}")
    if request.deadline is not None and signal.at >= request.deadline:
        return refused(f"late: the question ended at {_second(request.deadline)}")
    if not name:
        return refused('nobody: the server names no sender; add "by": "your name" to the answer')
    barred = _barred(name, signal, request, people, requester)
    if barred:
        return refused(barred)
    if isinstance(request, AskRequest):
        try:
            validate_all(
                {word: Spec.model_validate(spec) for word, spec in request.fields.items()}, answer.fields or {}
            )
        except ValueError as error:
            return refused(f"the answer does not fit: {error}")
    return Judged(signal, name, trust, "counted", signal.signal, answer.note, answer.fields or {})


_WANTED: Mapping[type[Request], str] = {
    ApprovalRequest: "an approval: send the Signal `approve` or `deny`",
    AskRequest: "a question: send the Signal `answer`, which approves nothing",
}


def _barred(name: str, signal: SignalSeen, request: Request, people: People, requester: str | None) -> str | None:
    """Why this person may not answer this question; None where they may."""
    if request.distinct and requester is not None and name == requester:
        return f"{name} has asked for this run"
    if request.user is not None and name.casefold() != request.user.casefold():
        return f"only {request.user} may answer"
    barred = people.refuse(name, request.group)
    escalation = request.escalate
    if barred and escalation is not None and signal.at >= escalation.at:
        return people.refuse(name, escalation.group) and barred
    return barred


def _spent(judged: Judged, deciding: Judged | None, counted: list[Judged], count: int) -> Judged:
    """Answers decide together; one that would have counted was too late for that, or lost to a denial."""
    if judged.verdict != "counted" or judged is deciding:
        return judged
    if deciding is None or (judged in counted[:count] and deciding.signal.signal != "deny"):
        number = counted.index(judged) + 1
        return replace(judged, reason=f"{judged.signal.signal}: {number} of {count}")
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


def answered(judged: Judged) -> Answered:
    """What the answer to a question means for the run."""
    return Answered(
        status=StepStatus.SUCCEEDED, fields=dict(judged.fields), by=judged.by, at=judged.signal.at, trust=judged.trust,
        note=judged.note[:2000],
    )  # fmt: skip


def silence(request: AskRequest) -> Answered:
    """What it means that nobody answered a question."""
    if request.otherwise is None:
        return Answered(status=StepStatus.FAILED, at=request.deadline, trust="silence", note="nobody answered in time")
    return Answered(
        status=StepStatus.SUCCEEDED, fields=request.otherwise, at=request.deadline, trust="silence"
    )  # fmt: skip


def expired(request: ApprovalRequest, approval: str) -> Decision:
    """What silence means: as the playbook says with `otherwise`."""
    meaning = {"deny": StepStatus.EXPIRED, "fail": StepStatus.FAILED, "approve": StepStatus.SUCCEEDED}
    return Decision(status=meaning[request.otherwise], approval=approval, at=request.deadline, trust="silence")


def state_of(decision: Decision | Answered) -> str:
    """The state of the question's row."""
    if isinstance(decision, Answered):
        return "failed" if decision.status is StepStatus.FAILED else "answered"
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
