"""Loops: the items of a list, and turns until a condition holds."""

from __future__ import annotations

import pytest

from tests.language.playing import play


def test_the_items_are_done_one_after_the_other_unless_told_otherwise() -> None:
    """In the order of the list."""
    played = play("""
        - for_each:
            items: ["a", "b", "c"]
            steps:
              - {id: first, action: lab.look, with: {what: "{{ item }} first"}}
              - {id: second, action: lab.look, with: {what: "{{ item }} second"}}
    """, takes={"first": 2, "second": 1})  # fmt: skip
    assert played.sent == ["a first", "a second", "b first", "b second", "c first", "c second"]
    assert played.seconds == 9


def test_concurrency_is_how_many_items_run_at_a_time() -> None:
    """Seven items of 10 seconds, three at a time, take 30."""
    played = play("""
        - for_each:
            items: [1, 2, 3, 4, 5, 6, 7]
            concurrency: 3
            steps: [{id: look, action: lab.look, with: {what: "item {{ item }}"}}]
    """, takes={"look": 10})  # fmt: skip
    assert played.seconds == 30
    assert len(played.calls) == 7


def test_collect_is_in_the_order_of_the_list_whoever_is_done_first() -> None:
    """One for each item, and how many there were."""
    played = play("""
        - id: each
          for_each:
            items: [3, 1, 2]
            as: minutes
            concurrency: 3
            collect:
              {of: "{{ minutes }}", index: "{{ loop.index }}", first: "{{ loop.first }}", last: "{{ loop.last }}"}
            steps:
              - {id: poll, repeat: {until: loop.index == minutes, every: 1m, times: 5, steps: [{set: {v: 1}}]}}
        - id: told
          action: lab.note
          with: {what: "{{ steps.each.output.collect | map(attribute='of') | join(',') }}"}
    """)  # fmt: skip
    output = played.steps["each"]["output"]
    assert output["collect"] == [
        {"of": 3, "index": 1, "first": True, "last": False},
        {"of": 1, "index": 2, "first": False, "last": False},
        {"of": 2, "index": 3, "first": False, "last": True},
    ]
    assert (output["counts"].total, output["counts"].succeeded, output["counts"].failed) == (3, 3, 0)
    assert played.sent == ["3,1,2"]


def test_an_empty_list_is_no_failure() -> None:
    """Nothing is done, and nothing collected."""
    played = play("""
        - id: each
          for_each:
            items: alert.observables
            collect: "{{ item.value }}"
            steps: [{action: lab.look, with: {what: x}}]
    """)
    assert played.calls == []
    assert played.steps["each"]["output"]["collect"] == []


def test_failed_items_do_not_stop_the_others_and_then_the_loop_fails_with_the_first_of_the_list() -> None:
    """Not with the first in time; what was collected is there all the same."""
    played = play("""
        - id: each
          for_each:
            items: [a, b, c, d]
            concurrency: 4
            collect: "{{ item }} {{ steps.look.output.value | default('none') }}"
            steps:
              - {wait: {for: 1s}}
              - {id: look, action: lab.note, with: {what: "{{ item }}"}}
        - {id: after, action: lab.note, with: {what: after}}
    """, given={"look": [
        {"when": {"what": "b"}, "then": {"fails": "conflict"}},
        {"when": {"what": "c"}, "then": {"fails": "rejected"}},
        {"then": {"value": 5}},
    ]})  # fmt: skip
    assert played.error == ("look", "conflict")
    output = played.steps["each"]["output"]
    assert output["collect"] == ["a 5", "b none", "c none", "d 5"]
    assert (output["counts"].succeeded, output["counts"].failed) == (2, 2)
    assert "after" not in played.calls


def test_on_error_beside_a_loop_is_for_each_item() -> None:
    """It sees the item and its error; the run goes on, and the loop stays failed."""
    played = play("""
        - id: each
          for_each:
            items: [a, b, c]
            collect: "{{ item }} {{ steps.look.status }} {{ steps.mended.status | default('-') }}"
            steps: [{id: look, action: lab.note, with: {what: "{{ item }}"}}]
          on_error:
            - {id: mended, action: lab.note, with: {what: "mend {{ item }}: {{ steps.each.error.kind }}"}}
        - {id: after, action: lab.note, with: {what: "{{ steps.each.status }} {{ steps.each.output.counts.failed }}"}}
    """, given={"look": [{}, {"fails": "conflict"}, {"fails": "rejected"}]})  # fmt: skip
    assert played.sent == ["a", "b", "mend b: conflict", "c", "mend c: rejected", "failed 2"]
    assert played.steps["each"]["output"]["collect"] == ["a succeeded -", "b failed succeeded", "c failed succeeded"]
    assert not played.failed


def test_an_item_whose_on_error_fails_does_not_stop_the_others_but_ends_the_run() -> None:
    """Nobody has dealt with it."""
    played = play("""
        - id: each
          for_each:
            items: [a, b, c]
            steps: [{id: look, action: lab.note, with: {what: "{{ item }}"}}]
          on_error: [{id: mended, action: lab.note, with: {what: "mend {{ item }}"}}]
        - {id: after, action: lab.note, with: {what: after}}
    """, given={"look": {"fails": "conflict"}, "mended": [{}, {"fails": "unavailable"}, {}]})  # fmt: skip
    assert played.sent == ["a", "mend a", "b", "mend b", "c", "mend c"]
    assert played.error == ("mended", "unavailable")


def test_on_error_continue_beside_a_loop_lets_the_run_go_on() -> None:
    """Whichever items failed."""
    played = play("""
        - {id: each, on_error: continue, for_each: {items: [a], steps: [{id: look, action: lab.note, with: {what: a}}]}}
        - {id: after, action: lab.note, with: {what: "{{ steps.each.error.kind }}"}}
    """, given={"look": {"fails": "conflict"}})  # fmt: skip
    assert played.sent == ["a", "conflict"]


