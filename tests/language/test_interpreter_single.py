"""Steps of their own: waiting, sub-playbooks, undoing; alerts that join, the case, and a run that somebody ends."""

from __future__ import annotations

from tests.language.playing import ALERT, play, playbook

HELPER = playbook(
    """
    - {id: look, action: lab.look, with: {what: "{{ inputs.address }}"}}
    - {id: held, action: lab.hold, with: {what: "{{ inputs.address }}"}, keep: true}
    """,
    name="helper",
    trigger={},
    inputs={"address": "address", "days": {"type": "number", "default": 3}},
    outputs={"same": '{{ inputs.address == "::ffff:203.0.113.7" }}', "days": "{{ inputs.days }}"},
)
USES = {"helper": HELPER}


def test_wait_for_a_time_and_until_a_moment() -> None:
    """A moment that has passed is now."""
    played = play("""
        - {wait: {for: 90m}}
        - {wait: {until: alert.time + (2 | hours)}}
        - {wait: {until: alert.time + (1 | hours)}}
        - {id: after, action: lab.note, with: {what: "{{ now() }}"}}
    """)
    assert played.sent[0].startswith("2026-05-06T12:00:00")


def test_a_moment_that_is_none_fails_the_wait() -> None:
    """Nobody waits for a text."""
    assert play("- {id: w, wait: {until: alert.title}}").error == ("w", "invalid")


def test_wait_for_an_alert_gives_the_first_that_fits() -> None:
    """Its output is that alert; severities compare by rank."""
    played = play("""
        - {id: worse, wait: {alert: joining.severity >= "high" and joining.source.ip == alert.source.ip, within: 1h}}
        - {id: told, action: lab.note, with: {what: "{{ steps.worse.output.id }} {{ steps.worse.output.severity }}"}}
    """, joins=[(60, {"severity": "low"}), (120, {"severity": "critical"}), (180, {"severity": "high"})])  # fmt: skip
    assert played.sent == ["3 critical"]
    assert played.seconds == 120


def test_none_in_time_is_expired_and_the_run_goes_on() -> None:
    """Without an output."""
    played = play("""
        - {id: worse, wait: {alert: joining.severity == "critical", within: 1h}}
        - {id: told, action: lab.note, with: {what: "{{ steps.worse.status }} {{ steps.worse.ok }}"}}
    """, joins=[(60, {"severity": "low"})])  # fmt: skip
    assert played.sent == ["expired false"]
    assert played.seconds == 3600


def test_an_alert_for_which_the_condition_of_a_wait_makes_no_sense_is_not_the_one_and_that_is_recorded() -> None:
    """The wait goes on."""
    played = play(
        "- {id: other, wait: {alert: joining.title > 5, within: 1h}}",
        joins=[(60, {"title": "again"})],
    )
    assert played.statuses["other"] == "expired"
    (decided,) = played.traces("other", "step.decided")
    assert decided["error"]["kind"] == "invalid"


def test_wait_looks_at_all_since_the_last_one_it_gave() -> None:
    """Those that came before it began to wait, and those that an earlier wait did not want; none is given twice."""
    played = play("""
        - {wait: {for: 10m}}
        - {id: one, wait: {alert: joining.severity == "high", within: 1m}}
        - {id: two, wait: {alert: joining.severity == "high", within: 1m}}
        - {id: none, wait: {alert: joining.severity == "critical", within: 1m}}
        - {id: three, wait: {alert: joining.severity == "low", within: 1m}}
        - id: told
          action: lab.note
          with: {what: "{{ steps.one.output.id }} {{ steps.two.output.id }} {{ steps.three.output.id }}"}
    """, joins=[(1, {"severity": "high"}), (2, {"severity": "high"}), (3, {"severity": "low"})])  # fmt: skip
    assert played.sent == ["2 3 4"]
    assert played.statuses["none"] == "expired"
    assert played.seconds == 660


def test_two_waits_side_by_side_do_not_take_alerts_from_one_another() -> None:
    """Each gets the one that it waits for, in whatever order they come."""
    played = play("""
        - parallel:
            - {id: low, wait: {alert: joining.severity == "low", within: 1h}}
            - {id: high, wait: {alert: joining.severity == "high", within: 1h}}
    """, joins=[(60, {"severity": "high"}), (60, {"severity": "low"})])  # fmt: skip
    assert played.statuses["low"] == played.statuses["high"] == "succeeded"
    assert played.seconds == 60


def test_joined_is_what_came_since_and_severity_the_highest_so_far() -> None:
    """A snapshot at the start of a step; `alert` stays the first."""
    played = play("""
        - {id: before, action: lab.note, with: {what: "{{ joined | length }} {{ joined_count }} {{ run.severity }}"}}
        - {wait: {for: 1h}}
        - id: after
          action: lab.note
          with: {what: "{{ joined[0].severity }} {{ joined_count }} {{ run.severity }} {{ alert.severity }}"}
        - id: typed
          when: run.severity > "high" and joined[1].severity < "medium"
          action: lab.note
          with: {what: x}
    """, joins=[(5, {"severity": "critical"}), (9, {"severity": "low"})])  # fmt: skip
    assert played.sent == ["0 0 medium", "critical 2 critical medium", "x"]


