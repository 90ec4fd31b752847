"""Matching: which playbooks an alert starts, with the reason, and nothing looked at that cannot match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.actions.catalog import scan
from orchestrator.alerts.alert import Alert
from orchestrator.language.loader import read_playbook
from orchestrator.language.program import Playbook
from orchestrator.matching.ids import run_name, workflow_id
from orchestrator.matching.match import Index, match

CAPABILITIES = scan().capabilities
SEVERITIES = ["informational", "low", "medium", "high", "critical"]


def playbook(name: str, condition: str, key: str | None = None) -> Playbook:
    text = f"""
title: {name}
trigger: {{match: '{condition}'{f", key: '{key}'" if key else ""}}}
steps: [{{id: tell, action: notify.send, with: {{channel: a, text: b}}}}]
tests: [{{name: a, alert: {{}}, expect: {{starts: true}}}}, {{name: b, alert: {{}}, expect: {{starts: false}}}}]
"""
    made, found = read_playbook(text, "p.yaml", name, CAPABILITIES)
    assert made is not None, found
    return made


def alert(**changes: Any) -> Alert:
    fixed = {
        "id": "1", "key": "t/1", "time": "2026-05-06T10:00:00Z", "severity": "high", "title": "t",
        "product": {"name": "Suricata"}, "attack": ["T1110"], "rule": {"id": "1:1"}, "source": {"ip": "203.0.113.7"},
    }  # fmt: skip
    return Alert.model_validate(fixed | changes)


def names(found: list[Any]) -> list[str]:
    return [one.playbook.name for one in found]


def test_every_playbook_whose_condition_holds_is_chosen_with_its_values() -> None:
    """In the order of their names; an error in a condition makes it false."""
    index = Index(
        [
            playbook("b", 'alert.severity >= "high"'),
            playbook("a", '"T1110" in alert.attack', "alert.source.ip"),
            playbook("c", 'alert.severity == "low"'),
            playbook("d", "alert.raw.count > 3 and alert.raw.text > 3"),
        ]
    )
    found = match(alert(raw={"count": 4, "text": "x"}), index)
    assert names(found) == ["a", "b"]
    assert found[0].reason.values == {"alert.attack": ["T1110"]}
    assert [one.group_key for one in found] == ["203.0.113.7", None]


def test_an_alert_without_a_value_for_the_key_gets_a_run_of_its_own() -> None:
    """Alerts without a key never join one another."""
    (found,) = match(alert(source={}), Index([playbook("a", "true", "alert.source.ip")]))
    assert found.group_key is None


@pytest.mark.parametrize(
    ("condition", "looked_at"),
    [
        ('alert.rule.id == "1:2" and alert.severity >= "low"', 0), ('alert.rule.id == "1:1"', 1),
        ('alert.severity == "critical"', 0), ('alert.severity > "medium"', 1), ('"T9999" in alert.attack', 0),
        ('alert.product.name == "Other"', 0), ('alert.rule.id == "1:2" or alert.severity == "high"', 1),
        ('not (alert.rule.id == "1:2")', 1),
    ],
)  # fmt: skip
def test_only_what_could_match_is_evaluated(condition: str, looked_at: int) -> None:
    """The index drops what surely cannot match, and never what could."""
    assert len(Index([playbook("a", condition)]).candidates(alert())) == looked_at


TERMS = [
    'alert.severity >= "high"', 'alert.severity < "critical"', 'alert.severity == "low"', '"T1110" in alert.attack',
    'alert.rule.id == "1:1"', 'alert.product.name == "Suricata"', "alert.user", 'alert.rule.id != "1:1"',
]  # fmt: skip


@given(
    terms=st.lists(st.sampled_from(TERMS), min_size=1, max_size=4),
    joints=st.lists(st.sampled_from([" and ", " or "]), min_size=3, max_size=3),
    severity=st.sampled_from(SEVERITIES), attack=st.sampled_from([[], ["T1110"]]),
    rule=st.sampled_from([{}, {"id": "1:1"}, {"id": "1:2"}]),
)  # fmt: skip
def test_the_index_never_changes_what_matches(
    terms: list[str], joints: list[str], severity: str, attack: list[str], rule: dict[str, str]
) -> None:
    """Whatever the condition, the index and the condition alone agree; also one that the checker would refuse."""
    condition = "".join(part for pair in zip(terms, ["", *joints], strict=False) for part in reversed(pair))
    one = Playbook("a", {"title": "a", "trigger": {"match": condition}, "steps": [{"set": {"seen": True}}]})
    assert one.match is not None
    given = alert(severity=severity, attack=attack, rule=rule)
    assert bool(match(given, Index([one]))) == one.match.test({"alert": given, "now": given.time})


def test_ids_are_made_of_playbook_and_alert_and_of_nothing_else() -> None:
    """The same alert always means the same run; hostile keys stay in their place."""
    assert run_name("contain", "tocsin/a-1") == "contain/a/tocsin.a-1"
    assert workflow_id("contain", "tocsin/a-1", None) == "contain/a/tocsin.a-1"
    keyed = workflow_id("contain", "tocsin/a-1", "../../x y")
    assert keyed.startswith("contain/k/")
    assert keyed.count("/") == 2
    assert " " not in keyed
