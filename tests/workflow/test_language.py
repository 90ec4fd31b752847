"""Every construct of the language on the real Temporal; each history is replayed against today's code in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from orchestrator.actions.kill_switch import KillSwitch, Reach
from orchestrator.errors import Rejected
from orchestrator.language.packing import packer_for
from orchestrator.matching.by_hand import NotStarted, request_with_inputs
from orchestrator.workflow.schedules import Schedules
from orchestrator.workflow.start import argument
from tests.workflow.bench import (
    CATALOG,
    Bench,
    an_alert,
    ask,
    block,
    eventually,
    look_up,
    metadata,
    playbook,
    ticket,
)

ITEMS = [f"198.51.100.{number}" for number in range(1, 21)]


def blocked_each(**more: Any) -> dict[str, Any]:
    """A loop that blocks every item."""
    steps = [block("each", "{{ ip }}")]
    return {"id": "loop", "for_each": {"items": ITEMS, "as": "ip", "steps": steps, **more}}


async def cause(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    """Why a run failed."""
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


async def test_branches_variables_and_outputs(bench: Bench) -> None:
    """`if`, `switch` and `set` decide what runs, and `outputs` are the run's result, typed values as such."""
    made = playbook(
        [
            look_up(),
            {"if": "steps.look.output.score >= 80", "then": [{"set": {"verdict": "bad"}}], "else": [block("never")]},
            {"switch": "alert.severity", "cases": {"high": [block()], "critical": [ticket("other")]}, "default": []},
            {"set": {"found": "{{ alert.source.ip }}"}},
        ],
        outputs={"verdict": "{{ vars.verdict }}", "ip": "{{ vars.found }}", "blocked": "{{ steps.block.ok }}"},
    )
    async with bench.worker():
        result = await bench.run(made, an_alert(source={"ip": "::ffff:203.0.113.7"}))

    assert result["outputs"] == {"verdict": "bad", "ip": {"$": "ip", "v": "203.0.113.7"}, "blocked": True}
    assert bench.target.asked == ["look up 203.0.113.7", "block 203.0.113.7"]
    assert result["steps"]["never"] == "skipped"


async def test_a_loop_does_each_item_once_some_side_by_side(bench: Bench) -> None:
    """`collect` is in the order of the list, whoever was first."""
    loop = blocked_each(concurrency=5, collect="{{ steps.each.output.ip }}")
    made = playbook([loop], outputs={"all": "{{ steps.loop.output.collect }}", "n": "{{ steps.loop.output.counts }}"})
    async with bench.worker():
        result = await bench.run(made)

    assert sorted(bench.target.asked) == sorted(f"block {ip}" for ip in ITEMS)
    assert [one["v"] for one in result["outputs"]["all"]] == ITEMS
    assert result["outputs"]["n"]["v"] == {"total": 20, "succeeded": 20, "failed": 0}


async def test_a_large_loop_goes_on_in_new_executions_and_does_no_item_twice(bench: Bench) -> None:
    """History stays far below Temporal's limits: what is done is carried along, and not even looked at again.

    A sub-playbook beside it holds nothing up, and is waited for in whichever execution.
    """
    addresses = [f"10.{number // 250}.{number % 250}.1" for number in range(900)]
    steps = [
        {"id": "look", "action": "intel.lookup_ip", "with": {"ip": "{{ item }}"}},
        block("each", "{{ steps.look.output.ip }}"),
    ]
    loop = {"for_each": {"items": addresses, "concurrency": 20, "collect": "{{ item }}", "steps": steps}, "id": "loop"}
    slow = playbook([QUESTION], name="slow", trigger={}, outputs={"verdict": "{{ steps.you.output.verdict }}"})
    made = playbook(
        [{"set": {"seen": "{{ alert.severity }}"}}, {"parallel": [loop, {"id": "beside", "playbook": "slow"}]}],
        uses=[slow],
        outputs={"seen": "{{ vars.seen == 'high' }}", "verdict": "{{ steps.beside.output.verdict }}"},
    )
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: _attends(bench, handle), within=60)
        (row,) = await bench.questions.listed()
        await bench.answer(bench.client.get_workflow_handle(row.workflow_id), "answer", row, fields={"verdict": "mine"})
        result = await handle.result()

    assert result["outputs"] == {"seen": True, "verdict": "mine"}
    assert [row.state for row in await bench.rows("SELECT state FROM tocsin.run")] == ["succeeded"] * 2
    assert sorted(one for one in bench.target.asked if one.startswith("block")) == sorted(
        f"block {ip}" for ip in addresses
    )
    assert len(bench.target.asked) == 1_800
    executions = [one async for one in bench.client.list_workflows(f"WorkflowId = '{handle.id}'")]
    assert len(executions) >= 2
    assert all(one.history_length < 5_000 for one in executions)


