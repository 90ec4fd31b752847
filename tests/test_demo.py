"""`tocsin demo` as a newcomer runs it, without a terminal: everything is accounted for, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil

from orchestrator.settings import child_environment
from tests.conftest import ROOT


def test_every_alert_of_the_demo_is_accounted_for(tmp_path: Path) -> None:
    """It ends with 0 and one line of JSON; intents, outcomes and the audit on Kafka agree; its servers are gone."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli.main", "demo", "--json"],
        cwd=ROOT, env=child_environment(TOCSIN_HOME=str(tmp_path)), capture_output=True, text=True, timeout=110,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["alerts"] == sum(counts[name] for name in ("started", "joined", "unmatched", "dead_lettered")) > 20
    assert counts["actions"] == counts["intents"] == counts["outcomes"] > 5
    assert counts["published"] > counts["intents"]
    assert "no person needed" in done.stdout
    assert "decided succeeded" in done.stdout
    left = [one.pid for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]
    assert left == []
