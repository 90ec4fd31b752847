"""What a run passes on: outputs to who called it, and all that is behind it to a new execution."""

from __future__ import annotations

from orchestrator.language.interpreter import Progress
from orchestrator.language.packing import packer_for
from orchestrator.workflow.squeezed import squeeze, unsqueeze
from tests.language.playing import CAPABILITIES, START, play


def test_outputs_that_temporal_would_not_take_fail_the_run() -> None:
    """Where it can still be told: `on_failure` runs, and the end is recorded."""
    played = play("""
        - {id: done, action: lab.note, with: {what: a}}
    """, outputs={"all": ["x" * 16_000] * 70},
        on_failure=[{"id": "told", "action": "lab.note", "with": {"what": "{{ run.error.message }}"}}])  # fmt: skip
    assert played.error == ("outputs", "invalid")
    assert played.sent == ["a", "1120219 bytes, and 1000000 can be passed on between runs"]


def test_all_that_steps_can_give_survives_the_way_to_a_new_execution() -> None:
    """Also the counts of a loop, the answers of all integrations, and whatever an author's text may hold."""
    packer = packer_for(CAPABILITIES)
    played = play("""
        - {id: loop, for_each: {items: ["a"], steps: [{id: each, action: lab.look, with: {what: "{{ item }}"}}]}}
        - {id: every, action: lab.look, with: {what: b}, all_routes: true}
    """)
    progress, now = played.run.progress, START
    progress.marks["x",] = ["\ud800", 2**80]
    again = Progress.unpack(unsqueeze(squeeze(progress.pack(packer, now))), packer)
    assert again.ended == progress.ended
    assert again.marks == progress.marks