def test_outside_a_loop_its_steps_are_not_seen() -> None:
    """Only what it collects; the steps of an item see those of the item, and what came before the loop."""
    played = play("""
        - {id: before, action: lab.look, with: {what: x}}
        - for_each:
            items: [a]
            steps:
              - {id: inner, action: lab.look, with: {what: "{{ steps.before.status }}"}}
              - {id: next, action: lab.look, with: {what: "{{ steps.inner.status }}"}}
        - {id: after, action: lab.note, with: {what: "{{ steps.inner.status | default('unseen') }}"}}
    """)
    assert played.sent == ["x", "succeeded", "succeeded", "unseen"]


def test_loops_in_loops_have_items_of_their_own() -> None:
    """And their own places in the ledger."""
    played = play("""
        - id: outer
          for_each:
            items: [a, b]
            as: letter
            steps:
              - id: inner
                for_each:
                  items: [1, 2]
                  as: digit
                  steps: [{id: look, action: lab.look, with: {what: "{{ letter }}{{ digit }} {{ loop.index }}"}}]
    """)
    assert played.sent == ["a1 1", "a2 2", "b1 1", "b2 2"]
    assert len({one.path for one in played.world.attempts}) == 4
    assert played.calls[3] == "outer[1].inner[1].look"


@pytest.mark.parametrize("items", ["alert.severity", "alert.title", "5"])
def test_what_is_no_list_fails_the_loop(items: str) -> None:
    """A text is not its letters."""
    played = play(f"- {{id: each, for_each: {{items: {items}, steps: [{{action: lab.look, with: {{what: x}}}}]}}}}")
    assert played.error == ("each", "invalid")


def test_a_repeat_ends_when_its_condition_holds() -> None:
    """Looked at after each turn; between two turns is the pause."""
    played = play("""
        - id: poll
          repeat:
            until: steps.state.output.value == 3
            every: 30s
            times: 10
            steps: [{id: state, action: lab.look, with: {what: "turn {{ loop.index }}"}}]
        - {id: after, action: lab.note, with: {what: "{{ steps.state.output.value }} {{ steps.poll.status }}"}}
    """, given={"state": [{"value": 1}, {"value": 2}, {"value": 3}]})  # fmt: skip
    assert played.sent == ["turn 1", "turn 2", "turn 3", "3 succeeded"]
    assert played.seconds == 60


def test_a_repeat_that_runs_out_of_turns_fails() -> None:
    """After the last turn there is no pause any more; its steps show that turn."""
    played = play("""
        - id: poll
          on_error: continue
          repeat:
            until: steps.state.output.value == 3
            every: 30s
            times: 4
            steps: [{id: state, action: lab.look, with: {what: x}}]
        - {id: after, action: lab.note, with: {what: "{{ steps.poll.error.kind }} {{ steps.state.status }}"}}
    """)
    assert played.sent == ["x"] * 4 + ["timeout succeeded"]
    assert played.seconds == 90


def test_vars_are_kept_from_turn_to_turn() -> None:
    """And after the last one."""
    played = play("""
        - set: {count: 10}
        - repeat:
            until: vars.count == 13
            times: 5
            steps: [{set: {count: "{{ vars.count + 1 }}"}}]
        - {id: after, action: lab.note, with: {what: "{{ vars.count }} counted"}}
    """)
    assert played.sent == ["13 counted"]


def test_a_turn_sees_the_steps_of_the_one_before_until_its_own_have_run() -> None:
    """So that a page names the next one."""
    played = play("""
        - repeat:
            until: steps.page.output.value == 0
            times: 5
            steps:
              - {id: page, action: lab.look, with: {what: "after {{ steps.page.output.value | default('none') }}"}}
    """, given={"page": [{"value": 7}, {"value": 9}, {"value": 0}]})  # fmt: skip
    assert played.sent == ["after none", "after 7", "after 9"]


def test_afterwards_a_repeat_shows_its_last_turn_and_nothing_older() -> None:
    """A branch that the last turn did not take was not reached."""
    played = play("""
        - id: poll
          repeat:
            until: loop.index == 2
            times: 3
            steps:
              - if: loop.index == 1
                then: [{id: early, action: lab.look, with: {what: early}, default: {what: x, value: 9}}]
                else: [{id: late, action: lab.look, with: {what: late}}]
        - {id: after, action: lab.note, with: {what: "{{ steps.early.status }} {{ steps.early.output.value }}"}}
    """)
    assert played.sent == ["early", "late", "skipped 9"]


def test_a_turn_that_fails_shows_nothing_of_the_turn_before() -> None:
    """What it did not come to was not reached."""
    played = play("""
        - id: poll
          on_error: continue
          repeat:
            until: 1 > 2
            times: 3
            steps:
              - {id: first, action: lab.note, with: {what: first}}
              - {id: second, action: lab.note, with: {what: second}}
        - {id: after, action: lab.note, with: {what: "{{ steps.first.status }} {{ steps.second.status }}"}}
    """, given={"first": [{}, {"fails": "conflict"}]})  # fmt: skip
    assert played.sent == ["first", "second", "first", "failed skipped"]


def test_a_turn_has_its_own_place_in_the_ledger() -> None:
    """Each turn's call is another one."""
    played = play("""
        - id: poll
          repeat: {until: loop.index == 2, times: 2, steps: [{id: state, action: lab.look, with: {what: x}}]}
    """)
    assert [one.path for one in played.world.attempts] == [("poll", "turn 1", "state"), ("poll", "turn 2", "state")]
