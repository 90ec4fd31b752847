"""Approvals: which steps an answer decides about, wherever the approval stands."""

from __future__ import annotations

from tests.language.playing import play

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


def test_an_approval_before_a_loop_covers_each_of_its_items() -> None:
    """Asked once."""
    played = play("""
        - {id: sure, approval: {ask: "All?", covers: [burn]}}
        - for_each:
            items: ["a", "b"]
            steps: [{id: burn, action: lab.burn, with: {what: "{{ item }}"}}]
    """, answers={"sure": "approve"})  # fmt: skip
    assert (played.asked, played.sent) == (["sure"], ["a", "b"])
