"""Approvals and questions: what is shown, who answers, and what the answer means for later steps."""

from __future__ import annotations

import pytest

from orchestrator.language.host import ApprovalRequest
from tests.language.playing import Played, play

ASKED = """
- {id: sure, approval: {ask: "Hold {{ alert.source.ip }}?", covers: [held], within: 1h %s}}
- {id: held, action: lab.hold, with: {what: "{{ alert.source.ip }}"}, for: 1d, default: {what: none}}
- {id: after, action: lab.note, with: {what: "{{ steps.sure.status }} {{ steps.held.status }}"}}
"""


def shown(played: Played) -> list[ApprovalRequest]:
    """What was on the cards."""
    return played.world.cards


@pytest.mark.parametrize(
    ("answer", "more", "told"),
    [
        ("approve", "", "succeeded succeeded"),
        ("deny", "", "denied skipped"),
        ("expire", "", "expired skipped"),
        ("expire", ", otherwise: deny", "expired skipped"),
        ("expire", ", otherwise: approve", "succeeded succeeded"),
    ],
)
def test_what_it_covers_runs_only_where_people_say_so(answer: str, more: str, told: str) -> None:
    """Denied or expired: it is skipped and the run goes on; `otherwise` is what silence means."""
    played = play(ASKED % more, answers={"sure": answer})
    assert played.sent[-1] == told
    assert played.asked == ["sure"]
    assert played.seconds == (3600 if answer == "expire" else 0)


def test_silence_may_fail_the_step() -> None:
    """What it covers is skipped then, whatever `on_error` makes of the failure."""
    played = play(ASKED % ", otherwise: fail", answers={"sure": "expire"})
    assert played.error == ("sure", "refused_by_policy")
    tolerant = (ASKED % ", otherwise: fail").replace("- {id: sure,", "- {id: sure, on_error: continue,")
    assert play(tolerant, answers={"sure": "expire"}).sent == ["failed skipped"]


def test_an_approval_that_is_skipped_skips_what_it_covers() -> None:
    """Nobody was asked, so nothing is sent."""
    played = play((ASKED % "").replace("- {id: sure,", "- {id: sure, when: 1 > 2,"))
    assert played.sent == ["skipped skipped"]
    assert played.asked == []


def test_a_covered_step_that_was_skipped_has_its_default() -> None:
    """As any step that was skipped."""
    played = play(ASKED % "", answers={"sure": "deny"})
    assert played.steps["held"]["output"]["what"] == "none"


def test_the_answer_can_be_read() -> None:
    """Who, when, how far that is known, and whether anybody was asked."""
    played = play(ASKED % "", answers={"sure": "approve"})
    output = played.steps["sure"]["output"]
    assert (output["by"], output["trust"], output["auto"]) == ("somebody", "unverified", False)
    assert output["at"].isoformat() == "2026-05-06T10:00:00+00:00"


def test_auto_is_the_only_way_to_pass_without_a_person() -> None:
    """Where it holds nobody is asked; where it does not, or cannot be evaluated, somebody is."""
    played = play(ASKED % ', auto: alert.severity == "medium"')
    assert (played.sent[-1], played.asked) == ("succeeded succeeded", [])
    assert played.steps["sure"]["output"]["auto"] is True
    for auto in ('alert.severity == "high"', "alert.severity > 5", "alert.user.name"):
        played = play(ASKED % f", auto: '{auto}'", answers={"sure": "deny"})
        assert played.asked == ["sure"]


def test_the_card_lists_every_rendered_request_also_of_a_later_loop() -> None:
    """In the order of the list; what is sent later is exactly what was shown, whatever the clock says by then."""
    played = play("""
        - {id: look, action: lab.look, with: {what: x}}
        - id: sure
          approval: {ask: "All?", covers: [held, each_held], within: 2h}
        - {wait: {for: 1h}}
        - {id: held, action: lab.hold, with: {what: first, at: "{{ now() }}"}, keep: true}
        - id: each
          for_each:
            items: steps.look.output.names
            as: name
            concurrency: 2
            steps:
              - {wait: {for: 1m}}
              - do:
                - id: each_held
                  unless: name == "b"
                  action: lab.hold
                  with: {what: "{{ name }}", at: "{{ now() }}"}
                  keep: true
    """, given={"look": {"names": ["a", "b", "c"]}}, answers={"sure": "approve"})  # fmt: skip
    (card,) = shown(played)
    assert [call.parameters["what"] for call in card.calls] == ["first", "a", "c"]
    sent = [one for one in played.world.attempts if one.action == "lab.hold"]
    assert [one.parameters for one in sent] == [one.parameters for one in card.calls]
    assert [one.path for one in sent] == [one.path for one in card.calls]
    assert {one.parameters["at"] for one in sent} == {"2026-05-06T10:00:00Z"}
    assert len({one.approval for one in sent}) == 1


