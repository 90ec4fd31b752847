"""What answers come to: a function of what the server wrote down and of policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.language.host import ApprovalRequest, StepStatus
from orchestrator.workflow.approval import Judged, Question, decision_of, expired, judge, leftover, names, who
from orchestrator.workflow.messages import SignalSeen

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64
SOC = names([("alice", ("soc",)), ("bob", ("desk",))])
ANYBODY = names([])


def request(**changes: Any) -> ApprovalRequest:
    fixed: dict[str, Any] = {"step": "sure", "path": ("sure",), "ask": "Block?", "calls": (), "deadline": NOON}
    return ApprovalRequest(**(fixed | changes))


def signal(number: int = 1, kind: str = "approve", *, before: float = 60, **changes: Any) -> SignalSeen:
    payload = {"step": "sure", "digest": DIGEST, **changes.pop("payload", {})}
    fixed: dict[str, Any] = {
        "event_id": number, "at": NOON - timedelta(seconds=before), "signal": kind, "payload": payload,
        "identity": "alice",
    }  # fmt: skip
    return SignalSeen(**(fixed | changes))


def verdict(*signals: SignalSeen, people: Any = ANYBODY, **changes: Any) -> tuple[list[str], Judged | None]:
    judged, deciding = judge(signals, request(**changes), DIGEST, people, [])
    return [one.reason for one in judged], deciding


def test_an_approval_in_time_counts() -> None:
    reasons, deciding = verdict(signal())

    assert reasons == ["approve"]
    assert deciding is not None
    assert decision_of(deciding, "id").status is StepStatus.SUCCEEDED


def test_a_denial_beats_approvals_that_are_pending_with_it() -> None:
    """Read together, a denial that came later than the approval still decides."""
    reasons, deciding = verdict(signal(1), signal(2, "deny", payload={"by": "bob"}))

    assert reasons == ["too late: bob has decided (deny)", "deny"]
    assert deciding is not None
    assert decision_of(deciding, "id").status is StepStatus.DENIED


def test_the_first_of_several_approvals_decides() -> None:
    _, deciding = verdict(signal(1), signal(2, payload={"by": "bob"}))

    assert deciding is not None
    assert deciding.by == "alice"


@pytest.mark.parametrize(("before", "counts"), [(0.000001, True), (0, False), (-1, False)])
def test_expiry_wins_ties(before: float, counts: bool) -> None:
    """An answer at the very moment of the deadline is late."""
    _, deciding = verdict(signal(before=before))

    assert (deciding is not None) is counts


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "approve",
        1,
        [],
        {},
        {"step": "sure"},
        {"step": 1, "digest": DIGEST},
        {"step": "sure", "digest": DIGEST, "x": 1},
    ],
)
def test_what_is_no_answer_is_refused_as_malformed(payload: Any) -> None:
    reasons, deciding = verdict(signal().model_copy(update={"payload": payload}))

    assert reasons[0].startswith("malformed")
    assert deciding is None


def test_people_are_known_by_what_the_server_says_of_them() -> None:
    """A principal of the server's outranks every name in the answer, and is recorded as such."""
    assert who(signal(principal="alice@corp", payload={"by": "the boss"})) == ("alice@corp", "principal")
    assert who(signal(payload={"by": "bob"})) == ("bob", "unverified")
    assert who(signal()) == ("alice", "unverified")


def test_an_answer_of_nobody_is_refused() -> None:
    """The Temporal UI without sign-on names no sender: then the answer has to."""
    reasons, deciding = verdict(signal(identity=""))

    assert reasons == ['nobody: the server names no sender; add "by": "your name" to the answer']
    assert deciding is None


def test_a_name_cannot_hide_anything() -> None:
    """Names come from outside: what is invisible in them is written out."""
    name, _ = who(signal(payload={"by": "ali\u200bce\0"}))

    assert name == "ali\u27e8U+200B\u27e9ce\u27e8U+0000\u27e9"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("alice", "approve"), ("bob", "bob is not in the group soc"), ("eve", "eve is not listed as an approver")],
)
def test_who_may_answer(name: str, reason: str) -> None:
    reasons, _ = verdict(signal(payload={"by": name}), people=SOC, group="soc")

    assert reasons == [reason]


def test_another_open_questions_answer_is_left_to_it() -> None:
    other = Question(approval="2", step="other", digest="sha256:2", deadline=NOON, state="waiting")

    judged, _ = judge([signal(payload={"step": "other", "digest": "sha256:2"})], request(), DIGEST, ANYBODY, [other])

    assert judged == []


@pytest.mark.parametrize(
    ("state", "by", "at", "reason"),
    [
        ("approved", "bob", NOON - timedelta(1), "too late: the question is approved already, by bob"),
        ("expired", None, NOON + timedelta(1), "late: the question ended at 2026-05-06 12:00:00 UTC"),
        ("void", None, NOON - timedelta(1), "too late: the question is void already"),
    ],
)
def test_answers_that_nothing_takes_are_refused(state: str, by: str | None, at: datetime, reason: str) -> None:
    """At the run's end every answer has a verdict."""
    question = Question(approval="1", step="sure", digest=DIGEST, deadline=NOON, state=state, by=by)

    assert [one.reason for one in leftover([signal(at=at)], [question])] == [reason]


@pytest.mark.parametrize(
    ("otherwise", "status"),
    [("deny", StepStatus.EXPIRED), ("fail", StepStatus.FAILED), ("approve", StepStatus.SUCCEEDED)],
)
def test_silence(otherwise: str, status: StepStatus) -> None:
    decision = expired(request(otherwise=otherwise), "id")

    assert (decision.status, decision.trust, decision.by) == (status, "silence", None)