async def _attends(bench: Bench, handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether a later execution of the run waits for a sub-playbook."""
    described = await bench.client.get_workflow_handle(handle.id).describe()
    return any(one.activity_type.name == "attend" for one in described.raw_description.pending_activities)


async def test_failed_items_let_the_others_finish_and_fail_the_loop(bench: Bench) -> None:
    """The failure is the first in the order of the list; `on_error` steps run for each item that failed."""

    def refuse() -> None:
        if bench.target.asked[-1] in (f"block {ITEMS[3]}", f"block {ITEMS[7]}"):
            raise Rejected(f"no {bench.target.asked[-1]}")

    bench.target.misbehave = refuse
    async with bench.worker():
        handle = await bench.start(playbook([blocked_each(concurrency=4)]))
        failed = await cause(handle)
        told = blocked_each() | {"on_error": [ticket("told", "{{ ip }}: {{ steps.loop.error.message }}")]}
        result = await bench.run(playbook([told, ticket("after", "After")], name="other"))

    assert failed.message == f"each: no block {ITEMS[3]}"
    assert f"open {ITEMS[7]}: no block {ITEMS[7]}" in bench.target.asked
    assert bench.target.asked[-1] == "open After"
    assert result["steps"]["loop"] == "failed"


async def test_polling_ends_when_its_condition_holds(bench: Bench) -> None:
    """`repeat` waits on the server's clock between its turns; out of turns it fails."""
    turns = {"until": "loop.index >= 3", "every": "1s", "times": 5, "steps": [look_up()]}
    async with bench.worker():
        await bench.run(playbook([{"repeat": turns}]))
        never = {"repeat": turns | {"until": "false", "times": 2}}
        failed = await cause(await bench.start(playbook([never], name="other")))

    assert len(bench.target.asked) == 5
    assert failed.message == "repeat#1: not within 2 turns: false"


async def test_waiting_is_durable(bench: Bench) -> None:
    """A wait goes on where another worker takes over, and ends when its time has come."""
    moment = {"wait": {"until": "now() + (1 | seconds)"}}
    made = playbook([{"wait": {"for": "2s"}}, moment, ticket("after", "After")])
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: _has_timer(handle))
    async with bench.worker():
        await handle.result()

    assert bench.target.asked == ["open After"]


async def _has_timer(handle: WorkflowHandle[Any, Any]) -> bool:
    events = (await handle.fetch_history()).events
    return any(one.HasField("timer_started_event_attributes") for one in events)


async def test_a_run_waits_for_another_alert(bench: Bench) -> None:
    """Every alert that has joined is looked at, also one that came before the step; none in time is `expired`."""
    wait = {"id": "other", "wait": {"alert": 'joining.severity == "critical"', "within": "1h"}}
    more = {"id": "more", "wait": {"alert": "true", "within": "1s"}}
    made = playbook(
        [wait, ticket(title="{{ steps.other.output.title }}"), more],
        key="alert.source.ip",
        outputs={"more": "{{ steps.more.status }}"},
    )
    source = {"source": {"ip": "203.0.113.7"}}
    async with bench.worker():
        handle = await bench.start(made, an_alert(**source))
        await bench.start(made, an_alert(**source))
        await bench.start(made, an_alert(severity="critical", title="The worse one", **source))
        result = await handle.result()

    assert bench.target.asked == ["open The worse one"]
    assert result["outputs"] == {"more": "expired"}


async def test_what_only_joins_starts_nothing(bench: Bench) -> None:
    """The message that it is over joins the open run; without one it starts none."""
    wait = {"id": "over", "wait": {"alert": 'joining.status == "resolved"', "within": "1h"}}
    made = playbook([wait], match='alert.status == "open"', joins="true", key="alert.source.ip")
    over = an_alert(status="resolved", source={"ip": "203.0.113.7"})
    async with bench.worker():
        nothing = await bench.starter.start(
            await bench.requests(made, an_alert(status="resolved", source={"ip": "192.0.2.1"}))
        )
        handle = await bench.start(made, an_alert(source={"ip": "203.0.113.7"}))
        joined = await bench.starter.start(await bench.requests(made, over))
        await handle.result()

    assert (nothing, joined) == (["nothing"], ["joined"])