def test_a_step_that_would_not_run_is_not_shown_and_does_not_run() -> None:
    """Its condition is decided when people are asked, though it would hold later."""
    played = play("""
        - set: {go: 0}
        - {id: sure, approval: {ask: "All?", covers: [one, two]}}
        - set: {go: 1}
        - {id: one, action: lab.hold, with: {what: one}, keep: true}
        - {id: two, when: vars.go == 1, action: lab.hold, with: {what: two}, keep: true}
    """, answers={"sure": "approve"})  # fmt: skip
    assert [call.parameters["what"] for call in shown(played)[0].calls] == ["one"]
    assert played.calls == ["one"]
    assert played.traces("two") == [
        {"status": "skipped", "when": {"condition": "vars.go == 1", "holds": False, "values": {"vars.go": 0}}}
    ]


def test_nobody_is_asked_where_none_of_the_steps_would_run() -> None:
    """The approval is skipped."""
    played = play("""
        - {id: sure, approval: {ask: "Hold?", covers: [held]}}
        - {id: held, when: 1 > 2, action: lab.hold, with: {what: x}, keep: true}
    """)
    assert played.asked == []
    assert played.statuses == {"sure": "skipped", "held": "skipped"}


def test_what_was_not_shown_is_not_sent() -> None:
    """A list that has grown since people were asked: the new items are skipped."""
    played = play("""
        - set: {names: [a]}
        - {id: sure, approval: {ask: "All?", covers: [held]}}
        - set: {names: [a, b]}
        - for_each:
            items: vars.names
            steps: [{id: held, action: lab.hold, with: {what: "{{ item }}"}, keep: true}]
    """, answers={"sure": "approve"})  # fmt: skip
    assert played.sent == ["a"]
    assert played.traces("held")[-1]["approval"] == "what it would do here was not shown"


EACH = """
- id: loop
  for_each:
    items: ["a", "b", "c"]
    concurrency: {concurrency}
    steps:
      - {{id: sure, approval: {{ask: "{{{{ item }}}}?", covers: [burn]}}}}
      - wait: {{for: 5s}}
      - {{id: burn, action: lab.burn, with: {{what: "{{{{ item }}}}"}}}}
"""


def test_an_approval_in_an_item_decides_about_that_item_alone() -> None:
    """A denial of one item holds nothing else back, and an approval of one lets no other pass."""
    answers = {"loop[0].sure": "approve", "loop[1].sure": "deny", "loop[2].sure": "approve"}
    for concurrency in (1, 3):
        played = play(EACH.format(concurrency=concurrency), answers=answers)
        assert played.sent == ["a", "c"]
        assert len(played.asked) == 3


def test_an_approval_in_a_turn_decides_about_that_turn() -> None:
    """And shows what that turn sends."""
    played = play("""
        - repeat:
            until: loop.index == 2
            times: 3
            every: 1s
            steps:
              - {id: sure, approval: {ask: "Sure?", covers: [burn]}}
              - {id: burn, action: lab.burn, with: {what: "turn {{ loop.index }}"}}
    """, answers={"sure": "approve"})  # fmt: skip
    assert played.sent == ["turn 1", "turn 2"]


def test_an_approval_in_a_branch_covers_what_follows_in_it_however_the_branch_was_chosen() -> None:
    """The choice was made before: that its condition does not hold any more changes nothing."""
    played = play("""
        - set: {open: true}
        - if: vars.open
          then:
            - set: {open: false}
            - {id: sure, approval: {ask: "Sure?", covers: [burn]}}
            - {id: burn, action: lab.burn, with: {what: a}}
    """, answers={"sure": "approve"})  # fmt: skip
    assert played.sent == ["a"]


def test_an_approval_among_the_steps_after_an_error_covers_what_follows_there() -> None:
    """It is asked, and what it approves is sent; of an item too."""
    handler = """
            - {id: sure, approval: {ask: "Sure?", covers: [burn]}}
            - {id: burn, action: lab.burn, with: {what: a}}"""
    for steps in (
        f"""
        - id: failing
          action: lab.note
          with: {{what: x}}
          on_error: {handler}
        """,
        f"""
        - id: group
          do: [{{id: failing, action: lab.note, with: {{what: x}}}}]
          on_error: {handler}
        """,
        f"""
        - id: loop
          for_each: {{items: ["i"], steps: [{{id: failing, action: lab.note, with: {{what: x}}}}]}}
          on_error: {handler}
        """,
    ):
        played = play(steps, answers={"sure": "approve"}, given={"failing": {"fails": "rejected"}})
        assert [one.rpartition(".")[2] for one in played.asked] == ["sure"]
        assert played.sent[-1] == "a"


