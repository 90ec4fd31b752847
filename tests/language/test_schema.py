"""The JSON schema of playbooks: what editors complete, explain and complain about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from orchestrator.actions.catalog import scan
from orchestrator.contract import Effect
from orchestrator.language.model import STEPS, PlaybookDocument
from orchestrator.language.schema import playbook_schema, schema_text
from orchestrator.language.yaml_reader import read_yaml
from tests.conftest import ROOT

CAPABILITIES = scan().capabilities
SCHEMA = playbook_schema(CAPABILITIES)
VALIDATOR = Draft202012Validator(SCHEMA)
SHIPPED = sorted((*(ROOT / "playbooks").glob("*.yaml"), *(ROOT / "docs" / "examples").glob("*.yaml")))
GOOD = """
title: A playbook
trigger: {match: alert.severity >= "low"}
steps:
  - id: block
    action: firewall.block_ip
    with: {ip: "{{ alert.source.ip }}", reason: seen}
    for: 1h
  - id: close
    action: ticket.resolve
    with: {ticket: "{{ alert.case }}", code: true_positive}
  - id: verdict
    ask: {text: "What is it?", fields: {verdict: [benign, malicious], hours: {type: number, default: 4}}}
tests:
  - name: starts
    alert: {from: ecs/a.json, severity: high, source: {ip: 203.0.113.7}}
    given: {firewall.block_ip: {blocked: true}}
    answers: {verdict: {verdict: benign}}
    expect: {calls: [firewall.block_ip, {ticket.resolve: {code: true_positive}}]}
"""


def mistakes(text: str) -> list[ValidationError]:
    return list(VALIDATOR.iter_errors(read_yaml(text, "p.yaml").data))


def test_the_schema_that_ships_is_the_one_of_the_models() -> None:
    """Written anew by `tocsin schema --output playbooks/playbook.schema.json`."""
    written = (ROOT / "playbooks" / "playbook.schema.json").read_text(encoding="utf-8")
    assert written == schema_text(CAPABILITIES), "run: tocsin schema --output playbooks/playbook.schema.json"


def test_the_schema_is_one() -> None:
    """By the rules of its own dialect, and every reference leads somewhere."""
    Draft202012Validator.check_schema(SCHEMA)
    for target in _references(SCHEMA):
        assert target.removeprefix("#/$defs/") in SCHEMA["$defs"]


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [target for one in node for target in _references(one)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [target for one in node.values() for target in _references(one)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_playbook_that_ships_fits_and_names_the_schema(path: Path) -> None:
    """In its first line, so that an editor finds it from where the file stands."""
    text = path.read_text(encoding="utf-8")
    head, _, place = text.partition("\n")[0].partition("$schema=")
    assert head == "# yaml-language-server: "
    assert (path.parent / place).resolve() == ROOT / "playbooks" / "playbook.schema.json"
    assert [f"{error.json_path}: {error.message}" for error in mistakes(text)] == []


def test_a_good_playbook_fits() -> None:
    """The neighbour of every mistake below."""
    assert mistakes(GOOD) == []


@pytest.mark.parametrize(
    ("instead_of", "wrong", "place"),
    [
        ("title: A playbook", "titel: A playbook", "$"),
        ("action: firewall.block_ip", "action: firewall.blok_ip", "$.steps[0].action"),
        ("action: firewall.block_ip", "acton: firewall.block_ip", "$.steps[0]"),
        ("reason: seen", "reson: seen", "$.steps[0].with"),
        ('{ip: "{{ alert.source.ip }}", reason: seen}', "{reason: seen}", "$.steps[0].with"),
        ('"{{ alert.source.ip }}"', "not-an-address", "$.steps[0].with.ip"),
        ("for: 1h", "for: 1", "$.steps[0].for"),
        ("for: 1h", "for: an hour", "$.steps[0].for"),
        ("    for: 1h\n", "", "$.steps[0]"),
        ("code: true_positive}\n", "code: true_positive}\n    for: 1h\n", "$.steps[1]"),
        ("code: true_positive}\n", "code: nonsense}\n", "$.steps[1].with.code"),
        ("id: block", "id: Block!", "$.steps[0].id"),
        ("id: block", "id: block\n    when: '{{ alert.user }}'", "$.steps[0].when"),
        ("id: block", "id: block\n    approval: {ask: x, covers: [close]}", "$.steps[0]"),
        ("[benign, malicious]", "txt", "$.steps[2].ask.fields.verdict"),
        ("type: number", "type: decimal", "$.steps[2].ask.fields.hours"),
        ("severity: high", "severity: severe", "$.tests[0].alert.severity"),
        ("source: {ip", "sorce: {ip", "$.tests[0].alert"),
        ("{blocked: true}", "{blockd: true}", "$.tests[0].given['firewall.block_ip']"),
        ("{blocked: true}", "{fails: broken}", "$.tests[0].given['firewall.block_ip'].fails"),
        ("calls: [firewall.block_ip", "calls: [firewall.blok_ip", "$.tests[0].expect.calls[0]"),
        ("{verdict: benign}", "maybe", "$.tests[0].answers.verdict"),
        ("steps:\n", "steps: []\nsteps_:\n", "$.steps"),
    ],
)
def test_a_typical_mistake_is_told_at_its_place(instead_of: str, wrong: str, place: str) -> None:
    """One change to a good playbook; every complaint is about that place or something inside it."""
    assert instead_of in GOOD
    found = [error for top in mistakes(GOOD.replace(instead_of, wrong, 1)) for error in (top.context or [top])]
    assert place in {error.json_path for error in found}


def test_a_mistake_in_one_step_is_not_told_as_that_of_every_kind() -> None:
    """The step's own key chooses what it is held against."""
    (found,) = mistakes(GOOD.replace("reason: seen", "reson: seen"))
    assert "'reson' was unexpected" in found.message


def test_every_step_kind_and_every_key_is_explained() -> None:
    """What an editor shows beside each."""
    for model in (*STEPS.values(), PlaybookDocument):
        properties = (
            SCHEMA["properties"] if model is PlaybookDocument else SCHEMA["$defs"][model.__name__]["properties"]
        )
        assert set(properties) == {field.alias or name for name, field in model.model_fields.items()}
        assert [name for name, one in properties.items() if not one.get("description")] == []
    assert {one["label"] for one in SCHEMA["$defs"]["Step"]["defaultSnippets"]} >= set(STEPS)


@pytest.mark.parametrize("name", CAPABILITIES)
def test_each_capability_is_completed_with_what_it_does_and_takes(name: str) -> None:
    """Its name with its summary, its parameters with the required ones marked, a template for each of them."""
    capability = CAPABILITIES[name]
    names = SCHEMA["$defs"]["Capability"]
    assert capability.summary in names["enumDescriptions"][names["enum"].index(name)]
    takes = SCHEMA["$defs"][f"{name} takes"]
    assert set(takes["properties"]) == set(capability.takes.model_fields)
    step = {"action": name, "with": dict.fromkeys(takes["properties"], "{{ vars.x }}")}
    if capability.effect is Effect.REVERSIBLE:
        step["for"] = "1h"
    assert list(VALIDATOR.iter_errors({"title": "t", "steps": [step]})) == []
    for field, info in capability.takes.model_fields.items():
        assert takes["properties"][field]["description"].startswith("required" if info.is_required() else "optional")