def test_run_case_is_the_alerts_own_or_the_first_ticket() -> None:
    """Which is opened once and not replaced by a second one."""
    steps = """
        - {id: none, action: lab.note, with: {what: "{{ run.case | default('none') }}"}}
        - {id: one, action: ticket.open, with: {title: one}}
        - {id: two, action: ticket.open, with: {title: two}}
        - {id: told, action: lab.note, with: {what: "{{ run.case }}"}}
    """
    given = {"one": {"id": "T-1"}, "two": {"id": "T-2"}}
    played = play(steps, given=given)
    assert [call.parameters.get("what") for call in played.world.calls] == ["none", None, None, "T-1"]
    known = play(steps, given=given, alert=ALERT.model_copy(update={"case": "C-9"}))
    assert [call.parameters.get("what") for call in known.world.calls] == ["C-9", None, None, "C-9"]


def test_a_sub_playbook_gets_typed_inputs_and_gives_outputs() -> None:
    """Defaults are put in; an address is one in any spelling."""
    played = play("""
        - {id: sub, playbook: helper, with: {address: "{{ alert.source.ip }}"}}
        - {id: told, action: lab.note, with: {what: "{{ steps.sub.output.same }} {{ steps.sub.output.days }}"}}
    """, uses=USES)  # fmt: skip
    assert played.sent == ["203.0.113.7", "203.0.113.7", "true 3"]
    assert played.calls == ["sub.look", "sub.held", "told"]


def test_the_failure_of_a_sub_playbook_is_that_of_the_step() -> None:
    """With its kind; so are inputs that do not fit."""
    steps = "- {id: sub, playbook: helper, with: {address: %s}}"
    assert play(steps % "203.0.113.7", uses=USES, given={"look": {"fails": "rejected"}}).error == ("sub", "rejected")
    assert play(steps % "nonsense", uses=USES).error == ("sub", "invalid")


def test_a_detached_sub_playbook_is_not_waited_for() -> None:
    """Its output is the default, and its failure is its own."""
    slow = playbook("- {wait: {for: 1h}}\n- {id: bad, stop: failure}", name="slow", trigger={})
    played = play("- {id: sub, playbook: slow, detach: true}", uses={"slow": slow})
    assert (played.statuses, played.seconds) == ({"sub": "succeeded"}, 0)


def test_a_sub_playbook_that_is_cut_short_ends_first() -> None:
    """Its own `on_failure` runs before its caller goes on."""
    waits = playbook(
        "- {wait: {for: 1h}}",
        name="waits",
        trigger={},
        on_failure=[{"id": "sorry", "action": "lab.note", "with": {"what": "{{ run.error.kind }}"}}],
    )
    played = play("""
        - id: group
          timeout: 1m
          on_error: continue
          parallel:
            - {id: sub, playbook: waits}
            - {wait: {for: 30s}}
        - {id: after, action: lab.note, with: {what: "{{ steps.group.error.kind }}"}}
    """, uses={"waits": waits})  # fmt: skip
    assert played.sent == ["refused_by_policy", "timeout"]
    assert played.seconds == 60


def test_undo_releases_what_these_steps_hold_in_reverse() -> None:
    """Also of each item of a loop; what others hold stays, and nothing is undone twice."""
    played = play("""
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: two, action: lab.hold, with: {what: b}, for: 1d}
        - for_each: {items: [x, y], steps: [{id: each, action: lab.hold, with: {what: "{{ item }}"}, keep: true}]}
        - {undo: [one, each]}
        - {undo: [one]}
    """)
    assert played.undone == ["each", "each", "one"]


def test_an_undo_inside_a_loop_means_the_steps_of_its_own_item() -> None:
    """What the other items did stays as it is, whichever of them ran before."""
    played = play("""
        - for_each:
            items: [x, y, z]
            steps:
              - {id: held, action: lab.hold, with: {what: "{{ item }}"}, keep: true}
              - {when: item == "y", undo: [held]}
    """)
    assert played.undone == ["held"]


def test_an_effect_that_two_steps_hold_ends_with_the_last_of_them() -> None:
    """Two steps of one run on the same target are one effect."""
    played = play("""
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: two, action: lab.hold, with: {what: a}, keep: true}
        - {undo: [one]}
        - {id: told, action: lab.note, with: {what: x}}
        - {undo: [two]}
    """)
    assert played.undone == ["one", "two"]
    still = play("""
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: two, action: lab.hold, with: {what: a}, keep: true}
        - {undo: [one]}
    """)
    assert still.undone == []


def test_an_undo_that_fails_is_a_failure() -> None:
    """The others are undone all the same."""
    played = play("""
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: two, action: lab.hold, with: {what: b}, keep: true}
        - {id: back, undo: [one, two]}
    """, given={"lab.release": [{"fails": "unavailable"}, {}]})  # fmt: skip
    assert played.error == ("back", "unavailable")
    assert played.undone == ["one"]