def test_an_approval_in_on_failure_asks_about_what_comes_later_there() -> None:
    """Where the run has failed already."""
    played = play(
        "- {id: bad, stop: failure}",
        answers={"sure": "approve"},
        on_failure=[
            {"id": "sure", "approval": {"ask": "Burn?", "covers": ["burnt"]}},
            {"id": "burnt", "action": "lab.burn", "with": {"what": "x"}},
        ],
    )
    assert played.calls == ["burnt"]


def test_what_does_not_come_later_cannot_be_asked_about() -> None:
    """A step of a branch beside it, or before it."""
    played = play("""
        - {id: held, action: lab.hold, with: {what: x}, keep: true}
        - {id: sure, approval: {ask: "Hold?", covers: [held]}}
    """)
    assert played.error == ("sure", "invalid")
    assert played.calls == []


def test_a_question_shows_what_people_need_and_until_when() -> None:
    """Deadline, reminders, who may answer too after a while; rendered."""
    played = play("""
        - id: sure
          approval:
            ask: "{{ alert.title }}?"
            covers: [held]
            by: {group: soc, count: 2, user: "{{ alert.source.ip }}"}
            within: 30m
            remind: 10m
            escalate: {after: 20m, group: leads}
        - {id: held, action: lab.hold, with: {what: x}, keep: true}
    """, answers={"sure": "approve"})  # fmt: skip
    (card,) = shown(played)
    assert (card.ask, card.group, card.user, card.count) == ("something happened?", "soc", "203.0.113.7", 2)
    assert card.deadline is not None
    assert card.deadline.isoformat() == "2026-05-06T10:30:00+00:00"
    assert card.remind == 600
    assert card.escalate is not None
    assert (card.escalate.at.minute, card.escalate.group) == (20, "leads")


def test_an_ask_gives_its_fields_typed_and_a_branch_follows() -> None:
    """An account is one in any spelling; a choice one of its words."""
    played = play("""
        - id: verdict
          ask:
            text: What is it?
            fields:
              is: [bad, good]
              who: account
              hosts: {list: host, optional: true}
              sure: {type: number, default: 5}
        - switch: steps.verdict.output.is
          cases:
            bad:
              - id: bad
                when: steps.verdict.output.who == "ANN"
                action: lab.note
                with: {what: "{{ steps.verdict.output.sure }} {{ steps.verdict.output.by }}"}
            good: [{id: good, action: lab.note, with: {what: good}}]
    """, answers={"verdict": {"is": "bad", "who": " Ann"}})  # fmt: skip
    assert played.sent == ["5 somebody"]
    assert played.statuses["good"] == "skipped"


def test_silence_of_an_ask_fails_or_is_an_answer() -> None:
    """As `otherwise` says; `trust` tells that nobody spoke."""
    ask = """
        - {id: done, ask: {text: Do it, fields: {how: text}, within: 2h %s}}
        - {id: told, action: lab.note, with: {what: "{{ steps.done.output.how }} {{ steps.done.output.trust }}"}}
    """
    assert play(ask % "", answers={"done": "expire"}).error == ("done", "timeout")
    played = play(ask % ", otherwise: {how: alone}", answers={"done": "expire"})
    assert played.sent == ["alone silence"]
    assert played.seconds == 7200


def test_a_shadow_asks_nobody_and_goes_on() -> None:
    """Approvals are shown and count as given, an ask gives what silence means or the least answer; nothing is sent."""
    played = play("""
        - {id: sure, approval: {ask: "Hold?", covers: [held]}}
        - {id: held, action: lab.hold, with: {what: x}, for: 1h}
        - {id: one, ask: {text: One?, fields: {is: [bad, good]}, otherwise: {is: good}}}
        - {id: two, ask: {text: Two?, fields: {is: [bad, good], ip: address}}}
        - id: look
          action: lab.look
          with: {what: "{{ steps.one.output.is }} {{ steps.two.output.is }} {{ steps.held.output.what }}"}
        - id: told
          action: lab.note
          with: {what: "{{ steps.held.status }} {{ steps.held.ok }} {{ steps.look.status }}"}
    """, mode="shadow")  # fmt: skip
    assert played.asked == ["sure", "one", "two"]
    assert played.sent == ["x", "good bad x", "shadowed true succeeded"]
    assert played.statuses["told"] == "shadowed"
    assert played.seconds == 0


def test_a_question_that_is_cut_short_is_no_longer_waited_for() -> None:
    """What it stands in had to end."""
    played = play("""
        - id: group
          on_error: continue
          parallel:
            - {id: asked, ask: {text: Anybody?, within: 1d}}
            - do: [{wait: {for: 5m}}, {id: bad, action: lab.note, with: {what: x}}]
          fail_fast: true
        - {id: after, action: lab.note, with: {what: "{{ steps.asked.status }}"}}
    """, answers={"asked": "expire"}, given={"bad": {"fails": "rejected"}})  # fmt: skip
    assert played.sent[-1] == "failed"
    assert played.seconds == 300
