"""Steps that hold steps: what runs, in which order, what is seen where, and what a failure ends."""

from __future__ import annotations

import pytest

from tests.language.playing import play


def test_steps_run_one_after_the_other() -> None:
    """In the order of the file; each sees the ones before it."""
    played = play("""
        - {id: first, action: lab.look, with: {what: a}}
        - {id: second, action: lab.note, with: {what: "{{ steps.first.output.value + 1 }} of {{ steps.first.status }}"}}
    """, given={"first": {"value": 41}})  # fmt: skip
    assert played.calls == ["first", "second"]
    assert played.sent == ["a", "42 of succeeded"]


def test_all_branches_of_a_parallel_finish_at_the_same_time_as_one_would() -> None:
    """Three branches of 5, 3 and 1 seconds take 5."""
    played = play("""
        - parallel:
            - {id: slow, action: lab.look, with: {what: a}}
            - {id: middle, action: lab.look, with: {what: b}}
            - {id: quick, action: lab.look, with: {what: c}}
        - {id: after, action: lab.look, with: {what: d}}
    """, takes={"slow": 5, "middle": 3, "quick": 1})  # fmt: skip
    assert played.world.times == {"quick": 1, "middle": 3, "slow": 5, "after": 5}


def test_branches_do_not_see_each_other_and_afterwards_all_are_seen() -> None:
    """Neither the steps nor the vars of another branch, however late a step looks."""
    played = play("""
        - parallel:
            - do:
                - {id: one, action: lab.look, with: {what: a}}
                - set: {mine: 1}
            - do:
                - wait: {for: 1m}
                - id: other
                  action: lab.note
                  with: {what: "{{ steps.one.status | default('unseen') }} {{ vars.mine | default('unset') }}"}
        - {id: after, action: lab.note, with: {what: "{{ steps.one.status }} {{ vars.mine }}"}}
    """)
    assert played.sent == ["a", "unseen unset", "succeeded 1"]


def test_a_parallel_with_failures_finishes_the_rest_and_fails_with_the_first_of_the_list() -> None:
    """Not with the first in time."""
    played = play("""
        - parallel:
            - {id: late, action: lab.note, with: {what: a}}
            - {id: early, action: lab.note, with: {what: b}}
            - {id: good, action: lab.note, with: {what: c}}
        - {id: after, action: lab.note, with: {what: d}}
    """, takes={"late": 5, "good": 9},
        given={"late": {"fails": "rejected"}, "early": {"fails": "not_found"}})  # fmt: skip
    assert played.error == ("late", "rejected")
    assert played.statuses["good"] == "succeeded"
    assert played.world.times["good"] == 9
    assert "after" not in played.calls


def test_fail_fast_ends_the_other_branches_once_their_calls_have_settled() -> None:
    """The call under way is finished and known; the step after it does not run; a wait is cut short."""
    played = play("""
        - id: group
          on_error: continue
          parallel:
            - do:
                - {id: under_way, action: lab.note, with: {what: a}}
                - {id: next, action: lab.note, with: {what: b}}
            - {id: failing, action: lab.note, with: {what: c}}
            - {id: waiting, wait: {for: 1h}}
          fail_fast: true
        - {id: after, action: lab.note, with: {what: "{{ steps.under_way.status }} {{ steps.waiting.status }}"}}
    """, takes={"under_way": 5, "failing": 1}, given={"failing": {"fails": "rejected"}})  # fmt: skip
    assert played.calls == ["failing", "under_way", "after"]
    assert played.sent[-1] == "succeeded failed"
    assert played.world.times["after"] == 5
    assert played.statuses["next"] == "skipped"


def test_without_fail_fast_the_others_go_on_to_their_ends() -> None:
    """However long that takes."""
    played = play("""
        - on_error: continue
          parallel:
            - {action: lab.note, with: {what: a}, id: failing}
            - do: [{wait: {for: 1h}}, {id: late, action: lab.note, with: {what: b}}]
    """, given={"failing": {"fails": "rejected"}})  # fmt: skip
    assert played.statuses["late"] == "succeeded"
    assert played.seconds == 3600


def test_a_group_shares_one_on_error_for_its_chain() -> None:
    """What failed in it ends it, and its handler runs once."""
    played = play("""
        - id: chain
          do:
            - {id: one, action: lab.note, with: {what: a}}
            - {id: two, action: lab.note, with: {what: b}}
            - {id: three, action: lab.note, with: {what: c}}
          on_error:
            - {id: told, action: lab.note, with: {what: "{{ steps.chain.error.kind }} after {{ steps.one.status }}"}}
        - {id: after, action: lab.note, with: {what: "{{ steps.chain.status }} {{ steps.three.status }}"}}
    """, given={"two": {"fails": "conflict"}})  # fmt: skip
    assert played.sent == ["a", "b", "conflict after succeeded", "failed skipped"]
    assert not played.failed


