"""The keys that any step may have: conditions, time, retries, what follows a failure, outputs of what did not run."""

from __future__ import annotations

import pytest

from orchestrator.errors import FailureKind
from tests.language.playing import play

NEVER_RETRIED = {"unauthorized", "unknown_outcome", "refused_by_policy", "invalid"}


def test_when_and_unless_skip_a_step() -> None:
    """Both must allow it; a skipped step has a status and no output."""
    played = play("""
        - {id: yes, when: 1 < 2, unless: 2 < 1, action: lab.look, with: {what: a}}
        - {id: no, when: 2 < 1, action: lab.look, with: {what: b}}
        - {id: never, unless: 1 < 2, action: lab.look, with: {what: c}}
        - {id: told, action: lab.note, with: {what: "{{ steps.no.status }} {{ steps.no.ok }} {{ steps.no.failed }}"}}
    """)
    assert played.calls == ["yes", "told"]
    assert played.sent[-1] == "skipped false false"


def test_what_is_absent_in_a_condition_is_false() -> None:
    """Also compared; the run goes on."""
    played = play("""
        - {id: a, when: alert.user.name, action: lab.look, with: {what: a}}
        - {id: b, when: alert.user.name == "x", action: lab.look, with: {what: b}}
        - {id: c, unless: alert.raw.some.thing > 5, action: lab.look, with: {what: c}}
    """)
    assert played.calls == ["c"]


def test_an_error_in_a_condition_fails_the_step_before_anything_is_sent() -> None:
    """It is a failure like any other."""
    played = play("- {id: a, when: alert.severity > 5, action: lab.look, with: {what: a}}")
    assert played.error == ("a", "invalid")
    assert played.calls == []


def test_a_parameter_that_is_absent_fails_the_step_before_anything_is_sent() -> None:
    """Unless it has a default; none in an optional parameter leaves it out."""
    played = play("""
        - {id: a, action: lab.look, with: {what: "{{ alert.user.name | default('nobody') }}", size: "{{ none }}"}}
        - {id: b, action: lab.look, with: {what: "{{ alert.user.name }}"}}
    """)
    assert played.error == ("b", "invalid")
    assert played.sent == ["nobody"]


def test_reads_are_tried_three_times_and_writes_once() -> None:
    """Unless they say otherwise; each pause is twice as long as the one before."""
    for action, attempts, seconds in (("lab.look", 3, 1 + 2), ("lab.note", 1, 0), ("lab.hold", 1, 0)):
        played = play(
            f"- {{id: a, action: {action}, keep: true, with: {{what: x}}}}", given={"a": {"fails": "unavailable"}}
        )
        assert (len(played.world.attempts), played.seconds) == (attempts, seconds)


def test_retry_says_how_often_and_with_which_pauses() -> None:
    """Doubling up to the longest."""
    played = play(
        "- {id: a, action: lab.note, with: {what: x}, retry: {attempts: 6, backoff: 10s, max_backoff: 30s}}",
        given={"a": [*[{"fails": "unavailable"}] * 5, {}]},
    )
    assert [one.attempt for one in played.world.attempts] == [1, 2, 3, 4, 5, 6]
    assert played.seconds == 10 + 20 + 30 + 30 + 30
    assert not played.failed
    assert played.calls == ["a"]


@pytest.mark.parametrize("kind", list(FailureKind))
def test_four_kinds_of_failure_are_never_retried(kind: FailureKind) -> None:
    """Whatever the step says: another attempt could not mend them, or could make them worse."""
    played = play(
        f"- {{id: a, action: lab.look, with: {{what: x}}, timeout: 1s, retry: {{attempts: 2, on: [{kind}]}}}}",
        given={"a": {"fails": str(kind)}},
    )
    assert len(played.world.attempts) == (1 if kind in NEVER_RETRIED else 2)
    assert played.error == ("a", kind)


def test_retry_on_names_the_kinds_that_are_tried_again() -> None:
    """Others end the step at once."""
    played = play(
        "- {id: a, action: lab.look, with: {what: x}, retry: {attempts: 5, on: [rate_limited]}}",
        given={"a": [{"fails": "rate_limited"}, {"fails": "conflict"}]},
    )
    assert len(played.world.attempts) == 2
    assert played.error == ("a", "conflict")


def test_a_retry_sends_what_the_first_attempt_sent() -> None:
    """Rendered once, whatever the clock says by then."""
    played = play(
        "- {id: a, action: lab.look, with: {what: x, at: '{{ now() }}'}}",
        given={"a": [{"fails": "conflict"}, {"fails": "conflict"}, {}]},
    )
    assert len({one.parameters["at"] for one in played.world.attempts}) == 1
    assert played.seconds == 3


