"""The tests that playbooks bring: what starts them, what actions and people answer, and what has to come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.alerts.decode import decode_sample
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ListType, ReferenceData, ReferenceList
from orchestrator.language.simulator import TestMistake, simulate
from orchestrator.language.simulator.clock import NothingMoves, in_virtual_time
from orchestrator.language.simulator.world import World
from orchestrator.language.tested import Test
from orchestrator.language.yaml_reader import read_yaml
from tests.conftest import ROOT
from tests.language.playing import CAPABILITIES, START, playbook

SAMPLES = ROOT / "playbooks" / "samples"
ALERT = "{source: {ip: 203.0.113.7}}"


def problems(played: Playbook | str, test: str, site: ReferenceData | None = None, **parts: Any) -> list[str]:
    """What is wrong with a test, in YAML, of a playbook of these steps."""
    made = playbook(played, **parts) if isinstance(played, str) else played
    data = read_yaml(test, "test.yaml").data
    given = Test.model_validate({"name": "a test", **data})
    return list(simulate(made, given, CAPABILITIES, SAMPLES, decode_sample, site=site).problems)


def passes(played: Playbook | str, test: str, **more: Any) -> bool:
    """Whether it passes."""
    found = problems(played, test, **more)
    assert found == []
    return not found


def mistake(played: Playbook | str, test: str, **more: Any) -> str:
    """The one thing that is wrong."""
    (found,) = problems(played, test, **more)
    return found


LOOK = "- {id: here, action: lab.look, with: {what: a}}\n"
NOTE = "- {id: told, action: lab.note, with: {what: '{{ steps.here.output.value }} {{ steps.here.output.what }}'}}\n"


# what starts it


def test_the_alert_starts_it_or_does_not() -> None:
    """Where that is not as expected, the values say why."""
    trigger = {"match": 'alert.severity >= "high"'}
    assert passes(LOOK, "{alert: {severity: high}, expect: {calls: [lab.look]}}", trigger=trigger)
    assert passes(LOOK, "{alert: {severity: low}, expect: {starts: false}}", trigger=trigger)
    said = mistake(LOOK, "{alert: {severity: low}, expect: {}}", trigger=trigger)
    assert said == "starts: expected a start; `match` does not hold (alert.severity = 'low')"
    assert "expected no start" in mistake(LOOK, "{alert: {severity: high}, expect: {starts: false}}", trigger=trigger)


def test_an_alert_may_be_a_recorded_one_with_fields_of_its_own() -> None:
    """`from` names a file below the samples; what stands beside it replaces its own."""
    steps = "- {id: n, action: lab.note, with: {what: '{{ alert.severity }} {{ alert.source.ip }} {{ alert.title }}'}}"
    test = """
        alert: {from: suricata/port_scan.json, severity: critical, source: {ip: 203.0.113.99}}
        expect: {calls: [lab.note: {what: "%s"}]}
    """
    title = decode_sample((SAMPLES / "suricata/port_scan.json").read_bytes()).title
    assert passes(steps, test % f"critical 203.0.113.99 {title}")


@pytest.mark.parametrize("name", ["none.json", "../../pyproject.toml", "suricata"])
def test_a_sample_that_is_not_there_is_said(name: str) -> None:
    """Nothing outside the folder is read."""
    assert "there is no sample" in mistake(LOOK, f"{{alert: {{from: {name}}}, expect: {{}}}}")


def test_an_alert_that_is_none_is_said() -> None:
    """With the field."""
    assert "alert.severity: " in mistake(LOOK, "{alert: {severity: awful}, expect: {}}")


def test_a_run_without_an_alert_has_inputs_or_a_schedule() -> None:
    """Inputs are typed, with their defaults; a scheduled run has no alert."""
    parts = {
        "trigger": {"schedule": {"cron": "0 8 * * 1"}, "manual": {}},
        "inputs": {"ip": {"type": "address", "default": "192.0.2.1"}},
    }
    steps = "- {id: n, action: lab.note, with: {what: '{{ inputs.ip }} {{ alert.title | default(now()) }}'}}"
    test = "{inputs: {ip: '2001:DB8::1'}, at: 2024-05-06T10:00:00Z, expect: {calls: [lab.note: {what: '%s'}]}}"
    assert passes(steps, test % "2001:db8::1 2024-05-06T10:00:00+00:00", **parts)
    scheduled = "{schedule: true, at: '2024-05-06 10:00', expect: {calls: [lab.note: {what: '%s'}]}}"
    assert passes(steps, scheduled % "192.0.2.1 2024-05-06T10:00:00+00:00", **parts)
    assert "inputs: `ip`" in mistake(steps, "{inputs: {ip: nonsense}, expect: {}}", **parts)


def test_a_test_that_nothing_starts_is_said() -> None:
    """An alert where none starts it, a schedule where there is none, nothing at all."""
    assert "no `match`" in mistake(LOOK, "{alert: {}, expect: {}}", trigger={"manual": {}})
    assert "no `schedule`" in mistake(LOOK, "{schedule: true, expect: {}}")
    assert "nothing starts it" in mistake(LOOK, "{expect: {}}")
    assert "alert and inputs" in mistake(LOOK, "{alert: {}, inputs: {}, expect: {}}")
    assert "is no time" in mistake(LOOK, "{inputs: {}, at: noon, expect: {}}", trigger={"manual": {}})


def test_time_begins_with_the_alert_or_where_the_test_says() -> None:
    """And is skipped: a wait of a month takes no time."""
    steps = "- {wait: {for: 30d}}\n- {id: n, action: lab.note, with: {what: '{{ now() }}'}}"
    test = "{alert: {time: 2024-05-06T10:00:00Z}%s, expect: {calls: [lab.note: {what: '%s'}]}}"
    assert passes(steps, test % ("", "2024-06-05T10:00:00+00:00"))
    assert passes(steps, test % (", at: 2025-01-01T00:00:00Z", "2025-01-31T00:00:00+00:00"))


def test_lists_and_calendars_are_those_of_the_test_or_of_the_site() -> None:
    """Typed as the site says; one that nobody has is never an empty one."""
    steps = """
        - {id: in, when: '"10.1.2.3" in lists.ours', action: lab.note, with: {what: in}}
        - {id: open, when: now() is within(calendars.office), action: lab.note, with: {what: open}}
    """
    office = "calendars: {office: {tz: Europe/Amsterdam, hours: {wed: ['09:00-17:00']}}}"
    test = "{alert: {time: 2026-05-06T%s:00:00Z}, %s, expect: {calls: [%s]}}"
    assert passes(steps, test % ("10", f"lists: {{ours: ['10.1.2.3']}}, {office}", "lab.note, lab.note"))
    assert passes(steps, test % ("16", f"lists: {{ours: []}}, {office}", ""))
    site = ReferenceData({"ours": ReferenceList(ListType.IP, ())})
    assert passes(steps, test % ("16", f"lists: {{ours: ['::ffff:10.1.2.3']}}, {office}", "lab.note"), site=site)
    assert "lists.ours" in mistake(steps, test % ("10", office, ""))
    assert "calendars.office" in mistake(steps, test % ("10", "lists: {ours: []}", ""))
    assert "lists.our is not read" in mistake(steps, test % ("10", f"lists: {{our: []}}, {office}", ""))
    assert "`lists.ours`" in mistake(steps, test % ("10", f"lists: {{ours: [nonsense]}}, {office}", ""), site=site)
    assert "calendars: office.hours.noday" in mistake(
        steps, test % ("10", "lists: {ours: []}, calendars: {office: {tz: UTC, hours: {noday: []}}}", "")
    )


# what actions answer


def test_an_action_without_given_answers_with_a_least_value_of_its_model() -> None:
    """What the result says again of the parameters is theirs."""
    assert passes(LOOK + NOTE, f"{{alert: {ALERT}, expect: {{calls: [lab.look, lab.note: {{what: 0 a}}]}}}}")


@pytest.mark.parametrize("name", ["lab.look", "steps.here", "here"])
def test_given_is_for_an_action_or_for_a_step(name: str) -> None:
    """What it leaves out is the least value."""
    test = (
        f"{{alert: {ALERT}, given: {{{name}: {{value: 5}}}}, expect: {{calls: [lab.look, lab.note: {{what: 5 a}}]}}}}"
    )
    assert passes(LOOK + NOTE, test)


def test_a_step_goes_before_its_action() -> None:
    """The more special word counts."""
    test = "given: {lab.look: {value: 1}, steps.here: {value: 5}}, expect: {calls: [lab.look, lab.note: {what: 5 a}]}"
    assert passes(LOOK + NOTE, f"{{alert: {ALERT}, {test}}}")


def test_a_list_is_one_answer_for_each_call_and_running_out_is_an_error() -> None:
    """A retry is a call."""
    steps = "- {id: one, action: lab.look, with: {what: a}}\n- {id: two, action: lab.look, with: {what: b}}\n"
    given = "given: {lab.look: [{fails: unavailable}, {value: 1}%s]}"
    assert passes(steps, f"{{alert: {ALERT}, {given % ', {value: 2}'}, expect: {{}}}}")
    assert mistake(steps, f"{{alert: {ALERT}, {given % ''}, expect: {{}}}}") == (
        "given lab.look: it is called more than 2 times; give one answer more, or say it outside a list"
    )


def test_an_answer_may_depend_on_the_parameters() -> None:
    """The first whose `when` they fit; the least value where none does."""
    steps = """
        - for_each:
            items: [a, b, c]
            steps:
              - {id: here, action: lab.look, with: {what: "{{ item }}"}}
              - {id: told, action: lab.note, with: {what: "{{ item }} {{ steps.here.output.value }}"}}
    """
    test = f"""
        alert: {ALERT}
        given: {{lab.look: [{{when: {{what: a}}, then: {{value: 5}}}}, {{when: {{what: c}}, then: {{value: 7}}}}]}}
        expect:
          calls:
            - lab.look
            - lab.note: {{what: a 5}}
            - lab.look
            - lab.note: {{what: b 0}}
            - lab.look
            - lab.note: {{what: c 7}}
    """
    assert passes(steps, test)


def test_parameters_are_compared_as_their_own_types_read_them() -> None:
    """An address in any spelling, an account in any case."""
    steps = "- {id: b, action: firewall.block_ip, with: {ip: '{{ alert.source.ip }}'}, for: 1h}"
    test = "given: {firewall.block_ip: [{when: {ip: '::ffff:203.0.113.7'}, then: {fails: rejected}}]}"
    expect = "expect: {ends: failure, calls: [firewall.block_ip: {ip: '::ffff:cb00:7107'}]}"
    assert passes(steps, f"{{alert: {ALERT}, {test}, {expect}}}")


def test_a_given_failure_is_of_its_kind() -> None:
    """A time-out takes its time; a kind that there is not is said."""
    steps = "- {id: here, action: lab.look, with: {what: a}, timeout: 7s, retry: {attempts: 1}, on_error: continue}\n"
    steps += "- {id: told, action: lab.note, with: {what: '{{ steps.here.error.kind }} {{ now() }}'}}"
    test = "{alert: {time: 2026-01-01T00:00:00Z}, given: {here: {fails: %s}}, expect: {calls: [lab.look, %s]}}"
    assert passes(steps, test % ("timeout", "lab.note: {what: 'timeout 2026-01-01T00:00:07+00:00'}"))
    assert passes(steps, test % ("conflict", "lab.note: {what: 'conflict 2026-01-01T00:00:00+00:00'}"))
    assert "known: timeout, unavailable" in mistake(steps, test % ("sadness", "lab.note"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{lab.look: {value: many}}", "`value`: "),
        ("{lab.look: {price: 5}}", "`price`: "),
        ("{lab.look: 5}", "an answer is a mapping"),
        ("{lab.look: [{when: {what: a}, then: {}}, {value: 5}]}", "either all of the list"),
        ("{lab.look: []}", "called more than 0 times"),
    ],
)
def test_an_answer_that_the_action_cannot_give_is_said(given: str, says: str) -> None:
    """With the field, and what it has."""
    assert says in mistake(LOOK, f"{{alert: {ALERT}, given: {given}, expect: {{}}}}")


def test_a_mistake_in_the_test_is_told_whatever_else_fails_beside_it() -> None:
    """A branch that fails, or that deals with failures, does not hide it."""
    steps = """
        - on_error: continue
          parallel:
            - {id: here, on_error: continue, action: lab.look, with: {what: a}}
            - {id: bad, action: lab.note, with: {what: b}}
    """
    test = f"{{alert: {ALERT}, given: {{here: {{price: 5}}, bad: {{fails: rejected}}}}, expect: {{}}}}"
    assert "`price`" in mistake(steps, test)


def test_all_routes_answer_together() -> None:
    """One answer of one integration, or several, and those that gave none."""
    steps = """
        - {id: here, action: lab.look, with: {what: a}, all_routes: true}
        - set: {values: "{{ steps.here.output.answers | map(attribute='value') | join(' ') }}"}
        - {id: told, action: lab.note, with: {what: "{{ vars.values }} {{ steps.here.output.failed | length }}"}}
    """
    test = "{alert: {}, given: {here: %s}, expect: {calls: [lab.look, lab.note: {what: '%s'}]}}"
    assert passes(steps, test % ("{value: 5}", "5 0"))
    assert passes(steps, test % ("{answers: [{value: 5}, {}], failed: [unavailable]}", "5 0 1"))
    assert passes(steps, test % ("{answers: []}", " 0"))


def test_shadow_playbooks_send_nothing_and_ask_nobody() -> None:
    """Writes are shadowed, reads are made, no answers are needed."""
    steps = """
        - {id: sure, approval: {ask: "?", covers: [held]}}
        - {id: held, action: lab.hold, with: {what: a}, for: 1h}
        - {id: here, action: lab.look, with: {what: "{{ steps.held.status }}"}}
    """
    test = "{alert: {}, expect: {calls: [lab.hold, lab.look: {what: shadowed}], asked: [sure]}}"
    assert passes(steps, test, mode="shadow")


# sub-playbooks

SUB = playbook(
    """
    - {id: sure, approval: {ask: "?", covers: [held]}}
    - {id: held, action: lab.hold, with: {what: "{{ inputs.what }}"}, for: 1h}
    """,
    name="sub",
    trigger={},
    inputs={"what": "text"},
    outputs={"done": "{{ steps.held.ok }}"},
)
CALLS = """
- {id: contain, playbook: sub, with: {what: x}}
- {id: told, action: lab.note, with: {what: "{{ steps.contain.output.done }}!"}}
"""


def test_a_sub_playbook_is_simulated_itself() -> None:
    """With its own calls and questions, which may be named after the step that called it."""
    for name in ("sure", "contain.sure"):
        test = (
            f"{{alert: {{}}, answers: {{{name}: approve}}, expect: {{calls: [lab.hold, lab.note], asked: [{name}]}}}}"
        )
        assert passes(CALLS, test, uses={"sub": SUB})


def test_the_outputs_of_a_sub_playbook_may_be_given_instead() -> None:
    """Or its failure; by the step that calls it, as for an action."""
    for name in ("contain", "steps.contain"):
        test = f"{{alert: {{}}, given: {{{name}: {{done: false}}}}, expect: {{calls: [lab.note: {{what: 'false!'}}]}}}}"
        assert passes(CALLS, test, uses={"sub": SUB})
    conditional = "{contain: [{when: {what: x}, then: {fails: rejected}}]}"
    assert passes(CALLS, f"{{alert: {{}}, given: {conditional}, expect: {{ends: failure}}}}", uses={"sub": SUB})
    unknown = mistake(CALLS, "{alert: {}, given: {contain: {won: 1}}, expect: {}}", uses={"sub": SUB})
    assert unknown == "given: sub has no output `won`; its outputs: done"


def test_a_sub_playbook_that_is_not_there_is_said() -> None:
    """A test cannot guess what it does."""
    assert "there is no such playbook" in mistake(CALLS, "{alert: {}, expect: {}}")


def test_a_detached_sub_playbook_is_carried_out_to_its_end() -> None:
    """Its calls may come in any order with the others."""
    steps = CALLS.replace("with: {what: x}", "with: {what: x}, detach: true").replace(".output.done", ".status")
    for calls in ("lab.hold, lab.note", "lab.note, lab.hold"):
        assert passes(
            steps, f"{{alert: {{}}, answers: {{sure: approve}}, expect: {{calls: [{calls}]}}}}", uses={"sub": SUB}
        )


# what people answer


def test_a_question_without_an_answer_is_an_error() -> None:
    """It says what to add."""
    steps = "- {id: sure, approval: {ask: '?', covers: [held]}}\n"
    steps += "- {id: held, action: lab.hold, with: {what: a}, for: 1h}"
    assert mistake(steps, "{alert: {}, expect: {}}") == (
        "`sure` asks, and the test has no answer for it; add it below `answers:` (approve, deny or expire)"
    )
    assert "is no answer to an approval" in mistake(steps, "{alert: {}, answers: {sure: yes}, expect: {}}")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("approve", "say the fields"),
        ("{is: ugly}", "`is`"),
        ("{is: bad, colour: red}", "`colour` is unknown"),
        ("{}", "`is` is missing"),
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_said(answer: str, says: str) -> None:
    """People could not give it either."""
    steps = "- {id: verdict, ask: {text: '?', fields: {is: [bad, good]}}}"
    assert says in mistake(steps, f"{{alert: {{}}, answers: {{verdict: {answer}}}, expect: {{}}}}")


def test_a_task_is_done_or_expires() -> None:
    """A question without fields."""
    steps = "- {id: do_it, ask: {text: Do it}}"
    assert passes(steps, "{alert: {}, answers: {do_it: done}, expect: {asked: [do_it]}}")
    assert passes(steps, "{alert: {}, answers: {do_it: expire}, expect: {ends: failure}}")


def test_an_answer_may_say_how_far_it_is_known_who_gave_it() -> None:
    """For steps that trust only some answers."""
    steps = """
        - {id: was_it_you, ask: {text: '?', fields: {yes: boolean}}}
        - {id: n, when: 'steps.was_it_you.output.trust == "signed"', action: lab.note, with: {what: x}}
    """
    assert passes(steps, "{alert: {}, answers: {was_it_you: {yes: true, trust: signed}}, expect: {calls: [lab.note]}}")
    assert passes(steps, "{alert: {}, answers: {was_it_you: {yes: true}}, expect: {calls: []}}")


@pytest.mark.parametrize("about", ["trust: sigend", "by: 7"])
def test_an_answer_that_nobody_could_give_is_said(about: str) -> None:
    """Who gives it is a text, and how far that is known one of four words."""
    test = f"{{alert: {{}}, answers: {{asked: {{yes: true, {about}}}}}, expect: {{}}}}"
    said = mistake("- {id: asked, ask: {text: '?', fields: {yes: boolean}}}", test)
    assert said == "answers asked: `by` is a text, and `trust` one of signed, principal, unverified, silence"


def test_each_item_of_a_loop_may_be_given_what_its_actions_answer() -> None:
    """Named as for people: by the loop and the place; also in a sub-playbook, by the step that calls it."""
    steps = """
        - id: people
          for_each:
            items: [ann, bob]
            steps:
              - {id: seen, action: lab.look, with: {what: "{{ item }}"}}
              - {id: told, action: lab.note, with: {what: "{{ item }} {{ steps.seen.output.value }}"}}
    """
    test = """
        alert: {}
        given: {"%s[1].seen": {value: 7}, seen: {value: 3}}
        expect: {calls: [lab.look, lab.note: {what: ann 3}, lab.look, lab.note: {what: bob 7}]}
    """
    assert passes(steps, test % "people")
    assert passes(steps, test % "steps.people")
    called = playbook(steps, name="sub", trigger={})
    for name in ("contain.people", "steps.contain.people"):
        assert passes("- {id: contain, playbook: sub}", test % name, uses={"sub": called})
    in_a_loop = """
        - id: hosts
          for_each: {items: [x, y], steps: [{id: contain, playbook: sub}]}
    """
    calls = "lab.look, lab.note: {what: ann 3}, lab.look, lab.note: {what: bob %s}"
    given = '"hosts[1].contain.people[1].seen": {value: 9}, "contain.people[1].seen": {value: 7}'
    calls = f"{calls % 7}, {calls % 9}"
    test = f"{{alert: {{}}, given: {{{given}, contain.seen: {{value: 3}}}}, expect: {{calls: [{calls}]}}}}"
    assert passes(in_a_loop, test, uses={"sub": called})


def test_each_item_of_a_loop_may_get_an_answer_of_its_own() -> None:
    """By the loop and the place, counted from 0; else all get the one of the step."""
    steps = """
        - id: people
          for_each:
            items: [ann, bob]
            steps:
              - {id: asked, ask: {text: '?', within: 1h, otherwise: {}}}
              - {id: told, action: lab.note, with: {what: "{{ item }} {{ steps.asked.output.trust }}"}}
    """
    test = """
        alert: {}
        answers: {"people[0].asked": expire, asked: done}
        expect:
          calls: [lab.note: {what: ann silence}, lab.note: {what: bob unverified}]
          asked: ["people[0].asked", asked]
    """
    assert passes(steps, test)


# alerts that join

WAITS = """
- {id: more, wait: {alert: joining.severity == "high", within: 1h}}
- {id: told, action: lab.note, with: {what: "{{ steps.more.status }} {{ joined_count }} {{ now() }}"}}
"""


def test_alerts_join_after_a_while() -> None:
    """In the order of time, whatever the order of the list."""
    test = """
        alert: {source: {ip: 203.0.113.7}, time: 2026-01-01T00:00:00Z}
        joins:
          - {after: 10m, alert: {severity: high, source: {ip: "::ffff:203.0.113.7"}}}
          - {after: 5m, alert: {source: {ip: 203.0.113.7}}}
        expect: {calls: [lab.note: {what: "succeeded 2 2026-01-01T00:10:00+00:00"}]}
    """
    assert passes(WAITS, test)


@pytest.mark.parametrize(
    ("trigger", "joins", "says"),
    [
        ({}, "{after: 5m, alert: {source: {ip: 203.0.113.8}}}", "its key is '203.0.113.8'"),
        ({}, "{after: 5m, alert: {}}", "only alerts with a `key` join"),
        ({"key": None}, f"{{after: 5m, alert: {ALERT}}}", "only alerts with a `key` join"),
        (
            {"match": 'alert.status == "open"'},
            "{after: 5m, alert: {status: resolved, source: {ip: 203.0.113.7}}}",
            "`match`",
        ),
        (
            {"match": 'alert.status == "open"', "joins": 'alert.status == "updated"'},
            "{after: 5m, alert: {status: resolved, source: {ip: 203.0.113.7}}}",
            "neither `match` nor `joins` holds",
        ),
        ({}, f"{{after: 2h, alert: {ALERT}}}", "the run had ended"),
    ],
)
def test_an_alert_that_would_not_join_is_said(trigger: Mapping[str, Any], joins: str, says: str) -> None:
    """Another key, none, a condition that does not hold, or too late."""
    whole = {"match": "true", "key": "alert.source.ip", **trigger}
    whole = {word: value for word, value in whole.items() if value is not None}
    test = f"{{alert: {ALERT}, joins: [{joins}], expect: {{}}}}"
    assert says in mistake(WAITS, test, trigger=whole)


def test_joins_widens_what_may_join() -> None:
    """A message that the source sends when all is over."""
    trigger = {"match": 'alert.status == "open"', "key": "alert.source.ip", "joins": 'alert.status == "resolved"'}
    steps = "- {id: over, wait: {alert: 'joining.status == \"resolved\"', within: 1h}}"
    test = f"""
        alert: {ALERT}
        joins: [{{after: 5m, alert: {{status: resolved, source: {{ip: 203.0.113.7}}}}}}]
        expect: {{}}
    """
    assert passes(steps, test, trigger=trigger)


# what has to come of it


def test_calls_are_exact_and_in_order() -> None:
    """One more, one less and another order are told, with the reason why one did not come."""
    steps = """
        - {id: here, action: lab.look, with: {what: a}}
        - {id: told, when: steps.here.output.value > 5, action: lab.note, with: {what: b}}
        - {id: held, action: lab.hold, with: {what: c}, for: 1h}
    """
    assert passes(steps, "{alert: {}, expect: {calls: [lab.look, lab.hold]}}")
    assert problems(steps, "{alert: {}, expect: {calls: [lab.look, lab.note, lab.hold]}}") == [
        "calls: expected lab.look, lab.note, lab.hold\n       happened lab.look, lab.hold",
        "`told` (lab.note) was skipped: when: steps.here.output.value > 5 (steps.here.output.value = 0)",
    ]
    assert len(problems(steps, "{alert: {}, expect: {calls: [lab.hold, lab.look]}}")) == 1
    assert len(problems(steps, "{alert: {}, expect: {calls: []}}")) == 1


def test_calls_may_say_their_parameters() -> None:
    """Those that are named; each call is compared with the entry in its place."""
    steps = "- {id: here, action: lab.look, with: {what: a, size: 5}}\n- {id: then, action: lab.look, with: {what: b}}"
    assert passes(steps, "{alert: {}, expect: {calls: [lab.look: {size: 5}, lab.look: {what: b}]}}")
    found = problems(steps, "{alert: {}, expect: {calls: [lab.look: {size: 6}, lab.look]}}")
    assert found[-1] == "lab.look: expected {'size': 6}; sent: {'size': 5}, {'size': None}"
    assert problems(steps, "{alert: {}, expect: {calls: [lab.look: {what: b}, lab.look: {what: a}]}}")


BESIDE = """
- id: first
  action: lab.look
  with: {what: a}
