"""A run that is interrupted anywhere and goes on elsewhere does what it would have done, each thing once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.language.host import (
    ActionCall,
    ActionOutcome,
    Answered,
    ApprovalRequest,
    AskRequest,
    Decision,
    SubCall,
    SubOutcome,
    Trace,
    UndoCall,
    UndoOutcome,
)
from orchestrator.language.interpreter import Progress, RunResult, begin, carry_out
from orchestrator.language.interpreter.scope import Budget, Path
from orchestrator.language.packing import packer_for
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.clock import in_virtual_time
from orchestrator.language.yaml_reader import read_yaml
from tests.language.playing import (
    CAPABILITIES,
    START,
    Happening,
    LabHost,
    LabWorld,
    another_alert,
    host_of,
    playbook,
    world_of,
)

PACKER = packer_for(CAPABILITIES)
NEVER = 10**9


@dataclass
class Said(LabWorld):
    """A world that remembers all that was done, and what people were shown; alerts join whichever host is there now."""

    said: list[tuple[Any, ...]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    here: PausingHost | None = None

    async def alerts_join(self, joins: Sequence[tuple[float, Mapping[str, Any]]]) -> None:
        for number, (after, own) in enumerate(joins, 2):
            await asyncio.sleep(after - (self.now() - self.start).total_seconds())
            assert self.here is not None
            self.here.join(another_alert(number, own))


class PausingHost(LabHost):
    """Lets so many things begin, and nothing more: what is under way goes on to its end."""

    world: Said
    begun = 0
    most = NEVER
    pausing: asyncio.Event

    def begin(self, most: int) -> None:
        """Here the run goes on, with the alerts that have joined it."""
        self.most, self.pausing = most, asyncio.Event()
        if self.world.here is not None:
            before = self.world.here
            self._joined, self._snapshot, self._severity = before._joined, before._snapshot, before._severity
        self.world.here = self

    async def ready(self) -> None:
        self.begun += 1
        if self.begun > self.most:
            self.pausing.set()
            await asyncio.Event().wait()

    async def act(self, call: ActionCall, traces: tuple[Trace, ...]) -> ActionOutcome:
        outcome = await super().act(call, traces)
        self.world.said.append(("act", call.path, call.attempt, call.parameters, str(outcome.status)))
        return outcome

    async def undo(self, call: UndoCall, traces: tuple[Trace, ...]) -> UndoOutcome:
        self.world.said.append(("undo", call.path, 1, call.steps, ""))
        return await super().undo(call, traces)

    async def ask(self, request: ApprovalRequest, traces: tuple[Trace, ...]) -> Decision:
        self.world.shown.append(request.model_dump_json())
        await asyncio.sleep(self.takes.get(request.step, 0.0))
        decision = await super().ask(request, traces)
        self.world.said.append(("ask", request.path, 1, request.ask, str(decision.status)))
        return decision

    async def question(self, request: AskRequest, traces: tuple[Trace, ...]) -> Answered:
        self.world.shown.append(request.model_dump_json())
        await asyncio.sleep(self.takes.get(request.step, 0.0))
        answered = await super().question(request, traces)
        self.world.said.append(("question", request.path, 1, request.ask, answered.fields))
        return answered

    async def call(self, call: SubCall, traces: tuple[Trace, ...]) -> SubOutcome:
        self.in_flight += 1
        try:
            outcome = await super().call(call, traces)
        finally:
            self.in_flight -= 1
        self.world.said.append(("call", call.path, 1, call.inputs, outcome.outputs))
        return outcome


@dataclass
class Outcome:
    """What can be told of a run from outside."""

    said: list[str]
    shown: list[str]
    status: str
    failed: tuple[str | None, str]
    outputs: dict[str, Any]
    steps: dict[str, str]
    undone: list[str]
    told: list[str]
    begun: int
    executions: int
    largest: int = 0


def outcome_of(world: Said, result: RunResult, begun: int, sizes: list[int]) -> Outcome:
    error = result.error
    return Outcome(
        said=sorted(map(repr, world.said)),
        shown=sorted(set(world.shown)),
        status=str(result.status),
        failed=(result.failed_step, f"{error.kind}: {error.message}" if error else ""),
        outputs=result.outputs,
        steps={name: str(status) for name, status in result.steps.items()},
        undone=sorted(hold.path[-1] for hold in world.effects.undone),
        told=sorted(f"{one.path} {one.step} {one.type} {one.body.get('status')}" for one in world.traces),
        begun=begun,
        executions=len(sizes) + 1,
        largest=max(sizes, default=0),
    )


def carried(played: Playbook, happening: Happening, *steps: int) -> Outcome:
    """The outcome of a run that is interrupted after so many beginnings, again and again; the last for ever."""
    return in_virtual_time(_carried(played, happening, steps or (NEVER,)))


async def _carried(played: Playbook, happening: Happening, steps: tuple[int, ...]) -> Outcome:
    plain = world_of(happening)
    world = Said(plain.test, plain.capabilities, plain.start, plain.site)
    packed: dict[str, Any] | None = None
    sizes: list[int] = []
    begun = 0
    arrivals = asyncio.ensure_future(world.alerts_join(happening.joins))
    while True:
        host = host_of(played, world, happening, PausingHost)
        host.begin(steps[min(len(sizes), len(steps) - 1)])
        progress = Progress.unpack(json.loads(json.dumps(packed)), PACKER) if packed is not None else None
        run = begin(
            played, host, CAPABILITIES, alert=happening.alert, inputs=happening.inputs, site=happening.site,
            progress=progress,
        )  # fmt: skip
        work = asyncio.ensure_future(carry_out(run))
        pausing = asyncio.ensure_future(host.pausing.wait())
        await asyncio.wait((work, pausing), return_when=asyncio.FIRST_COMPLETED)
        await _settled(host, work)
        begun += min(host.begun, host.most)
        if work.done():
            world.traces += work.result().traces
            await _thrown_away(())
            return outcome_of(world, work.result(), begun, sizes)
        packed = run.progress.pack(PACKER, host.now())
        sizes.append(len(json.dumps(packed)))
        await _thrown_away((arrivals,))


async def _settled(host: PausingHost, work: asyncio.Future[RunResult]) -> None:
    """Wait until nothing is under way, and everybody has heard of it."""
    while not work.done():
        for _ in range(30):
            await asyncio.sleep(0)
        if not host.in_flight:
            return
        await asyncio.sleep(0.25)


async def _thrown_away(kept: Sequence[asyncio.Future[Any]]) -> None:
    """The execution is gone, with all its tasks."""
    gone = asyncio.all_tasks() - {asyncio.current_task(), *kept}
    for task in gone:
        task.cancel()
    if gone:
        await asyncio.wait(gone)


PEOPLE = """
- id: first
  action: lab.look
  with: {what: "{{ alert.source.ip }}", at: "{{ now() }}"}
  retry: {attempts: 4, backoff: 2s}
