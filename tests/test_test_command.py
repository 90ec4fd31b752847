"""`tocsin test` as people and machines read it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.settings import child_environment
from tests.command import tocsin

PLAYBOOK = """title: A trial
why: To see what the command says
owner: soc
trigger: {match: alert.severity >= "medium" and alert.source.ip}
steps:
  - id: look
    action: intel.lookup_ip
    with: {ip: "{{ alert.source.ip }}"}
    on_error: continue
    default: {score: 0}
  - id: block
    when: steps.look.output.score > 80
    action: firewall.block_ip
    with: {ip: "{{ alert.source.ip }}"}
    for: 1h
tests:
  - name: a bad address is blocked
    alert: {source: {ip: 203.0.113.7}}
    given: {intel.lookup_ip: {score: 90}}
    expect: {calls: [intel.lookup_ip, firewall.block_ip]}
  - name: a low one starts nothing
    alert: {severity: low, source: {ip: 203.0.113.7}}
    expect: {starts: false}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A playbook whose tests pass and leave two branches out."""
    path = tmp_path / "trial.yaml"
    path.write_text(PLAYBOOK)
    return path


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return tocsin("test", *arguments, environment=child_environment())


def test_it_says_what_no_test_reaches_with_file_and_line(file: Path) -> None:
    """And passes, unless it is asked to be strict."""
    done = command(str(file))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-4:] == [
        f"{file}:9: `look`: no test in which it fails",
        f"{file}:12: `block`: no test in which `when` does not hold",
        "5 of 7 steps and branches reached",
        "2 passed, 0 failed",
    ]
    assert command(str(file), "--strict").returncode == 1


def test_a_test_that_fails_is_shown_with_its_place_and_all_that_is_wrong(file: Path) -> None:
    """Exit code 1."""
    file.write_text(PLAYBOOK.replace("score: 90", "score: 70"))
    done = command(str(file))
    assert done.returncode == 1
    assert "\n".join(done.stdout.splitlines()[4:8]) == (
        f"{file}:17: a bad address is blocked\n"
        "  calls: expected intel.lookup_ip, firewall.block_ip\n"
        "         happened intel.lookup_ip\n"
        "  `block` (firewall.block_ip) was skipped: "
        "when: steps.look.output.score > 80 (steps.look.output.score = 70)"
    )


def test_machines_get_all_of_it_on_one_line(file: Path) -> None:
    """Every test with its problems, and every branch that none reaches."""
    done = command(str(file), "--json")
    found = json.loads(done.stdout)
    assert [(one["test"], one["line"], one["passed"]) for one in found["tests"]] == [
        ("a bad address is blocked", 17, True),
        ("a low one starts nothing", 21, True),
    ]
    coverage = found["coverage"]
    assert (coverage["reached"], coverage["of"]) == (5, 7)
    assert [(one["line"], one["kind"], one["value"]) for one in coverage["missed"]] == [
        (9, "on_error", True),
        (12, "when", False),
    ]


def test_a_playbook_with_errors_is_said_and_not_tested(file: Path) -> None:
    """Exit code 1, though nothing failed."""
    file.write_text(PLAYBOOK.replace("intel.lookup_ip\n", "intel.lookup\n"))
    done = command(str(file))
    assert done.returncode == 1
    assert "did you mean `intel.lookup_ip`" in done.stderr


def test_the_playbooks_that_ship_pass() -> None:
    """Without a name, all of the folder."""
    done = command()
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith(", 0 failed")


def test_a_draft_is_tested_with_the_lists_and_calendars_that_it_is_checked_with(tmp_path: Path) -> None:
    """Those beside it: what passes the check is not refused by its tests."""
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "office.yaml").write_text(
        "title: The office\ntz: UTC\nhours: {mon: ['09:00-17:00']}\nholidays: []\n"
    )
    draft = tmp_path / "draft.yaml"
    draft.write_text(
        "title: A draft\nsteps:\n  - when: now() is within(calendars.office)\n    action: notify.send\n"
        "    with: {channel: soc, text: open}\n"
        "tests:\n  - {name: in hours, at: 2026-11-23T10:00:00Z, expect: {calls: [notify.send]}}\n"
    )
    done = command(str(draft))
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "1 passed, 0 failed"