def test_undo_on_failure_takes_back_all_before_on_failure_runs() -> None:
    """What was undone by then already is not undone again; what failed has nothing to undo."""
    played = play(
        """
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: two, action: lab.hold, with: {what: b}, keep: true}
        - {id: three, action: lab.hold, with: {what: c}, keep: true}
        - {undo: [two]}
        - {id: bad, action: lab.hold, with: {what: d}, keep: true}
        """,
        given={"bad": {"fails": "rejected"}},
        undo_on_failure=True,
        on_failure=[{"id": "told", "action": "lab.note", "with": {"what": "{{ run.failed_step }}"}}],
    )
    assert played.undone == ["two", "three", "one"]
    assert played.error == ("bad", "rejected")
    assert played.calls[-1] == "told"


HOLDS = """
    - {id: first, action: lab.hold, with: {what: "{{ inputs.what }} first"}, keep: true}
    - {id: one, action: lab.hold, with: {what: "{{ inputs.what }} one"}, keep: true}
"""
HOLDER = playbook(HOLDS, name="holder", trigger={}, inputs={"what": "text"})
MIDDLE = playbook(
    "- {id: deeper, playbook: holder, with: {what: '{{ inputs.what }}'}}",
    name="middle",
    trigger={},
    inputs={"what": "text"},
    uses={"holder": HOLDER},
)
HOLDERS = {"holder": HOLDER, "middle": MIDDLE}


def test_what_a_sub_playbook_did_is_undone_with_what_its_caller_did() -> None:
    """In one order, however deep; what a detached one did is its own."""
    played = play(
        """
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: sub, playbook: middle, with: {what: b}}
        - {id: two, action: lab.hold, with: {what: c}, keep: true}
        - {id: away, playbook: holder, detach: true, with: {what: d}}
        - {wait: {for: 1m}}
        - {id: bad, stop: failure}
        """,
        uses=HOLDERS,
        undo_on_failure=True,
    )
    assert played.undone == ["two", "one", "first", "one"]
    assert [hold.parameters.what for hold in played.world.effects.holds] == ["d first", "d one"]


def test_undo_of_a_step_that_called_a_playbook_undoes_what_that_did() -> None:
    """Its steps' ids are its own: they mean nothing to its caller. In a loop, of the same item."""
    played = play(
        """
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - {id: sub, playbook: holder, with: {what: b}}
        - {undo: [one]}
        - {undo: [sub]}
        """,
        uses=HOLDERS,
    )
    assert [hold.names[0] for hold in played.world.effects.undone] == ["one", "sub.one", "sub.first"]
    looped = play(
        """
        - for_each:
            items: [x, y]
            steps:
              - {id: sub, playbook: middle, with: {what: "{{ item }}"}}
              - {when: item == "y", undo: [sub]}
        """,
        uses=HOLDERS,
    )
    assert [hold.parameters.what for hold in looped.world.effects.undone] == ["y one", "y first"]


def test_an_effect_ends_by_itself_in_time() -> None:
    """Then there is nothing left to undo."""
    played = play("""
        - {id: short, action: lab.hold, with: {what: a}, for: 1h}
        - {id: long, action: lab.hold, with: {what: b}, for: 1d}
        - {wait: {for: 2h}}
        - {undo: [short, long]}
    """)
    assert played.undone == ["short", "long"]


def test_on_failure_runs_once_and_cannot_rescue_the_run() -> None:
    """Also where it fails itself."""
    for given in ({}, {"told": {"fails": "rejected"}}):
        played = play(
            "- {id: bad, action: lab.note, with: {what: x}}",
            given={"bad": {"fails": "conflict"}, **given},
            on_failure=[{"id": "told", "action": "lab.note", "with": {"what": "y"}}],
        )
        assert played.error == ("bad", "conflict")
        assert played.calls == ["bad", "told"]


def test_a_stop_in_on_failure_ends_it() -> None:
    """The run has failed already."""
    played = play(
        "- {id: bad, stop: failure, message: first}",
        on_failure=[{"id": "end", "stop": "success"}, {"action": "lab.note", "with": {"what": "y"}}],
    )
    assert played.error == ("bad", "rejected")
    assert played.calls == []


def test_somebody_who_ends_the_run_ends_it_where_it_stands() -> None:
    """Calls under way settle, nothing more is sent, what was done is undone, and `on_failure` runs."""
    played = play(
        """
        - {id: one, action: lab.hold, with: {what: a}, keep: true}
        - parallel:
            - {id: slow, action: lab.note, with: {what: slow}}
            - do: [{wait: {for: 1h}}, {id: never, action: lab.note, with: {what: never}}]
        - {id: after, action: lab.note, with: {what: after}}
        """,
        takes={"slow": 60},
        cancelled_after=10,
        undo_on_failure=True,
        on_failure=[{"id": "told", "action": "lab.note", "with": {"what": "{{ run.error.message }}"}}],
    )
    assert played.calls == ["one", "slow", "told"]
    assert played.sent[-1] == "the run was cancelled"
    assert played.undone == ["one"]
    assert played.seconds == 60
    assert played.result.error is not None
    assert played.result.error.kind == "refused_by_policy"