async def test_a_container_ends_in_time_and_settles_what_is_under_way(bench: Bench) -> None:
    """A `timeout` cuts waiting short, never a call; its `on_error` goes on from there."""
    inner = [block(), {"id": "long", "wait": {"for": "1h"}}, ticket("never", "Never")]
    made = playbook(
        [{"id": "group", "do": inner, "timeout": "2s", "on_error": [ticket("late", "{{ steps.group.error.kind }}")]}]
    )
    async with bench.worker():
        result = await bench.run(made)

    assert bench.target.asked == ["block 203.0.113.7", "open timeout"]
    assert result["steps"]["group"] == "failed"
    assert result["steps"]["never"] == "skipped"


async def test_people_do_not_run_out_of_a_containers_time(bench: Bench) -> None:
    """The time that a question takes is given back."""
    made = playbook([{"do": [ask(), block()], "timeout": "2s"}])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        # four seconds of the server's clock, twice what the group has
        await eventually(lambda: _older(row.asked_at, timedelta(seconds=4)))
        await bench.answer(handle, "approve", row)
        await handle.result()

    assert bench.target.asked == ["block 203.0.113.7"]


async def _older(moment: datetime, age: timedelta) -> bool:
    return datetime.now(UTC) - moment > age


async def test_the_first_failure_ends_the_others_where_that_is_wanted(bench: Bench) -> None:
    """With `fail_fast` a branch that waits is cut short, and what it asked people is void."""

    def refuse() -> None:
        if bench.target.asked[-1].startswith("look"):
            raise Rejected("no")

    bench.target.misbehave = refuse
    failing = {"do": [{"wait": {"for": "1s"}}, look_up(retry={"attempts": 1})]}
    made = playbook([{"parallel": [failing, {"do": [ask(), block()]}], "fail_fast": True}])
    async with bench.worker():
        handle = await bench.start(made)
        await bench.asked(handle)
        failed = await cause(handle)
    (question,) = await bench.questions.listed(handle.id)

    assert failed.message == "look: no"
    assert question.state == "void"
    assert bench.target.blocked == set()


async def test_a_stop_ends_the_run_from_anywhere(bench: Bench) -> None:
    """As a success with its message, or as a failure that `on_failure` sees."""
    deep = {
        "parallel": [
            {"do": [look_up(), {"id": "enough", "stop": "success", "message": "all {{ alert.severity }}"}]},
            {"wait": {"for": "1h"}},
        ]
    }
    failure = {"id": "bad", "stop": "failure", "message": "not ours"}
    made = playbook([failure, block()], name="other", on_failure=[ticket("told", "{{ run.error.message }}")])
    async with bench.worker():
        result = await bench.run(playbook([deep, block()]))
        failed = await cause(await bench.start(made))

    assert result["message"] == "all high"
    assert failed.message == "bad: not ours"
    assert bench.target.asked == ["look up 203.0.113.7", "open not ours"]


async def test_effects_are_taken_back_in_reverse(bench: Bench) -> None:
    """`undo` names steps; `undo_on_failure` takes back all that the run did, before `on_failure`."""
    two = [block("one", "198.51.100.1"), block("two", "198.51.100.2")]
    failing = playbook(
        [*two, {"id": "bad", "stop": "failure"}],
        name="other",
        undo_on_failure=True,
        on_failure=[ticket("told", "Told")],
    )
    async with bench.worker():
        result = await bench.run(playbook([*two, {"undo": ["one", "two"]}]))
        assert bench.target.asked[2:] == ["unblock 198.51.100.2", "unblock 198.51.100.1"]
        await cause(await bench.start(failing))

    assert result["steps"] == {"one": "succeeded", "two": "succeeded", "undo#1": "succeeded"}
    assert bench.target.asked[-3:] == ["unblock 198.51.100.2", "unblock 198.51.100.1", "open Told"]
    assert bench.target.blocked == set()
    states = [row.state for row in await bench.rows("SELECT state FROM tocsin.action WHERE step IN ('one', 'two')")]
    assert states == ["undone"] * 4


