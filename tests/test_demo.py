"""`tocsin demo` as a newcomer runs it, without a terminal: everything is accounted for, and nothing is left behind."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

from orchestrator.settings import child_environment
from tests.command import tocsin
from tests.conftest import ROOT
from tests.left_behind import known_to
from tests.terminal import CONTROL_C, Terminal


def run_demo(home: Path, **more: str) -> tuple[dict[str, int], str, str]:
    """Counts, output and messages of a demo that ended with 0 and left no process behind."""
    done = tocsin("demo", "--json", environment=child_environment(TOCSIN_HOME=str(home), **more), seconds=110)
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


def test_on_a_terminal_it_stays_until_ctrl_c_and_the_printed_command_answers(tmp_path: Path) -> None:
    """Somebody reads, answers in another terminal, and leaves: it ends with 0, and nothing is left behind."""
    command = [sys.executable, "-m", "orchestrator.cli.main", "demo"]
    with Terminal(command, child_environment(TOCSIN_HOME=str(tmp_path)), ROOT) as demo:
        shown = demo.until("Stays until Ctrl-C")
        printed = re.findall(r"or in another terminal: (.*)", shown)[0]
        assignment, _, *arguments = shlex.split(printed)
        environment = child_environment(**dict([assignment.split("=", 1)]))
        done = tocsin(*arguments, "--yes", environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert "counted: approve" in done.stdout
        demo.until("decided approved")
        demo.press(CONTROL_C)
        assert demo.end() == 0
        assert "Traceback" not in demo.shown
    assert known_to(tmp_path) == []