def test_timeout_of_an_action_bounds_one_attempt() -> None:
    """Each attempt gets it anew."""
    played = play(
        "- {id: a, action: lab.look, with: {what: x}, timeout: 5s, retry: {attempts: 3, backoff: 1s}}",
        given={"a": [{"fails": "timeout"}, {"fails": "timeout"}, {}]},
    )
    assert {one.timeout for one in played.world.attempts} == {5.0}
    assert not played.failed
    assert played.seconds == 5 + 1 + 5 + 2


def test_timeout_of_a_container_bounds_the_whole() -> None:
    """What is in it is cut short, once the call under way has settled, and the container failed."""
    played = play("""
        - id: group
          timeout: 1m
          on_error: continue
          do:
            - {id: in_time, action: lab.note, with: {what: a}}
            - {id: slow, action: lab.note, with: {what: b}}
            - {id: too_late, action: lab.note, with: {what: c}}
        - {id: after, action: lab.note, with: {what: "{{ steps.group.error.kind }} {{ steps.slow.status }}"}}
    """, takes={"in_time": 30, "slow": 50})  # fmt: skip
    assert played.calls == ["in_time", "slow", "after"]
    assert played.sent[-1] == "timeout succeeded"
    assert played.statuses["too_late"] == "skipped"
    assert played.world.times == {"in_time": 30, "slow": 80, "after": 80}


def test_time_that_people_take_does_not_count_against_a_container() -> None:
    """Nor what several of them take at the same time; the rest of it does."""
    steps = """
        - id: group
          timeout: 10m
          on_error: continue
          do:
            - {wait: {for: 4m}}
            - parallel:
                - {id: quick, ask: {text: quick?, within: 3h, otherwise: {}}}
                - {id: slow, ask: {text: slow?, within: 5h, otherwise: {}}}
            - {wait: {for: %s}}
            - {id: last, action: lab.note, with: {what: last}}
    """
    for rest, status in (("5m", "succeeded"), ("7m", "failed")):
        played = play(steps % rest, answers={"quick": "expire", "slow": "expire"})
        assert played.statuses["group"] == status
        assert played.seconds == 5 * 3600 + 4 * 60 + (5 * 60 if status == "succeeded" else 6 * 60)


def test_an_inner_container_may_be_given_less_time_than_the_one_around_it() -> None:
    """Each has its own; the outer one goes on when the inner one was late."""
    played = play("""
        - timeout: 10m
          do:
            - {id: inner, timeout: 1m, on_error: continue, do: [{wait: {for: 5m}}]}
            - {id: after, action: lab.note, with: {what: "{{ steps.inner.error.kind }}"}}
    """)
    assert played.sent == ["timeout"]
    assert played.seconds == 60


def test_a_wait_may_be_cut_short_by_its_own_timeout() -> None:
    """As any step that takes time."""
    played = play("- {id: long, wait: {for: 1h}, timeout: 1m}")
    assert played.error == ("long", "timeout")
    assert played.seconds == 60


def test_on_error_continue_leaves_the_step_failed_and_goes_on() -> None:
    """Its error can be read, and its output is the default."""
    played = play("""
        - id: a
          action: lab.look
          with: {what: x}
          on_error: continue
          default: {what: nothing, value: 5}
        - id: told
          action: lab.note
          with: {what: "{{ steps.a.status }} {{ steps.a.failed }} {{ steps.a.error.kind }} {{ steps.a.output.value }}"}
    """, given={"a": {"fails": "rejected"}})  # fmt: skip
    assert played.sent[-1] == "failed true rejected 5"
    assert not played.failed


def test_on_error_steps_see_the_error_and_the_run_goes_on_if_they_succeed() -> None:
    """The step stays failed."""
    played = play("""
        - id: a
          action: lab.look
          with: {what: x}
          on_error:
            - {id: told, action: lab.note, with: {what: "{{ steps.a.error.kind }}: {{ steps.a.error.message }}"}}
        - {id: after, action: lab.note, with: {what: "{{ steps.a.status }} {{ steps.told.status }}"}}
    """, given={"a": {"fails": "rejected"}})  # fmt: skip
    assert played.sent[1:] == ["rejected: the test says so", "failed succeeded"]


def test_on_error_steps_that_fail_end_the_run_with_their_own_failure() -> None:
    """Nobody has dealt with the first one."""
    played = play("""
        - id: a
          action: lab.look
          with: {what: x}
          on_error: [{id: told, action: lab.note, with: {what: y}}]
        - {id: after, action: lab.note, with: {what: z}}
    """, given={"a": {"fails": "rejected"}, "told": {"fails": "conflict"}})  # fmt: skip
    assert played.error == ("told", "conflict")
    assert played.statuses["a"] == "failed"
    assert played.statuses["after"] == "skipped"


def test_on_error_steps_that_were_not_needed_are_skipped() -> None:
    """They have a status all the same."""
    played = play("""
        - {id: a, action: lab.look, with: {what: x}, on_error: [{id: told, action: lab.note, with: {what: y}}]}
    """)
    assert played.statuses == {"a": "succeeded", "told": "skipped"}