SUB = playbook(
    [block(ip="{{ inputs.ip }}")],
    name="cut-off",
    trigger={},
    inputs={"ip": "address", "days": {"type": "number", "default": 1}},
    outputs={"state": "{{ steps.block.output.blocked }}", "days": "{{ inputs.days }}", "ip": "{{ inputs.ip }}"},
)


SUB_INPUTS = {"ip": "{{ inputs.ip }}"}


def call(step: str = "cut", **more: Any) -> dict[str, Any]:
    """A step that calls the sub-playbook."""
    return {"id": step, "playbook": "cut-off", "with": {"ip": "203.0.113.7"}, **more}


async def test_a_sub_playbook_is_a_run_of_its_own(bench: Bench) -> None:
    """It gets typed inputs and gives outputs; two calls of it are two effects."""
    made = playbook(
        [call(), call("again", **{"with": {"ip": "198.51.100.1", "days": 7}})],
        uses=[SUB],
        outputs={"days": "{{ steps.again.output.days }}", "ip": '{{ steps.cut.output.ip == "::ffff:203.0.113.7" }}'},
    )
    async with bench.worker():
        handle = await bench.start(made)
        result = await handle.result()
    runs = await bench.rows("SELECT playbook, state, event FROM tocsin.run ORDER BY started_at")

    assert result["outputs"] == {"days": 7, "ip": True}
    assert bench.target.asked == ["block 203.0.113.7", "block 198.51.100.1"]
    assert [(row.playbook, row.state) for row in runs] == [
        ("contain", "succeeded"),
        ("cut-off", "succeeded"),
        ("cut-off", "succeeded"),
    ]
    assert len({row.event for row in runs}) == 1


async def test_what_a_sub_playbook_did_is_taken_back_with_its_caller(bench: Bench) -> None:
    """In one order with what the caller did, by `undo` and by `undo_on_failure`; the ledger knows who called whom."""
    middle = playbook([{"id": "deeper", "playbook": "cut-off", "with": SUB_INPUTS}], name="middle", trigger={},
                      inputs={"ip": "address"}, uses=[SUB])  # fmt: skip
    deep = {"id": "deep", "playbook": "middle", "with": {"ip": "198.51.100.1"}}
    steps = [
        block("one", "198.51.100.2"), call("kept", **{"with": {"ip": "198.51.100.3"}}), deep, {"undo": ["kept"]},
        call("away", detach=True), block("two", "198.51.100.4"), ask("hold", ["never"]),
        block("never", "198.51.100.9"), {"id": "bad", "stop": "failure"},
    ]  # fmt: skip
    async with bench.worker():
        handle = await bench.start(playbook(steps, uses=[SUB, middle], undo_on_failure=True))
        row = await bench.asked(handle, "hold")
        await eventually(lambda: _all_done(bench, 5))
        before = list(bench.target.asked)
        await bench.answer(handle, "deny", row)
        await cause(handle)

    assert "unblock 198.51.100.3" in before
    assert bench.target.asked[len(before) :] == [f"unblock 198.51.100.{number}" for number in (4, 1, 2)]
    assert bench.target.blocked == {"203.0.113.7"}


async def _all_done(bench: Bench, count: int) -> bool:
    rows = await bench.rows(
        "SELECT key FROM tocsin.action WHERE state IN ('done', 'undone') AND NOT '~undo' = ANY(path)"
    )
    return len(rows) == count


async def test_the_failure_of_a_sub_playbook_is_the_steps(bench: Bench) -> None:
    """With its own kind; a detached one is not waited for."""

    def refuse() -> None:
        raise Rejected("the firewall says no")

    bench.target.misbehave = refuse
    made = playbook(
        [call(on_error="continue"), call("away", detach=True)],
        uses=[SUB],
        outputs={"kind": "{{ steps.cut.error.kind }}"},
    )
    async with bench.worker():
        result = await bench.run(made)
        await eventually(lambda: bench.rows("SELECT run FROM tocsin.run WHERE state = 'failed' OFFSET 1"))

    assert result["outputs"] == {"kind": "rejected"}
    assert result["steps"] == {"cut": "failed", "away": "succeeded"}


