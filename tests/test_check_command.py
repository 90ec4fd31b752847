"""`tocsin check` as people, machines and pull requests read it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.settings import child_environment
from tests.conftest import ROOT

WRONG = """
title: Wrong
trigger: {match: alert.sorce.ip}
steps: [{id: block, action: firewall.blok_ip, with: {ip: "{{ alert.source.ip }}"}}]
"""


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator.cli.main", "check", *arguments]
    return subprocess.run(command, cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=False)


def test_the_playbooks_that_ship_are_good() -> None:
    """Exit code 0, and how many they are."""
    done = check()
    assert done.returncode == 0
    assert "playbooks are good, 0 errors" in done.stdout


@pytest.mark.parametrize("form", [["--json"], ["--form", "json"]])
def test_machines_get_every_finding_on_one_line(form: list[str], tmp_path: Path) -> None:
    """Exit code 1; file, line, code and the likely fix."""
    (tmp_path / "wrong.yaml").write_text(WRONG)
    done = check(str(tmp_path / "wrong.yaml"), *form)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert {"type", "unknown_action", "untested"} <= {one["code"] for one in found}
    action = next(one for one in found if one["code"] == "unknown_action")
    assert (action["line"], action["hint"]) == (4, "did you mean `firewall.block_ip`?")


def test_pull_requests_get_annotations(tmp_path: Path) -> None:
    """At the line of the file."""
    (tmp_path / "wrong.yaml").write_text(WRONG)
    done = check(str(tmp_path / "wrong.yaml"), "--form", "github")
    assert f"::error file={tmp_path}/wrong.yaml,line=4" in done.stdout
