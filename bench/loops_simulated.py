"""How a `for_each` grows with its items in simulation: `python -m bench.loops_simulated [most items]`.

Each item is three steps: a read, a condition over it, and a note. Linear time means that the microseconds an item stay
what they are; `carried` are the bytes that the run would take along if it went on elsewhere at its last item.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from orchestrator.language.host import ActionCall, ActionOutcome, Trace
from orchestrator.language.interpreter import Run, RunResult, begin, carry_out
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.clock import in_virtual_time
from tests.language.playing import CAPABILITIES, Happening, LabHost, host_of, playbook, world_of

SIZES = (10, 100, 1_000, 5_000)
CONCURRENCIES = (1, 20)
STEPS = 4
"""of each item, the branch that it takes counted"""
LOOP = """
- id: loop
  for_each:
    items: inputs.items
    concurrency: %d
    collect: {item: "{{ item }}", value: "{{ steps.look.output.value }}"}
    steps:
      - {id: look, action: lab.look, with: {what: "{{ item }}"}}
      - if: steps.look.output.value == 0
        then: [{id: note, action: lab.note, with: {what: "{{ item }} of {{ loop.length }}"}}]
      - set: {seen: "{{ item }}"}
"""


class CarryingHost(LabHost):
    """Says what the run would take along when its last call is made."""

    run: Run
    last = 0
    carried = 0

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        """Answer, and weigh at the last call."""
        if len(self.world.attempts) == self.last - 1:
            self.carried = len(json.dumps(self.run.progress.pack(self.run.packer)))
        return await super().act(call, traces)


def measured(size: int, concurrency: int) -> tuple[float, int]:
    """CPU seconds of a run over so many items, and the bytes that it would take along at the end."""
    played = playbook(LOOP % concurrency, inputs={"items": {"list": "text"}})
    happening = Happening(inputs={"items": [f"item {number}" for number in range(size)]})
    before = time.process_time()
    result, host = in_virtual_time(_carried_out(played, happening, 2 * size))
    seconds = time.process_time() - before
    assert result.error is None, result.error
    assert len(host.world.calls) == 2 * size, "an item was done twice, or not at all"
    return seconds, host.carried


async def _carried_out(played: Playbook, happening: Happening, calls: int) -> tuple[RunResult, CarryingHost]:
    host = host_of(played, world_of(happening), happening, CarryingHost)
    host.run = begin(played, host, CAPABILITIES, inputs=happening.inputs, site=happening.site)
    host.last = calls
    return await carry_out(host.run), host


def main(sizes: Sequence[int]) -> None:
    """Print a line for each size."""
    measured(10, 1)  # compiles what is compiled once
    print(f"{'items':>6} {'at a time':>9} {'CPU s':>8} {'us an item':>10} {'steps/s':>8} {'carried':>9}")  # noqa: T201
    for concurrency in CONCURRENCIES:
        for size in sizes:
            seconds, carried = measured(size, concurrency)
            each, speed = 1_000_000 * seconds / size, STEPS * size / seconds
            print(f"{size:>6} {concurrency:>9} {seconds:>8.2f} {each:>10.0f} {speed:>8.0f} {carried:>9}")  # noqa: T201


if __name__ == "__main__":
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    main([size for size in SIZES if size <= most])