- {id: all, action: lab.look, with: {what: all}, all_routes: true}
- set: {count: 1, address: "{{ alert.source.ip }}", worst: "{{ run.severity }}", at: "{{ now() }}"}
- id: sure
  approval:
    ask: "Hold for {{ steps.first.output.value }} at {{ now() }}?"
    covers: [held]
    within: 1h
- id: held
  action: lab.hold
  with: {what: "{{ vars.address }}", size: "{{ vars.count }}"}
  for: 24h
- id: group
  timeout: 10m
  do:
    - {id: verdict, ask: {text: "What is it?", fields: {is: [bad, good], who: account}, within: 1h}}
    - {wait: {for: 8m}}
    - switch: steps.verdict.output.is
      cases:
        bad:
          - {id: bad, action: lab.note, with: {what: "{{ steps.verdict.output.who }} is {{ steps.verdict.output.is }}"}}
          - set: {count: "{{ vars.count + 1 }}", verdict: bad}
        good: [{id: good, action: lab.note, with: {what: good}}]
- {undo: [held]}
"""
LOOPS = """
- set: {address: "{{ alert.source.ip }}"}
- {id: sure, approval: {ask: "Hold all?", covers: [item_held, denied]}}
- parallel:
    - id: items
      for_each:
        items: [a, b, c, d, e]
        as: letter
        concurrency: 2
        collect: {letter: "{{ letter }}", value: "{{ steps.seen.output.value | default(0) }}", ip: "{{ vars.address }}"}
        steps:
          - {id: seen, action: lab.look, with: {what: "{{ letter }}"}}
          - {id: item_held, action: lab.hold, with: {what: "{{ letter }}"}, keep: true}
          - set: {mine: "{{ letter }}"}
          - {id: noted, action: lab.note, with: {what: "{{ letter }} {{ vars.mine }}"}}
      on_error:
        - {id: item_told, action: lab.note, with: {what: "{{ letter }}: {{ steps.items.error.kind }}"}}
        - {id: item_told_again, action: lab.note, with: {what: "again {{ letter }}"}}
    - do:
        - id: polled
          repeat:
            until: steps.state.output.value >= 3
            every: 30s
            times: 5
            steps:
              - set: {turns: "{{ vars.turns | default(0) + 1 }}"}
              - {id: state, action: lab.look, with: {what: "turn {{ vars.turns }} {{ loop.index }}"}}
              - {id: odd, unless: loop.index == 2, action: lab.note, with: {what: "odd {{ loop.index }}"}}
        - {id: after_poll, action: lab.note, with: {what: "{{ steps.odd.status }} {{ vars.turns }}"}}
    - do:
        - {id: more, wait: {alert: joining.severity >= "high", within: 1d}}
        - id: worse
          action: lab.note
          with: {what: "{{ steps.more.output.id }} {{ run.severity }} {{ joined | length }}"}
        - {id: none, wait: {alert: joining.severity == "low", within: 5m}}
        - {id: still, action: lab.note, with: {what: "{{ steps.none.status }}"}}
