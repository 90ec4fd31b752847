"""`tocsin check` as people, machines and pull requests read it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from orchestrator.cli.findings import sarif
from orchestrator.errors import Finding, Place
from orchestrator.settings import child_environment
from tests.command import tocsin

WRONG = """
title: Wrong
trigger: {match: alert.sorce.ip}
steps: [{id: block, action: firewall.blok_ip, with: {ip: "{{ alert.source.ip }}"}}]
"""


def check(*arguments: str, playbooks: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = child_environment() | ({"TOCSIN_PLAYBOOKS": str(playbooks)} if playbooks else {})
    return tocsin("check", *arguments, environment=environment)


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


def test_nothing_that_is_found_can_be_taken_for_a_command_of_its_own(tmp_path: Path) -> None:
    """A line break in a file's name, a colon, a comma."""
    file = tmp_path / "a,b:c.yaml"
    file.write_text("title: 7\nsteps: []\n")
    lines = [line for line in check(str(file), "--form", "github").stdout.splitlines() if line]
    assert all(line.startswith("::error file=") and "a%2Cb%3Ac.yaml" in line for line in lines)


SARIF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "run": {
            "type": "object",
            "additionalProperties": False,
            "required": ["tool"],
            "properties": {
                "tool": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["driver"],
                    "properties": {"driver": {"$ref": "#/$defs/driver"}},
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "driver": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "version": {"type": "string"},
                "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}},
            },
        },
        "rule": {
            "type": "object",
            "additionalProperties": False,
            "required": ["id"],
            "properties": {"id": {"type": "string"}, "shortDescription": {"$ref": "#/$defs/text"}},
        },
        "text": {
            "type": "object",
            "additionalProperties": False,
            "required": ["text"],
            "properties": {"text": {"type": "string", "minLength": 1}},
        },
        "result": {
            "type": "object",
            "additionalProperties": False,
            "required": ["message"],
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/text"},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["artifactLocation"],
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "uri": {"type": "string", "format": "uri-reference", "pattern": "^[^ ]+$"},
                                "uriBaseId": {"type": "string"},
                            },
                        },
                        "region": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                            },
                        },
                    },
                }
            },
        },
    },
}
"""What SARIF 2.1.0 says of the parts of a log that are written, in words of our own"""


def test_dashboards_of_scanners_get_sarif(tmp_path: Path) -> None:
    """One run; each code a rule, each finding a result with its rule, level, words and place."""
    file = tmp_path / "a b" / "wrong.yaml"
    file.parent.mkdir()
    file.write_text(WRONG)
    done = check(str(file), "--form", "sarif")
    assert done.returncode == 1
    log = json.loads(done.stdout)
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert {rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"]} == {True}
    action = next(one for one in run["results"] if one["ruleId"] == "unknown_action")
    assert action["message"]["text"].endswith("did you mean `firewall.block_ip`?")
    place = action["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 4
    assert place["artifactLocation"] == {"uri": file.as_uri()}


def test_sarif_names_files_of_the_repository_from_its_root(tmp_path: Path) -> None:
    """So that a dashboard finds them; where nothing is found, the log is empty and whole."""
    clean = json.loads(check("--form", "sarif").stdout)
    jsonschema.validate(clean, SARIF)
    assert clean["runs"][0]["results"] == []
    annotated = sarif([Finding(Place(str(Path.cwd() / "playbooks" / "a b.yaml"), 3, 5), "yaml", "wrong")])
    location = annotated["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "playbooks/a%20b.yaml", "uriBaseId": "%SRCROOT%"}


LISTED = """
title: Reads a list
steps: [{id: done, when: '"x" in lists.words', stop: success}]
"""


def test_the_lists_of_the_site_are_checked_with_the_playbooks_that_read_them(tmp_path: Path) -> None:
    """What is wrong with a list is told at its line, and of the playbook that it cannot run."""
    (tmp_path / "reader.yaml").write_text(LISTED)
    assert "did you mean" not in check(playbooks=tmp_path).stderr
    assert "lists has no field 'words'" in check(playbooks=tmp_path).stderr
    (tmp_path / "lists").mkdir()
    words = tmp_path / "lists" / "words.yaml"
    words.write_text("title: Words\ntype: txt\nentries: [x]\n")
    broken = check(playbooks=tmp_path)
    assert broken.returncode == 1
    assert f"{words}:2:" in broken.stderr
    assert "`lists.words` cannot be read" in broken.stderr
    words.write_text("title: Words\ntype: text\nentries: [x]\n")
    good = check(playbooks=tmp_path)
    assert (good.returncode, good.stdout) == (0, "1 playbooks are good, 0 errors\n")


BLOCKS = """
title: Blocks an address
steps:
  - id: block
    action: firewall.block_ip
    with: {ip: "::ffff:192.0.2.4"}
    for: 1h
"""


def test_a_target_that_must_never_be_touched_is_told_at_its_line(tmp_path: Path) -> None:
    """With the list and the entry; a target beside it is good."""
    (tmp_path / "blocks.yaml").write_text(BLOCKS)
    (tmp_path / "lists").mkdir()
    ours = "title: Ours\ntype: network\nentries: [192.0.2.0/24]\nnever_touch: true\n"
    (tmp_path / "lists" / "ours.yaml").write_text(ours)
    done = check(playbooks=tmp_path)
    assert done.returncode == 1
    assert f"{tmp_path}/blocks.yaml:6:16: 192.0.2.4 is on the never-touch list `lists.ours`" in done.stderr
    (tmp_path / "blocks.yaml").write_text(BLOCKS.replace("192.0.2.4", "192.0.3.4"))
    assert check(playbooks=tmp_path).returncode == 0


def test_a_draft_beside_no_lists_may_name_any(tmp_path: Path) -> None:
    """Nobody knows yet where it will stand; beside lists it is checked against them."""
    (tmp_path / "reader.yaml").write_text(LISTED)
    assert check(str(tmp_path / "reader.yaml")).returncode == 0
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "word.yaml").write_text("title: Words\ntype: text\nentries: [x]\n")
    assert "did you mean lists.word?" in check(str(tmp_path / "reader.yaml")).stderr