def test_default_is_the_output_of_what_failed_was_skipped_or_was_not_reached() -> None:
    """Completed with what its model says by itself."""
    played = play("""
        - {id: failed, action: lab.look, with: {what: x}, on_error: continue, default: {what: f, value: 1}}
        - {id: skipped, when: 1 > 2, action: lab.look, with: {what: x}, default: {what: s, value: 2}}
        - if: 1 > 2
          then: [{id: not_reached, action: lab.look, with: {what: x}, default: {what: n}}]
        - id: cut
          on_error: continue
          do:
            - {id: bad, action: lab.look, with: {what: bad}}
            - {id: behind, action: lab.look, with: {what: x}, default: {what: b, value: 4}}
        - id: told
          action: lab.note
          with:
            what: >-
              {{ steps.failed.output.value }} {{ steps.skipped.output.value }} {{ steps.not_reached.output.value }}
              {{ steps.behind.output.value }} {{ steps.behind.output.names | length }}
    """,
        given={"failed": {"fails": "rejected"}, "bad": {"fails": "rejected"}})  # fmt: skip
    assert played.sent[-1] == "1 2 0 4 0"


def test_on_failure_sees_every_step_also_those_that_were_not_reached() -> None:
    """With their defaults."""
    played = play(
        """
        - {id: bad, action: lab.look, with: {what: x}}
        - {id: later, action: lab.look, with: {what: x}, default: {what: later, value: 3}}
        """,
        given={"bad": {"fails": "rejected"}},
        on_failure=[
            {"action": "lab.note", "with": {"what": "{{ steps.later.status }} {{ steps.later.output.value }}"}}
        ],
    )
    assert played.sent[-1] == "skipped 3"


def test_outputs_after_a_stop_have_the_defaults_of_what_was_not_reached() -> None:
    """A caller gets what the author promised."""
    played = play(
        """
        - {when: alert.severity == "medium", stop: success}
        - {id: later, action: lab.look, with: {what: x}, default: {what: later, value: 3}}
        """,
        outputs={"value": "{{ steps.later.output.value }}"},
    )
    assert played.result.outputs == {"value": 3}


def test_now_is_one_reading_for_a_step() -> None:
    """However often it is asked, and for whatever."""
    played = play("""
        - {wait: {for: 1m}}
        - {id: a, when: now(), action: lab.look, with: {what: "{{ now() }}", at: "{{ now() }}"}}
    """)
    (sent,) = played.world.attempts
    assert sent.parameters["what"].startswith("2026-05-06T10:01:00")
    assert sent.parameters["at"].startswith("2026-05-06T10:01:00")


def test_an_optional_action_and_its_like_are_passed_on_to_the_host() -> None:
    """Which knows the site."""
    played = play("""
        - id: a
          action: lab.hold
          with: {what: x}
          for: {value: 36 | hours, at_most: 1d}
          verify: wait
          optional: true
          unattended: true
          name: hold it
    """)
    (call,) = played.world.attempts
    assert (call.expires, call.verified, call.optional, call.unattended) == (86400, True, True, True)
    assert call.summary == "hold it"
    assert not call.keep


def test_a_computed_duration_that_is_none_fails_the_step() -> None:
    """Nothing is held for ever by mistake."""
    for value in ("alert.severity", "0 | hours", "5"):
        played = play(f"- {{id: a, action: lab.hold, with: {{what: x}}, for: {{value: {value}, at_most: 1d}}}}")
        assert played.error == ("a", "invalid")
        assert played.calls == []


def test_the_paths_of_steps_do_not_change_when_a_step_is_inserted_above() -> None:
    """They are made of ids, and of kinds and places among those of one kind where there is no id."""
    before = "- {id: a, action: lab.look, with: {what: x}}\n- {action: lab.note, with: {what: y}}\n"
    inserted = "- {id: new, action: lab.note, with: {what: z}}\n- {set: {v: 1}}\n"
    paths = [one.path for one in play(before).world.attempts]
    assert paths == [("a",), ("lab.note#1",)]
    assert [one.path for one in play(inserted + before).world.attempts][1:] == paths


def test_the_path_of_an_item_holds_its_index_and_a_hash_of_it() -> None:
    """So that a changed list gives no item the results of another."""
    steps = "- {id: l, for_each: {items: %s, steps: [{id: a, action: lab.look, with: {what: '{{ item }}'}}]}}"
    one, two = ([call.path for call in play(steps % items).world.attempts] for items in ("[x, y, z]", "[x, w, y]"))
    assert [path[0] for path in one] == ["l"] * 3
    assert one[0] == two[0]
    assert one[1][1].split(":")[0] == "1"
    assert len({path[1] for path in (*one, *two)}) == 5