- {id: denied, when: alert.severity == "high", action: lab.burn, with: {what: x}}
"""
ENDS = """
- set: {address: "{{ alert.source.ip }}", at: "{{ now() }}"}
- id: fast
  on_error:
    - {id: handled, action: lab.note, with: {what: "{{ steps.fast.error.kind }} {{ steps.stuck.status }}"}}
    - {id: handled_more, action: lab.note, with: {what: more}}
  parallel:
    - do: [{wait: {for: 1m}}, {id: fails, action: lab.note, with: {what: x}}]
    - do: [{id: stuck, wait: {for: 3d}}, {id: never, action: lab.note, with: {what: never}}]
    - do: [{id: begun, action: lab.note, with: {what: begun}}, {id: stuck_too, wait: {for: 3d}}]
  fail_fast: true
- id: late
  timeout: 1m
  on_error:
    - {id: was_late, action: lab.note, with: {what: late}}
    - {id: was_later, action: lab.note, with: {what: later}}
  do:
    - {id: in_time, action: lab.note, with: {what: in time}}
    - {wait: {for: 2m}}
    - {id: too_late, action: lab.note, with: {what: too late}}
- {id: sub, playbook: helper, with: {address: "{{ vars.address }}", when: "{{ vars.at }}"}}
- if: alert.severity == "medium" and steps.sub.output.same
  then:
    - {id: ticket, action: ticket.open, with: {title: "{{ steps.handled.output.what }}"}}
    - id: comment
      action: ticket.comment
      with: {ticket: "{{ run.case }}", text: "{{ steps.sub.output.value }} found"}
  else: [{id: other, action: lab.note, with: {what: other}}]
