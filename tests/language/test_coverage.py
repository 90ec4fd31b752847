"""What the tests of a playbook reach: every step, every outcome, every way out."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.alerts.decode import decode_sample
from orchestrator.language.program import Playbook
from orchestrator.language.simulator import Coverage, simulate_all
from orchestrator.language.yaml_reader import read_yaml
from tests.conftest import ROOT
from tests.language.playing import CAPABILITIES, playbook

SAMPLES = ROOT / "playbooks" / "samples"


def covered(steps: str, *tests: str, **parts: Any) -> Coverage:
    """The coverage of a playbook of these steps by these tests, all of which must pass."""
    listed = [{"name": str(number), **read_yaml(test, "").data} for number, test in enumerate(tests)]
    made = playbook(steps, tests=listed, **parts)
    coverage = Coverage([made])
    reports = simulate_all(made, CAPABILITIES, SAMPLES, decode_sample, coverage)
    assert [one.problems for one in reports if not one.passed] == []
    return coverage


def missed(steps: str, *tests: str, **parts: Any) -> list[str]:
    """What they do not reach."""
    return [
        one.told
        for one in covered(steps, *tests, **parts).missed
        if not one.told.startswith("no test in which `match`")
    ]


LOOK = "action: lab.look, with: {what: x}"
NOTE = "action: lab.note, with: {what: x}"
LOW = "{alert: {severity: low}, expect: {}}"
HIGH = "{alert: {severity: high}, expect: {}}"


@pytest.mark.parametrize(
    ("steps", "first", "left", "second"),
    [
        (
            f"- {{id: a, when: alert.severity == 'high', {LOOK}}}",
            LOW,
            ["no test runs `a`", "`a`: no test in which `when` holds"],
            HIGH,
        ),
        (
            f"- {{id: a, unless: alert.severity == 'high', {LOOK}}}",
            LOW,
            ["`a`: no test in which `unless` holds"],
            HIGH,
        ),
        (
            f"- {{id: a, if: alert.severity == 'high', then: [{{id: t, {LOOK}}}], else: [{{id: e, {LOOK}}}]}}",
            LOW,
            ["`a`: no test in which `if` holds", "no test runs `t`"],
            HIGH,
        ),
        (
            f"- {{id: s, switch: alert.severity, cases: {{low: [{{id: l, {LOOK}}}]}}, default: [{{id: d, {LOOK}}}]}}",
            LOW,
            ["`s`: no test of its default", "no test runs `d`"],
            HIGH,
        ),
        (
            f"- {{id: s, switch: alert.severity, cases: {{low: [{{set: {{v: 1}}}}], high: [{{id: h, {LOOK}}}]}}}}",
            LOW,
            ["`s`: no test of the case `high`", "no test runs `h`"],
            HIGH,
        ),
        (
            f"- {{id: l, for_each: {{items: alert.observables, steps: [{{id: each, {LOOK}}}]}}}}",
            "{alert: {observables: [{type: ip, value: 192.0.2.1}]}, expect: {}}",
            ["`l`: no test with an empty list"],
            LOW,
        ),
        (
            f"- {{id: r, repeat: {{until: steps.s.output.value > 0, times: 2, steps: [{{id: s, {LOOK}}}]}}}}",
            "{alert: {}, given: {s: [{value: 0}, {value: 1}]}, expect: {}}",
            ["`r`: no test in which it runs out of turns"],
            "{alert: {}, expect: {ends: failure}}",
        ),
        (
            f"- {{id: r, repeat: {{until: steps.s.output.value > 0, times: 1, steps: [{{id: s, {LOOK}}}]}}}}",
            "{alert: {}, given: {s: {value: 1}}, expect: {}}",
            ["`r`: no test in which `until` does not hold", "`r`: no test in which it runs out of turns"],
            "{alert: {}, expect: {ends: failure}}",
        ),
        (
            f"- {{id: a, on_error: continue, {NOTE}}}",
            LOW,
            ["`a`: no test in which it fails"],
            "{alert: {}, given: {a: {fails: rejected}}, expect: {}}",
        ),
        (
            f"- {{id: a, on_error: [{{id: e, {LOOK}}}], {NOTE}}}",
            LOW,
            ["`a`: no test in which it fails", "no test runs `e`"],
            "{alert: {}, given: {a: {fails: rejected}}, expect: {}}",
        ),
        (
            f"- {{id: l, for_each: {{items: [1], steps: [{{id: a, {NOTE}}}]}}, on_error: [{{id: e, {LOOK}}}]}}",
            LOW,
            ["`l`: no test in which it fails", "no test runs `e`"],
            "{alert: {}, given: {a: {fails: rejected}}, expect: {}}",
        ),
        (
            "- {id: q, ask: {text: '?', otherwise: {}}}",
            "{alert: {}, answers: {q: done}, expect: {}}",
            ["`q`: no test in which nobody answers"],
            "{alert: {}, answers: {q: expire}, expect: {}}",
        ),
        (
            "- {id: w, wait: {alert: 'true', within: 1h}}",
            "{alert: {source: {ip: 192.0.2.1}}, joins: [{after: 1m, alert: {source: {ip: 192.0.2.1}}}], expect: {}}",
            ["`w`: no test in which no alert comes in time"],
            LOW,
        ),
    ],
)
def test_each_way_is_missed_until_a_test_takes_it(steps: str, first: str, left: list[str], second: str) -> None:
    """With the second test all is reached."""
    assert missed(steps, first) == left
    assert missed(steps, first, second) == []


def test_an_approval_has_silence_and_both_outcomes_of_auto() -> None:
    """What it covers has its own conditions, which are decided when people are asked."""
    steps = """
        - {id: sure, approval: {ask: "?", covers: [a], auto: 'alert.severity == "high"', otherwise: deny}}
        - {id: a, when: alert.source.ip, action: lab.hold, with: {what: x}, for: 1h}
    """
    ip = "source: {ip: 192.0.2.1}"
    tests = (
        f"{{alert: {{severity: high, {ip}}}, expect: {{}}}}",
        f"{{alert: {{severity: low, {ip}}}, answers: {{sure: deny}}, expect: {{}}}}",
        f"{{alert: {{severity: low, {ip}}}, answers: {{sure: expire}}, expect: {{}}}}",
        LOW,
    )
    assert missed(steps, tests[0]) == [
        "`sure`: no test in which `auto` does not hold",
        "`sure`: no test in which nobody answers",
        "`a`: no test in which `when` does not hold",
    ]
    assert missed(steps, *tests) == []


def test_the_trigger_has_both_outcomes() -> None:
    """Also of a test that starts nothing."""
    trigger = {"match": 'alert.severity == "high"'}
    steps = f"- {{id: a, {LOOK}}}"
    assert [one.told for one in covered(steps, HIGH, trigger=trigger).missed] == [
        "no test in which `match` does not hold"
    ]
    starts_not = "{alert: {severity: low}, expect: {starts: false}}"
    assert covered(steps, HIGH, starts_not, trigger=trigger).missed == []


def test_steps_of_on_failure_count() -> None:
    """They are what runs at night."""
    parts = {"on_failure": [{"id": "told", "action": "lab.note", "with": {"what": "x"}}]}
    steps = f"- {{id: a, {NOTE}}}"
    assert missed(steps, LOW, **parts) == ["no test runs `told`"]
    assert missed(steps, LOW, "{alert: {}, given: {a: {fails: rejected}}, expect: {ends: failure}}", **parts) == []


def test_what_lies_behind_something_that_is_missed_is_counted_with_it() -> None:
    """One line for a branch of three steps."""
    steps = f"""
        - id: choose
          if: alert.severity == "high"
          then:
            - {{id: one, when: alert.source.ip, {LOOK}}}
            - {{id: two, on_error: continue, {LOOK}}}
            - {{do: [{{id: three, {LOOK}}}]}}
    """
    coverage = covered(steps, LOW)
    (trigger, choose) = coverage.outermost
    assert trigger.branch.word == "match"
    assert (choose.branch.told, choose.behind) == ("`choose`: no test in which `if` holds", 7)
    assert len(coverage.missed) == 1 + 1 + 7
    assert coverage.reached == len(coverage.branches) - 9


def test_a_sub_playbook_that_is_simulated_is_reached_too() -> None:
    """By the tests of the one that calls it; not where its outputs are given."""
    sub = playbook("- {id: inner, action: lab.look, with: {what: x}}", name="sub", trigger={})
    steps = "- {id: call, playbook: sub}"
    for test, reached in ((LOW, True), ("{alert: {}, given: {call: {}}, expect: {}}", False)):
        made = playbook(steps, uses={"sub": sub}, tests=[{"name": "a", **read_yaml(test, "").data}])
        coverage = Coverage([made, Playbook("sub", sub.document)])
        simulate_all(made, CAPABILITIES, SAMPLES, decode_sample, coverage)
        assert ("no test runs `inner`" not in [one.told for one in coverage.missed]) is reached


def test_without_a_coverage_nothing_is_observed() -> None:
    """A run in production tells nobody."""
    made = playbook(f"- {{id: a, {LOOK}}}", tests=[{"name": "a", "alert": {}, "expect": {}}])
    assert simulate_all(made, CAPABILITIES, SAMPLES, decode_sample)[0].passed


LOOP = f"id: l, for_each: {{items: %s, steps: [{{id: each, {LOOK}}}]}}"
STOP = "{stop: success, unless: vars.all}"
SET = "{set: {all: '{{ alert.observables }}'}}"
GO_ON = "{if: 'alert.severity == high or not vars.all', then: [{stop: success}]}".replace("high", '"high"')
OTHERS = "'vars.all | difference([1])'"
EMPTY = "`l`: no test with an empty list"


@pytest.mark.parametrize(
    ("steps", "asked"),
    [
        (f"[{SET}, {STOP}, {{{LOOP % 'vars.all'}}}]", False),
        (f"[{SET}, {STOP}, {{{LOOP % 'vars.all | unique | first(20)'}}}]", False),
        (f"[{SET}, {GO_ON}, {{{LOOP % 'vars.all'}}}]", False),
        (f"[{SET}, {{when: vars.all, {LOOP % 'vars.all'}}}]", False),
        (f"[{SET}, {{if: vars.all, then: [{{{LOOP % 'vars.all'}}}]}}]", False),
        (f"[{SET}, {{if: not vars.all, then: [{{set: {{x: 1}}}}], else: [{{{LOOP % 'vars.all'}}}]}}]", False),
        (f"[{SET}, {{{LOOP % 'vars.all'}}}]", True),
        (f"[{SET}, {STOP}, {SET}, {{{LOOP % 'vars.all'}}}]", True),
        (f"[{SET}, {STOP}, {{{LOOP % 'vars.all | first(0)'}}}]", True),
        (f"[{SET}, {STOP}, {{{LOOP % OTHERS}}}]", True),
        (f"[{SET}, {{if: vars.all or alert.host, then: [{{{LOOP % 'vars.all'}}}]}}]", True),
        (f"[{SET}, {{if: vars.all, then: [{SET}, {{{LOOP % 'vars.all'}}}]}}]", True),
        (f"[{SET}, {{do: [{SET}, {{{LOOK}}}], when: vars.all, on_error: [{{{LOOP % 'vars.all'}}}]}}]", True),
        (f"[{SET}, {{stop: success, unless: vars.all is defined}}, {{{LOOP % 'vars.all'}}}]", True),
    ],
)
def test_an_empty_list_is_asked_for_only_where_one_could_come(steps: str, asked: bool) -> None:
    """Where the run would have stopped, or gone elsewhere, no test could bring one to the loop."""
    assert (EMPTY in [one.told for one in Coverage([playbook(steps)]).missed]) is asked