- parallel:
    - do: [{id: one, action: lab.note, with: {what: one}}, {id: two, action: lab.note, with: {what: two}}]
    - for_each:
        items: [x, y]
        concurrency: %s
        steps: [{id: here, action: lab.look, with: {what: "{{ item }}"}}]
- {id: last, action: lab.hold, with: {what: z}, for: 1h}
"""


@pytest.mark.parametrize(
    ("calls", "concurrency", "right"),
    [
        ("look a, note one, note two, look x, look y, hold z", 1, True),
        ("look a, look x, note one, look y, note two, hold z", 1, True),
        ("look a, look y, note one, look x, note two, hold z", 1, False),
        ("look a, look y, note one, look x, note two, hold z", 2, True),
        ("look a, note two, note one, look x, look y, hold z", 2, False),
        ("look x, look a, note one, note two, look y, hold z", 2, False),
        ("look a, note one, note two, look x, hold z, look y", 2, False),
    ],
)
def test_the_order_is_free_between_branches_and_concurrent_items(calls: str, concurrency: int, right: bool) -> None:
    """And within one branch, and around all of them, it is not."""
    entries = ", ".join(f"lab.{one.split()[0]}: {{what: {one.split()[1]}}}" for one in calls.split(", "))
    found = problems(BESIDE % concurrency, f"{{alert: {{}}, expect: {{calls: [{entries}]}}}}")
    assert (found == []) is right


def test_not_called_names_what_must_not_be_called() -> None:
    """And which step did."""
    assert passes(LOOK, "{alert: {}, expect: {not_called: [lab.note]}}")
    said = mistake(LOOK, "{alert: {}, expect: {not_called: [lab.look]}}")
    assert said == "not_called: lab.look was called, by `here`"


def test_how_it_ends_is_success_unless_said() -> None:
    """A failure says where and why."""
    steps = "- {id: end, stop: failure, message: because}"
    assert passes(steps, "{alert: {}, expect: {ends: failure}}")
    assert mistake(steps, "{alert: {}, expect: {}}") == (
        "ends: expected success; it ended in failure at `end`: rejected, because"
    )
    assert "it ended in success" in mistake(LOOK, "{alert: {}, expect: {ends: failure}}")


def test_undone_are_the_steps_whose_effects_were_taken_back() -> None:
    """In the order in which that happened."""
    steps = """
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: two, action: lab.hold, with: {what: b}, keep: true}
        - {undo: [one, two]}
    """
    assert passes(steps, "{alert: {}, expect: {undone: [two, one]}}")
    assert "undone: expected one" in mistake(steps, "{alert: {}, expect: {undone: [one]}}")
    failing = "- {id: one, action: lab.hold, with: {what: a}, keep: true}\n- {stop: failure}"
    assert passes(failing, "{alert: {}, expect: {ends: failure, undone: [one]}}", undo_on_failure=True)
    called = playbook("- {id: one, action: lab.hold, with: {what: a}, keep: true}", trigger={})
    calling = "- {id: contain, playbook: called}\n- {undo: [contain]}"
    for name in ("one", "contain.one"):
        assert passes(calling, f"{{alert: {{}}, expect: {{undone: [{name}]}}}}", uses={"called": called})
    assert "happened contain.one" in mistake(calling, "{alert: {}, expect: {undone: []}}", uses={"called": called})


def test_outputs_are_compared_as_their_types_read_them() -> None:
    """Those that are named."""
    outputs = {"ip": "{{ alert.source.ip }}", "at": "{{ alert.time }}", "severity": "{{ alert.severity }}", "n": 5}
    test = "{alert: {source: {ip: 203.0.113.7}, time: 2026-01-01T00:00:00Z}, expect: {outputs: %s}}"
    assert passes(LOOK, test % "{ip: '::ffff:203.0.113.7', at: '2026-01-01T00:00:00Z', n: 5}", outputs=outputs)
    assert passes(LOOK, test % "{severity: Medium}", outputs=outputs)
    assert "`n`: expected '5'; happened: 5" in mistake(LOOK, test % "{n: '5'}", outputs=outputs)
    assert "there is no `m`" in mistake(LOOK, test % "{m: 5}", outputs=outputs)


def test_a_test_that_can_never_end_is_an_error_with_words() -> None:
    """Not a test that hangs."""

    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingMoves, match="never comes"):
        in_virtual_time(waits_for_ever())


def test_a_test_that_would_take_very_many_steps_is_an_error_with_words() -> None:
    """However its loops are nested."""
    world = World(Test.model_validate({"name": "long", "expect": {}}), CAPABILITIES, START, {})
    for _ in range(100_000):
        world.count_step()
    with pytest.raises(TestMistake, match="more than 100000 steps; give the loops of the test fewer items"):
        world.count_step()


def test_time_passes_only_where_somebody_waits() -> None:
    """Ten years in no time; timers of one moment ring together, however they were reckoned."""

    async def rung() -> list[float]:
        loop, rings = asyncio.get_running_loop(), list[float]()
        for delay in (0.1 + 0.2, 0.3, 5):
            loop.call_later(delay, lambda: rings.append(loop.time()))
        assert loop.time() == 0
        await asyncio.sleep(timedelta(days=3650).total_seconds())
        return [*rings, loop.time()]

    first, second, *others = in_virtual_time(rung())
    assert first == second
    assert others == pytest.approx([5, 315_360_000])