"""
HELPER = playbook(
    """
    - {id: look, action: lab.look, with: {what: "{{ inputs.address }}", at: "{{ inputs.when }}"}}
    - {id: helping, action: lab.note, with: {what: help}}
    """,
    name="helper",
    trigger={},
    inputs={"address": "address", "when": "time"},
    outputs={"same": '{{ inputs.address == "::ffff:203.0.113.7" }}', "value": "{{ steps.look.output.value }}"},
)
MEETS = {
    "given": {
        "first": [{"fails": "unavailable"}, {"fails": "rate_limited"}, {"value": 7}],
        "state": [{"value": 1}, {"value": 2}, {"value": 3}],
        "noted": [{"when": {"what": "b b"}, "then": {"fails": "rejected"}}, {"then": {}}],
        "seen": [{"when": {"what": "d"}, "then": {"fails": "not_found"}}, {"then": {"value": 5}}],
        "fails": {"fails": "conflict"},
    },
    "answers": {"sure": "approve", "verdict": {"is": "bad", "who": "Ann"}},
    "joins": [(1, {"severity": "low"}), (2, {"severity": "low"}), (600, {"severity": "critical"}), (601, {})],
}
FAILING = playbook(
    """
    - {id: held, action: lab.hold, with: {what: a}, keep: true}
    - {id: held_too, action: lab.hold, with: {what: b}, for: 1h}
    - set: {known: 1}
    - parallel:
        - id: each
          on_error: continue
          for_each:
            items: [1, 2, 3]
            steps:
              - {id: look, action: lab.look, with: {what: "item {{ item }}"}}
              - if: item == 2
                then: [{wait: {for: 5m}}, {id: enough, stop: failure, message: "at {{ item }}"}]
        - do: [{wait: {for: 1d}}, {id: never, action: lab.note, with: {what: never}}]
    """,
    undo_on_failure=True,
    on_failure=read_yaml(
        """
        - {id: sure_now, approval: {ask: Burn?, covers: [burnt]}}
        - {id: told, action: lab.note, with: {what: "{{ run.failed_step }} {{ steps.held.status }} {{ vars.known }}"}}
        - for_each:
            items: [x, y]
            steps: [{id: last, action: lab.note, with: {what: "{{ item }} {{ steps.never.status }}"}}]
        - {id: burnt, action: lab.burn, with: {what: c}}
        """,
        "",
    ).data,
)
NESTED = playbook(
    """
    - id: outer
      timeout: 10m
      on_error:
        - {id: told, action: lab.note, with: {what: "{{ steps.outer.error.kind }}"}}
      for_each:
        items: [a, b]
        as: letter
        collect: "{{ steps.inner.output.collect }}"
        steps:
          - id: inner
            for_each:
              items: [1, 2]
              collect: "{{ letter }}{{ item }} {{ vars.turns }}"
              steps:
                - id: turns
                  on_error: [{id: gave_up, action: lab.note, with: {what: "{{ letter }}{{ item }}"}}]
                  repeat:
                    until: steps.state.output.value > 1
                    every: 1m
                    times: 2
                    steps:
                      - set: {turns: "{{ loop.index }}"}
                      - {id: state, action: lab.look, with: {what: "{{ letter }}{{ item }}.{{ loop.index }}"}}
          - id: ask_one
            approval: {ask: "{{ letter }}?", covers: [one], within: 1h, otherwise: fail}
            on_error: continue
          - {id: one, action: lab.hold, with: {what: "{{ letter }}"}, keep: true}
    """,
    outputs={"all": "{{ steps.outer.output.collect }}"},
)
CASES = {
    "people": (
        playbook(PEOPLE, outputs={"count": "{{ vars.count }}", "all": "{{ steps.all.output }}"}),
        Happening(**MEETS),
        "succeeded",
    ),
    "loops": (
        playbook(LOOPS, outputs={"seen": "{{ steps.items.output }}", "alert": "{{ steps.more.output }}"}),
        Happening(**MEETS),
        "succeeded",
    ),
    "ends": (playbook(ENDS, uses={"helper": HELPER}), Happening(**MEETS), "succeeded"),
    "failing": (FAILING, Happening(answers={"sure_now": "approve"}), "failed"),
    "nested": (
        NESTED,
        Happening(
            given={"state": [{"when": {"what": "a2.2"}, "then": {"value": 9}}, {"then": {}}]},
            answers={"outer[0].ask_one": "expire", "outer[1].ask_one": "approve"},
        ),
        "succeeded",
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Playbook, Happening, Outcome]:
    """A playbook, what it meets, and what becomes of it where nobody interrupts it."""
    played, happening, status = CASES[request.param]
    whole = carried(played, happening)
    assert whole.status == status, whole.failed
    return played, happening, whole


def same(outcome: Outcome, whole: Outcome) -> None:
    """All that can be told from outside is the same."""
    for name in ("said", "shown", "status", "failed", "outputs", "steps", "undone", "told"):
        assert getattr(outcome, name) == getattr(whole, name), name


def test_a_run_that_is_interrupted_anywhere_does_the_same_and_each_thing_once(
    case: tuple[Playbook, Happening, Outcome],
) -> None:
    """Whatever it had begun before: the calls with their parameters, the questions, the records, the outputs."""
    played, happening, whole = case
    for count in range(whole.begun):
        outcome = carried(played, happening, count, NEVER)
        assert outcome.executions == 2
        same(outcome, whole)


@pytest.mark.parametrize("steps", [(1,), (2,), (3, 1), (7, 2, 5)])
def test_a_run_that_is_interrupted_all_the_time_does_the_same(
    case: tuple[Playbook, Happening, Outcome], steps: tuple[int, ...]
) -> None:
    """Even where each execution begins one thing only."""
    played, happening, whole = case
    outcome = carried(played, happening, *steps)
    assert outcome.executions > 3
    same(outcome, whole)


def test_calls_that_are_under_way_are_waited_for() -> None:
    """With actions that take their time, side by side: an interruption begins nothing and loses nothing."""
    takes = {"seen": 1, "item_held": 2, "noted": 3.5, "state": 7, "item_told": 1.25, "worse": 5}
    played, happening = CASES["loops"][0], Happening(**MEETS, takes=takes)
    whole = carried(played, happening)
    for count in range(0, whole.begun, 3):
        outcome = carried(played, happening, count, 5, NEVER)
        assert outcome.executions >= 2
        assert (outcome.said, outcome.outputs, outcome.steps) == (whole.said, whole.outputs, whole.steps)


def test_time_that_people_take_is_given_back_also_where_the_run_goes_on_elsewhere_meanwhile() -> None:
    """The container's ten minutes stand still for as long as somebody thinks."""
    played = playbook("""
        - id: group
          timeout: 10m
          do:
            - parallel:
                - {id: verdict, ask: {text: "?", within: 5h}}
                - do:
                    - {wait: {for: 30m}}
                    - {id: meanwhile, action: lab.note, with: {what: x}}
                    - {wait: {for: 10m}}
                    - {id: again, action: lab.note, with: {what: y}}
            - {wait: {for: 8m}}
            - {id: last, action: lab.note, with: {what: z}}
    """)
    happening = Happening(answers={"verdict": "done"}, takes={"verdict": 3600})
    whole = carried(played, happening)
    assert whole.status == "succeeded"
    for count in range(whole.begun):
        outcome = carried(played, happening, count, NEVER)
        assert (outcome.status, outcome.said, outcome.steps) == ("succeeded", whole.said, whole.steps)