async def test_a_shadow_parent_makes_its_sub_playbooks_shadow(bench: Bench) -> None:
    """Nothing is sent, later steps render all the same, and what would be undone is recorded."""
    steps = [call(), ask("sure", ["after"]), block("after"), {"undo": ["cut"]}]
    async with bench.worker():
        result = await bench.run(playbook(steps, uses=[SUB], mode="shadow"))
    undone = await bench.rows("SELECT state, path FROM tocsin.action WHERE capability = 'firewall.unblock_ip'")

    assert bench.target.asked == []
    assert result["steps"]["after"] == "shadowed"
    assert [(row.state, row.path) for row in undone] == [("shadowed", ["undo#1", "~undo", "cut", "block"])]


async def test_a_run_that_was_reset_asks_what_its_sub_playbook_came_to(bench: Bench) -> None:
    """The sub-playbook is not run again; the question is asked anew, and nobody has to answer the old one."""
    made = playbook([call(), ask("sure", ["other"]), block("other", "198.51.100.9")], uses=[SUB])
    async with bench.worker():
        handle = await bench.start(made)
        old = await bench.asked(handle)
        fresh = await bench.reset(handle)
        await bench.answer(fresh, "approve", await eventually(lambda: _asked_anew(bench, handle, old.id)))
        result = await fresh.result()

    assert result["steps"] == {"cut": "succeeded", "sure": "succeeded", "other": "succeeded"}
    assert bench.target.asked == ["block 203.0.113.7", "block 198.51.100.9"]


async def _asked_anew(bench: Bench, handle: WorkflowHandle[Any, Any], old: str) -> Any:
    """The only question that waits, where that is another one."""
    rows = [row for row in await bench.questions.listed(handle.id) if row.state == "waiting"]
    return rows[0] if len(rows) == 1 and rows[0].id != old else None


QUESTION = {
    "id": "you",
    "ask": {
        "text": "Was this you?",
        "fields": {"verdict": ["mine", "not_mine"], "note": {"type": "text", "optional": True}},
        "within": "1h",
    },
}


async def test_people_answer_a_question_and_a_branch_follows(bench: Bench) -> None:
    """An answer that does not fit is refused and told why; an approval is no answer."""
    made = playbook([QUESTION, block(when='steps.you.output.verdict == "not_mine"')])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle, "you")
        assert "Was this you?" in await metadata(handle)
        await bench.answer(handle, "approve", row)
        await bench.answer(handle, "answer", row, fields={"verdict": "perhaps"})
        await bench.judged(handle, 2)
        await bench.answer(handle, "answer", row, fields={"verdict": "not_mine"})
        await handle.result()
    verdicts = [verdict for verdict, _ in await bench.judged(handle, 3)]

    assert verdicts == ["refused", "refused", "counted"]
    assert bench.target.asked == ["block 203.0.113.7"]


async def test_silence_means_the_answer_that_the_author_gave_it(bench: Bench) -> None:
    """Or fails the step."""
    asked = QUESTION["ask"] | {"within": "1s"}  # type: ignore[operator]
    silent = QUESTION | {"ask": asked | {"otherwise": {"verdict": "not_mine"}}}
    made = playbook(
        [silent], outputs={"verdict": "{{ steps.you.output.verdict }}", "trust": "{{ steps.you.output.trust }}"}
    )
    async with bench.worker():
        result = await bench.run(made)
        failed = await cause(await bench.start(playbook([QUESTION | {"ask": asked}], name="other")))

    assert result["outputs"] == {"verdict": "not_mine", "trust": "silence"}
    assert failed.message == "you: nobody answered in time"


async def test_one_approval_covers_the_steps_of_a_later_loop(bench: Bench) -> None:
    """One card shows every request; what is approved is what is sent."""
    made = playbook([ask("sure", ["each"]), blocked_each()])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        assert all(ip in row.card for ip in ITEMS)
        await bench.answer(handle, "approve", row)
        await handle.result()

    assert bench.target.asked == [f"block {ip}" for ip in ITEMS]


async def test_several_people_have_to_approve_where_the_author_says_so(bench: Bench) -> None:
    """The same person twice is one person."""
    made = playbook([ask(by={"count": 2}), block()])
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        await bench.answer(handle, "approve", row)
        await bench.answer(handle, "approve", row)
        await bench.judged(handle, 2)
        assert bench.target.asked == []
        await bench.answer(handle, "approve", row, by="bob")
        await handle.result()
    reasons = [reason for _, reason in await bench.judged(handle, 3)]

    assert reasons == ["approve: 1 of 2", "alice has answered already", "approve"]
    assert bench.target.asked == ["block 203.0.113.7"]


