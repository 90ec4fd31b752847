"""How runs are asked for: what Temporal refuses for ever and what for now, and how much goes into one Signal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.alerts.requests import StartRequest
from orchestrator.errors import DeadLetter, SettingsError, Unavailable
from orchestrator.settings import TemporalSettings
from orchestrator.workflow.client import connect, keep_token_fresh
from orchestrator.workflow.inbox import LARGEST, MOST_PASSED_ON, pass_on
from orchestrator.workflow.messages import JoinedAlert
from orchestrator.workflow.start import _portions, refusal, summary
from tests.workflow.bench import eventually


@pytest.mark.parametrize(
    ("status", "words", "meaning"),
    [
        (RPCStatusCode.INVALID_ARGUMENT, "Blob data size exceeds limit.", DeadLetter),
        (
            RPCStatusCode.RESOURCE_EXHAUSTED,
            "grpc: received message after decompression larger than max 4194304",
            DeadLetter,
        ),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "namespace rate limit exceeded", Unavailable),
        (RPCStatusCode.INVALID_ARGUMENT, "exceeded workflow execution limit for signal events", Unavailable),
        (RPCStatusCode.UNAVAILABLE, "connection refused", Unavailable),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", Unavailable),
    ],
)
def test_only_what_is_too_large_for_ever_is_a_dead_letter(
    status: RPCStatusCode, words: str, meaning: type[Exception]
) -> None:
    """A throttled or broken server keeps the alert waiting; nothing that time mends loses it."""
    assert type(refusal(RPCError(words, status, b""))) is meaning


def request(**changes: Any) -> StartRequest:
    fixed: dict[str, Any] = {
        "playbook": "contain", "digest": "sha256:1", "document": {}, "mode": "live", "title": "t", "alert": {},
        "alert_key": "lab/1", "severity": "high", "group_key": "k", "join": 0.0, "workflow_id": "contain/k/k",
        "run": "contain/a/lab.1", "reason": {},
    }  # fmt: skip
    return StartRequest(**(fixed | changes))


def test_one_signal_brings_as_many_alerts_as_temporal_takes() -> None:
    """Small ones all at once; large ones in several Signals, none of them left out."""
    small = [request(alert_key=f"lab/{number}") for number in range(500)]
    large = [request(alert_key=f"lab/{number}", alert={"title": "x" * 120_000}) for number in range(20)]

    assert [len(portion) for portion in _portions(small)] == [500]
    assert sum(len(portion) for portion in _portions(large)) == 20
    assert max(len(portion) for portion in _portions(large)) == 8


def test_a_summary_is_one_short_line() -> None:
    line = summary(request(title="\u202e`a`\n" + "\u00e4" * 500))

    assert "\n" not in line
    assert "\u202e" not in line
    assert len(line.encode()) <= 200


def alert(number: int, *, severity: Any = "high", size: int = 10) -> JoinedAlert:
    return JoinedAlert(
        alert={"title": "x" * size}, alert_key=f"lab/{number}", severity=severity, run=f"contain/a/{number}"
    )


def test_what_a_run_passes_on_fits_into_a_start() -> None:
    """Alerts beyond that size go on without their content; beyond a number they are counted. None is left out."""
    many = [alert(number, size=1_000) for number in range(MOST_PASSED_ON + 50)]

    plan = pass_on(many, join=0, seen="low")

    assert plan.first is many[0]
    assert len(plan.inbox) + len(plan.counted) + 1 == len(many)
    assert sum(len(one.model_dump_json()) for one in plan.inbox) < 2 * LARGEST
    assert plan.inbox[-1].alert == {}


@pytest.mark.parametrize(
    ("severity", "join", "runs"), [("high", 0, True), ("high", 60, False), ("critical", 60, True), ("low", 60, False)]
)
def test_within_join_only_something_worse_runs(severity: str, join: float, runs: bool) -> None:
    plan = pass_on([alert(1, severity=severity)], join=join, seen="high")

    assert (plan.first is not None) is runs
    assert (len(plan.counted) == 1) is not runs


async def test_a_temporal_that_is_not_there_is_unavailable() -> None:
    """Nobody listens at the address: trying again is right."""
    with pytest.raises(Unavailable):
        await connect(TemporalSettings(), "127.0.0.1:1")


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"

    with pytest.raises(SettingsError, match=r"ca\.pem"):
        await connect(TemporalSettings(ca_file=missing), "127.0.0.1:1")


async def test_a_token_is_read_again_as_it_changes(temporal: Client, tmp_path: Path) -> None:
    """A token that somebody renews in its file is used from then on."""
    file = tmp_path / "token"
    file.write_text("second\n")
    keeping = asyncio.create_task(keep_token_fresh(temporal, TemporalSettings(token_file=file), every=0.01))

    async def renewed() -> bool:
        return temporal.rpc_metadata.get("authorization") == "Bearer second"

    await eventually(renewed)
    keeping.cancel()
