"""`tocsin demo` as a newcomer runs it, without a terminal: everything is accounted for, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from orchestrator.settings import child_environment
from tests.conftest import ROOT
from tests.left_behind import known_to


def run_demo(home: Path, **more: str) -> tuple[dict[str, int], str, str]:
    """Counts, output and messages of a demo that ended with 0 and left no process behind."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli.main", "demo", "--json"],
        cwd=ROOT, env=child_environment(TOCSIN_HOME=str(home), **more), capture_output=True, text=True, timeout=110,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert known_to(home) == []
    return json.loads(done.stdout.splitlines()[-1]), done.stdout, done.stderr


def assert_accounted(counts: dict[str, int]) -> None:
    assert counts["alerts"] == sum(counts[name] for name in ("started", "joined", "unmatched", "dead_lettered")) > 20
    assert counts["actions"] == counts["intents"] == counts["outcomes"] > 5
    assert counts["published"] > counts["intents"]


def test_every_alert_of_the_demo_is_accounted_for(tmp_path: Path) -> None:
    """It ends with 0 and one line of JSON; intents, outcomes and the audit on Kafka agree; its servers are gone."""
    counts, told, messages = run_demo(tmp_path)
    assert_accounted(counts)
    assert "no person needed" in told
    assert "decided approved" in told
    assert "test broker" not in messages


def test_without_maven_the_demo_runs_on_the_test_broker_and_says_so(tmp_path: Path, no_maven: dict[str, str]) -> None:
    """Neither jars nor Maven on this machine: everything else is as real as before."""
    counts, _, messages = run_demo(tmp_path / "home", **no_maven)
    assert_accounted(counts)
    assert "no Maven" in messages
    assert "test broker" in messages