async def test_a_schedule_starts_runs_and_follows_the_version_in_force(bench: Bench) -> None:
    """Such a run has no alert, and each has its time; a playbook out of force loses its schedule."""
    made = playbook(
        [ticket(title="Weekly")], name="weekly", trigger={"schedule": {"cron": "0 8 * * 1", "tz": "Europe/Amsterdam"}}
    )
    await bench.register(made)
    schedules = Schedules(bench.client, bench.task_queue)
    await schedules.follow([made])
    await schedules.follow([made])
    handle = bench.client.get_schedule_handle("tocsin/weekly")
    async with bench.worker():
        await handle.trigger()
        row = await eventually(lambda: bench.rows("SELECT run, event FROM tocsin.run WHERE state = 'succeeded'"))
    await schedules.follow([])

    assert row[0].run.startswith("weekly/c/20")
    assert row[0].event.startswith("schedule/weekly.20")
    assert bench.target.asked == ["open Weekly"]
    assert [one.id async for one in await bench.client.list_schedules() if one.id == "tocsin/weekly"] == []


async def test_a_run_by_hand_has_inputs_and_a_requester(bench: Bench) -> None:
    """Its requester cannot approve it."""
    made = playbook([ask(), block(ip="{{ inputs.ip }}")], trigger={"manual": {}}, inputs={"ip": "address"})
    packer = packer_for(CATALOG.capabilities)
    with pytest.raises(NotStarted, match="`ip`: "):
        request_with_inputs(made, {"ip": "nonsense"}, "run/0", packer, requester="alice", shadow=False)
    request = request_with_inputs(made, {"ip": "203.0.113.7"}, "run/1", packer, requester="alice", shadow=False)
    await bench.register(made)
    await bench.recorder.ask_for(request)
    async with bench.worker():
        await bench.starter.start([request])
        handle = bench.client.get_workflow_handle(request.workflow_id)
        row = await bench.asked(handle)
        await bench.answer(handle, "approve", row)
        assert await bench.judged(handle, 1) == [("refused", "alice has asked for this run")]
        await bench.answer(handle, "approve", row, by="bob")
        await handle.result()

    assert bench.target.asked == ["block 203.0.113.7"]


async def test_so_many_runs_are_open_as_may_be_and_the_others_wait_visibly(bench: Bench) -> None:
    """The next one begins when one has ended."""
    made = playbook([ask(), block()], concurrency=1)
    async with bench.worker():
        first = await bench.start(made, an_alert())
        row = await bench.asked(first)
        second = await bench.start(made, an_alert())
        await eventually(lambda: _waits(second))
        await bench.answer(first, "deny", row)
        await bench.answer(second, "approve", await bench.asked(second))
        await second.result()

    assert bench.target.asked == ["block 203.0.113.7"]


async def test_of_those_who_wait_the_most_severe_goes_first_then_who_waits_longest(bench: Bench) -> None:
    """What joins a run that waits counts too; one that somebody terminated meanwhile holds nobody up."""
    one_waits = block(when='alert.title == "One"')
    made = playbook([ask(), one_waits, look_up(), ticket()], concurrency=1, key="alert.source.ip")
    waiting = [("low", "Two"), ("critical", "Gone"), ("medium", "Three"), ("high", "Four"), ("low", "Worse"),
               ("medium", "Five"), ("high", "Six")]  # fmt: skip
    alerts = [
        an_alert(severity=severity, title=title, source={"ip": f"192.0.2.{number}"})
        for number, (severity, title) in enumerate(waiting)
    ]
    async with bench.worker():
        first = await bench.start(made, an_alert(title="One"))
        row = await bench.asked(first)
        handles = []
        for alert in alerts:
            handles.append(await bench.start(made, alert))
            await eventually(lambda: _waits(handles[-1]))
        await bench.start(made, an_alert(severity="critical", source={"ip": "192.0.2.4"}))
        await handles[1].terminate("an accident")
        await bench.answer(first, "deny", row)
        for handle in (*handles[:1], *handles[2:]):
            await handle.result()

    opened = [one.removeprefix("open ") for one in bench.target.asked if one.startswith("open")]
    assert opened == ["One", "Worse", "Four", "Six", "Three", "Five", "Two"]
    assert await bench.rows("SELECT run FROM tocsin.waiting_run") == []


async def _waits(handle: WorkflowHandle[Any, Any]) -> bool:
    return "waiting for its turn: 1 runs are open, of 1 that may be" in await metadata(handle)