def test_if_takes_one_of_two_branches_and_the_other_is_skipped() -> None:
    """Both are seen afterwards; of the one not taken the `default` counts."""
    for severity, sent in (("high", ["t", "0 succeeded"]), ("low", ["e", "7 skipped"])):
        played = play(f"""
            - id: choose
              if: '"{severity}" == "high"'
              then: [{{id: yes, action: lab.look, with: {{what: t}}, default: {{what: x, value: 7}}}}]
              else: [{{id: no, action: lab.look, with: {{what: e}}}}]
            - id: after
              action: lab.note
              with: {{what: "{{{{ steps.yes.output.value }}}} {{{{ steps.yes.status }}}}"}}
        """)  # fmt: skip
        assert played.sent == sent


def test_if_without_else_does_nothing_where_the_condition_does_not_hold() -> None:
    """And succeeds."""
    played = play("- {id: choose, if: 1 > 2, then: [{id: yes, action: lab.look, with: {what: t}}]}")
    assert played.calls == []
    assert played.statuses == {"choose": "succeeded", "yes": "skipped"}


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("alert.severity", "medium"),
        ("""'"Medium"'""", "default"),
        ("5", "five"),
        ("10 / 2", "five"),
        ("true", "yes"),
        ("alert.source.ip", "address"),
        ("alert.user.name | default('x')", "default"),
    ],
)
def test_switch_takes_the_case_whose_literal_is_the_value_as_its_type_reads_it(value: str, taken: str) -> None:
    """A severity, an address and a number are one however they are written; text is exactly itself."""
    cases = {"medium": "medium", "5": "five", "true": "yes", "::ffff:203.0.113.7": "address"}
    listed = "\n".join(
        f'    "{literal}": [{{id: {name}, action: lab.look, with: {{what: x}}}}]' for literal, name in cases.items()
    )
    played = play(
        f"- switch: {value}\n  cases:\n{listed}\n  default: [{{id: default, action: lab.look, with: {{what: x}}}}]"
    )
    assert played.calls == [taken]


def test_switch_without_a_default_does_nothing_where_no_case_fits() -> None:
    """And succeeds."""
    played = play("- {id: s, switch: 6, cases: {five: [{id: five, action: lab.look, with: {what: x}}]}}")
    assert played.statuses == {"s": "succeeded", "five": "skipped"}


def test_vars_are_assigned_in_sequence_and_of_an_item_inside_a_loop() -> None:
    """Assigned again in order; what an item sets ends with it."""
    played = play("""
        - set: {count: 1}
        - set: {count: "{{ vars.count + 1 }}", old: "{{ vars.count }}"}
        - for_each:
            items: [1, 2]
            collect: "{{ vars.count }}"
            steps: [{set: {count: "{{ vars.count + item }}"}}]
          id: each
        - if: vars.count == 2
          then: [{set: {branch: taken}}]
        - {id: after, action: lab.note, with: {what: "{{ vars.count }} {{ vars.old }} {{ vars.branch }}"}}
    """)
    assert played.sent == ["2 1 taken"]
    assert played.steps["each"]["output"]["collect"] == [3, 4]


def test_set_reads_all_values_before_it_gives_the_first() -> None:
    """So two names can be exchanged."""
    played = play("""
        - set: {a: 1, b: 2}
        - set: {a: "{{ vars.b }}", b: "{{ vars.a }}"}
    """)
    assert played.vars == {"a": 2, "b": 1}


def test_stop_ends_the_run_from_anywhere_after_calls_in_flight_are_settled() -> None:
    """In a branch of a loop in a branch: the others' calls end, and nothing follows."""
    played = play("""
        - parallel:
            - for_each:
                items: [1, 2, 3]
                concurrency: 2
                steps:
                  - {id: look, action: lab.look, with: {what: "item {{ item }}"}}
                  - {when: item == 1, stop: success, message: "enough of {{ item }}"}
                  - {wait: {for: 1s}}
                  - {id: more, action: lab.note, with: {what: "item {{ item }}"}}
            - do:
                - {id: slow, action: lab.note, with: {what: slow}}
                - {id: never, action: lab.note, with: {what: never}}
        - {id: after, action: lab.note, with: {what: after}}
    """, takes={"slow": 60, "look": 1})  # fmt: skip
    assert not played.failed
    assert played.result.message == "enough of 1"
    assert played.calls == ["for_each#1[0].look", "for_each#1[1].look", "slow"]
    assert played.seconds == 60


def test_stop_failure_runs_on_failure_with_its_message() -> None:
    """As any failure does."""
    played = play(
        "- {id: end, stop: failure, message: because}",
        on_failure=[{"action": "lab.note", "with": {"what": "{{ run.failed_step }}: {{ run.error.message }}"}}],
    )
    assert played.failed
    assert played.sent == ["end: because"]


def test_no_on_error_goes_past_a_stop() -> None:
    """It is no failure of the step that it stands in."""
    played = play("""
        - on_error: continue
          do: [{id: end, stop: failure, message: because}]
        - {id: after, action: lab.note, with: {what: after}}
    """)
    assert played.error == ("end", "rejected")
    assert played.calls == []