def test_what_people_were_shown_stays_as_it_was_shown() -> None:
    """Whatever joins while they think, and wherever the run goes on meanwhile."""
    played = playbook("""
        - parallel:
            - do:
                - {id: sure, approval: {ask: "With {{ joined_count }}?", covers: [held]}}
                - {id: held, action: lab.hold, with: {what: "{{ joined_count }} joined"}, keep: true}
            - {id: verdict, ask: {text: "With {{ joined_count }}?"}}
            - do: [{wait: {for: 10m}}, {id: meanwhile, action: lab.note, with: {what: x}}]
    """)
    takes = {"sure": 3600, "verdict": 3600}
    happening = Happening(answers={"sure": "approve", "verdict": "done"}, takes=takes, joins=[(60, {}), (120, {})])
    whole = carried(played, happening)
    for count in range(whole.begun):
        outcome = carried(played, happening, count, NEVER)
        assert (outcome.said, outcome.shown) == (whole.said, whole.shown)


class CallingOff(LabHost):
    """Remembers which sub-playbooks were called off, and how far the run was; begins nothing while it pauses."""

    called_off: list[tuple[Path, int]]
    pausing = False

    async def ready(self) -> None:
        if self.pausing:
            await asyncio.Event().wait()

    def clean_up(self) -> None:
        self.pausing = False

    async def call_off(self, call: SubCall) -> None:
        for _ in range(100):  # others have their turn meanwhile
            await asyncio.sleep(0)
        self.called_off.append((call.path, len(self.world.calls)))


@pytest.mark.parametrize("ends", ["is cancelled", "is out of time"])
def test_a_sub_playbook_that_was_called_elsewhere_ends_before_what_it_stands_in(ends: str) -> None:
    """Also where the step that called it is not reached any more: nothing that the run did is left behind."""
    played = playbook(
        """
        - id: group
          timeout: 10m
          on_error: [{id: late, action: lab.note, with: {what: late}}]
          do: [{id: sub, playbook: helper, with: {address: 203.0.113.7, when: "{{ now() }}"}}]
        """,
        uses={"helper": HELPER},
        on_failure=[{"id": "told", "action": "lab.note", "with": {"what": "told"}}],
    )
    path = ("group", "sub")
    call = SubCall(step="sub", path=path, playbook="helper", inputs={}, severity="low")
    begun = Progress(called={path: call})
    if ends == "is out of time":
        begun.budgets[("group",)] = Budget(START)

    async def carried_on() -> CallingOff:
        host = host_of(played, world_of(Happening()), Happening(), CallingOff)
        host.called_off = []
        if ends == "is cancelled":
            host.pausing = True
            host.end()
        packed = json.loads(json.dumps(begun.pack(PACKER, host.now())))
        await carry_out(begin(played, host, CAPABILITIES, progress=Progress.unpack(packed, PACKER)))
        return host

    host = in_virtual_time(carried_on())
    assert host.called_off == [(path, 0)]
    assert [one.names[0] for one in host.world.calls] == ["told" if ends == "is cancelled" else "late"]