async def test_a_run_that_a_kill_switch_halts_goes_on_when_that_is_lifted(bench: Bench) -> None:
    """In each of its branches, from where it stands; what is not halted goes on meanwhile."""
    hand = KillSwitch(bench.engine, who="alice")
    blocking = {"do": [block(timeout="1s")], "timeout": "1m"}
    made = playbook([look_up(), {"parallel": [blocking, {"do": [look_up("again"), ticket(title="Halted too")]}]}])
    await hand.throw(Reach(), "a test")
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: _halted(handle, 2))
        before = list(bench.target.asked)
        await hand.lift(Reach(), "over")
        await handle.result()

    assert before == ["look up 203.0.113.7"] * 2
    assert sorted(bench.target.asked[2:]) == ["block 203.0.113.7", "open Halted too"]


async def _halted(handle: WorkflowHandle[Any, Any], count: int) -> bool:
    return (await metadata(handle)).count("**Halted:**") == count


async def test_lists_of_the_site_are_read_once_for_a_run(bench: Bench) -> None:
    """And compare as their types do."""
    bench.site = {"lists": {"travel": {"type": "ip", "entries": ["203.0.113.7"]}}, "calendars": {}}
    made = playbook(
        [
            block(when="alert.source.ip in lists.travel"),
            ask("sure", ["other"]),
            block("other", "198.51.100.1", when="alert.source.ip in lists.travel"),
        ]
    )
    async with bench.worker():
        handle = await bench.start(made, an_alert(source={"ip": "::ffff:203.0.113.7"}))
        row = await bench.asked(handle)
        bench.site = {"lists": {"travel": {"type": "ip", "entries": []}}, "calendars": {}}
        await bench.answer(handle, "approve", row)
        await handle.result()

    assert bench.target.asked == ["block 203.0.113.7", "block 198.51.100.1"]


async def test_an_effect_is_seen_before_a_step_that_waits_for_it_ends(bench: Bench) -> None:
    """A target that says yes and does nothing fails the step."""
    async with bench.worker():
        await bench.run(playbook([block(verify="wait")]))
        bench.target.lose_answer = lambda: None
        bench.target.blocked = _Forgetful()
        failed = await cause(await bench.start(playbook([block(verify="wait", timeout="1s")], name="other")))

    assert failed.message == "block: the target said yes, and does not show the effect"


class _Forgetful(set[str]):
    """Of a firewall that answers yes and does nothing."""

    def add(self, element: str) -> None:
        """Forget it."""


async def test_a_cancelled_run_settles_undoes_and_tells(bench: Bench) -> None:
    """Wherever it stands: nothing more is sent but what takes back and tells."""
    inner = {"parallel": [{"wait": {"for": "1h"}}, {"do": [block(), {"wait": {"for": "1h"}}]}]}
    made = playbook([inner, ticket("never", "Never")], undo_on_failure=True, on_failure=[ticket("told", "Told")])
    async with bench.worker():
        handle = await bench.start(made)
        await eventually(lambda: _blocked(bench))
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        described = await handle.describe()

    assert described.status is WorkflowExecutionStatus.CANCELED
    assert bench.target.asked == ["block 203.0.113.7", "unblock 203.0.113.7", "open Told"]


async def _blocked(bench: Bench) -> bool:
    return bool(bench.target.blocked)


async def test_nobody_starts_by_hand_what_others_call(bench: Bench) -> None:
    """A sub-playbook, a scheduled run, and a run that pretends to have something behind it refuse themselves."""
    made = playbook([block()], trigger={"schedule": {"cron": "0 8 * * 1"}})
    (request,) = await bench.requests(playbook([block()], name="other"), an_alert())
    await bench.register(made)
    forged = argument(request).model_copy(
        update={"playbook": "contain", "digest": made.digest, "document": made.document}
    )
    starts = [
        forged.model_copy(update={"how": "playbook", "event": "lab/alert-1"}),
        forged.model_copy(update={"how": "schedule"}),
        forged.model_copy(update={"carried": {"count": 0}}),
    ]
    async with bench.worker():
        for number, start in enumerate(starts):
            handle = await bench.client.start_workflow(
                "contain", start, id=f"forged-{bench.task_queue}-{number}", task_queue=bench.task_queue
            )
            failed = await cause(handle)
            assert failed.type in ("Refused", "InvalidStart")

    assert bench.target.asked == []
