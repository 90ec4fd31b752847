"""Whoever reaches Temporal may start and signal runs: only what intake recorded and reviewers wrote is carried out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from orchestrator.alerts.requests import StartRequest, content_digest
from orchestrator.language.host import RunContext
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.messages import TakeIn, TakenAlert
from orchestrator.workflow.start import argument
from tests.workflow.bench import Bench, an_alert, ask, block, eventually, look_up, playbook, ticket


async def test_a_playbook_that_nobody_reviewed_is_refused(bench: Bench) -> None:
    """Whoever may send Signals may also press Start: a version that is not registered does nothing."""
    alert = an_alert()
    (request,) = await bench.requests(playbook([look_up()]), alert)
    forged = playbook([block()])
    forged_request = request.model_copy(update={"document": forged.document, "digest": forged.digest})
    async with bench.worker():
        await bench.starter.start([forged_request])
        with pytest.raises(WorkflowFailureError) as failure:
            await bench.client.get_workflow_handle(request.workflow_id).result()

    assert "no reviewed file" in str(failure.value.cause)
    assert bench.target.asked == []
    assert "run.refused" in await bench.told(alert.key)


async def test_a_document_that_is_not_its_digests_is_refused(bench: Bench) -> None:
    """A registered digest with another document beside it runs nothing of it."""
    (request,) = await bench.requests(playbook([look_up()]), an_alert())
    forged = request.model_copy(update={"document": playbook([block()]).document})
    async with bench.worker():
        await bench.starter.start([forged])
        with pytest.raises(WorkflowFailureError) as failure:
            await bench.client.get_workflow_handle(request.workflow_id).result()

    assert "not the one of digest" in str(failure.value.cause)
    assert bench.target.asked == []


async def test_an_alert_that_nobody_recorded_is_refused(bench: Bench) -> None:
    """A start by hand with an alert that never came through intake does nothing."""
    (request,) = await bench.requests(playbook([block()]), an_alert())
    forged = request.model_copy(update={"alert_key": "lab/made-up", "workflow_id": "contain/a/made-up"})
    async with bench.worker():
        await bench.starter.start([forged])
        with pytest.raises(WorkflowFailureError):
            await bench.client.get_workflow_handle(forged.workflow_id).result()

    assert bench.target.asked == []


@pytest.mark.parametrize("argument", [None, "text", {"run": 1}, []])
async def test_a_start_by_hand_with_anything_fails_at_once(bench: Bench, argument: object) -> None:
    """Nonsense pressed into Temporal's Start form ends as a failed workflow, not as a task that fails for ever."""
    async with bench.worker():
        with pytest.raises(WorkflowFailureError) as failure:
            await bench.client.execute_workflow(
                "contain", argument, id=f"by-hand-{bench.task_queue}", task_queue=bench.task_queue
            )

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "InvalidStart"


async def refused(bench: Bench, forged: StartRequest) -> str:
    """Why a start is refused."""
    async with bench.worker():
        await bench.starter.start([forged])
        with pytest.raises(WorkflowFailureError) as failure:
            await bench.client.get_workflow_handle(forged.workflow_id).result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "Refused"
    assert bench.target.asked == []
    assert "run.refused" in await bench.told(forged.alert_key)
    return str(failure.value.cause)


@pytest.mark.parametrize(
    "change",
    [
        {"alert": {"id": "x", "source": {"ip": "198.51.100.1"}}}, {"severity": "critical"}, {"run": "contain/a/other"},
    ],
    ids=["content", "severity", "run"],
)  # fmt: skip
async def test_an_alert_with_other_content_than_was_recorded_is_refused(bench: Bench, change: dict[str, Any]) -> None:
    """A real key with a hospital's address beside it blocks nobody."""
    (request,) = await bench.requests(playbook([block()]), an_alert())
    assert "with this content" in await refused(bench, request.model_copy(update=change))


@pytest.mark.parametrize("change", [{"mode": "live"}, {"join": 3_600.0}], ids=["mode", "join"])
async def test_a_run_is_what_was_asked_for(bench: Bench, change: dict[str, Any]) -> None:
    """Nobody makes a live run of a shadow one, or has an alert counted that was to run."""
    made = playbook([block()], mode="shadow", key="alert.product.name")
    (request,) = await bench.requests(made, an_alert())
    assert "asked for this version" in await refused(bench, request.model_copy(update=change))


async def test_an_older_version_is_refused_though_it_was_reviewed_once(bench: Bench) -> None:
    """The version from before an approval was asked for does not come back."""
    old = playbook([block()])
    await bench.register(old)
    (request,) = await bench.requests(playbook([ask(), block()]), an_alert())
    forged = request.model_copy(update={"digest": old.digest, "document": old.document})
    assert "asked for this version" in await refused(bench, forged)


async def test_an_alert_that_was_recorded_for_another_playbook_is_refused(bench: Bench) -> None:
    """What matched one playbook starts no other."""
    other = playbook([block()], name="other")
    (elsewhere,) = await bench.requests(other, an_alert())
    (request,) = await bench.requests(playbook([look_up()]), an_alert())
    taken = {"alert_key": request.alert_key, "alert": request.alert, "workflow_id": "other/a/taken"}
    assert "recorded this alert" in await refused(bench, elsewhere.model_copy(update=taken))


async def test_joined_alerts_that_nobody_recorded_are_left_out(bench: Bench) -> None:
    """A Signal from somebody else brings nothing into a run."""
    made = playbook([ask(), block(), ticket(title="{{ joined_count }} joined")], key="alert.product.name")
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        forged = {"alert": {"id": "x"}, "alert_key": "lab/forged", "severity": "critical", "run": "contain/a/forged"}
        await handle.signal("join", [forged])
        await eventually(lambda: told_refused(bench, "lab/forged"))
        await bench.answer(handle, "deny", row)
        await handle.result()

    assert bench.target.asked == ["open 0 joined"]


async def told_refused(bench: Bench, key: str) -> bool:
    return "alert.refused" in await bench.told(key)


async def test_a_forged_alert_does_not_stand_in_the_way_of_the_real_one(bench: Bench) -> None:
    """With a real key and other content, sent first: the forged one is refused, and the real one joins."""
    made = playbook(
        [ask(), block(), ticket(title="{{ joined[0].title }} of {{ joined_count }}")], key="alert.product.name"
    )
    second = an_alert()
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        (request,) = await bench.requests(made, second)
        forged = {"alert": {**request.alert, "title": "forged"}, "alert_key": second.key, "severity": "low"}
        await handle.signal("join", [{**forged, "run": request.run}])
        await eventually(lambda: told_refused(bench, second.key))
        await bench.starter.start([request])
        await eventually(lambda: claimed(bench, second.key))
        await bench.answer(handle, "deny", row)
        await handle.result()

    assert bench.target.asked == [f"open {second.title} of 1"]


@pytest.mark.parametrize("change", [{"severity": "critical"}, {"severity": "low"}, {"may_start": False}, {}])
async def test_an_alert_without_content_says_nothing_of_itself(bench: Bench, change: dict[str, Any]) -> None:
    """With a real key, sent first: it neither makes the run more severe nor hides what the real alert holds."""
    made = playbook(
        [ask(), block(), ticket(title="{{ joined[0].title }} of {{ joined_count }}, {{ run.severity }}")],
        key="alert.product.name",
    )
    second = an_alert()
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        (request,) = await bench.requests(made, second)
        real = {"alert_key": second.key, "severity": request.severity, "run": request.run}
        digest = content_digest(request.run, second.key, request.severity, request.alert)
        await handle.signal("join", [{**real, "alert": {}, "left_out": digest, **change}])
        await eventually(lambda: told_refused(bench, second.key))
        await bench.starter.start([request])
        await eventually(lambda: claimed(bench, second.key))
        await bench.answer(handle, "deny", row)
        await handle.result()

    assert bench.target.asked == [f"open {second.title} of 1, {second.severity}"]


async def test_an_alert_that_may_start_a_run_is_not_kept_from_it_by_a_copy_that_says_otherwise(bench: Bench) -> None:
    """All of it is real but that it could only join: the copy is refused, and the alert gets its run."""
    made = playbook([ask(), block()], key="alert.product.name")
    second = an_alert()
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        (request,) = await bench.requests(made, second)
        copy = {"alert": request.alert, "alert_key": second.key, "severity": request.severity, "run": request.run}
        await handle.signal("join", [{**copy, "may_start": False}])
        await eventually(lambda: told_refused(bench, second.key))
        await bench.starter.start([request])
        await eventually(lambda: claimed(bench, second.key))
        await bench.answer(handle, "deny", row)
        await eventually(lambda: bench.rows("SELECT 1 FROM tocsin.run WHERE run = :run", run=request.run))
        await bench.answer(handle, "deny", await bench.asked(handle))
        await handle.result()

    assert (await bench.claims())[second.key] == ("started", request.run.rsplit("/", 1)[-1])


async def test_a_start_that_brings_alerts_of_its_own_fails_at_once(bench: Bench) -> None:
    """Only a run passes on what waited for the next one."""
    made = playbook([block()], key="alert.product.name")
    (request,) = await bench.requests(made, an_alert())
    waiting = {"alert": {}, "alert_key": request.alert_key, "severity": "critical", "run": request.run}
    forged = argument(request).model_dump() | {"inbox": [waiting]}
    async with bench.worker():
        with pytest.raises(WorkflowFailureError) as failure:
            await bench.client.execute_workflow(
                "contain", forged, id=f"by-hand-{bench.task_queue}", task_queue=bench.task_queue
            )

    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "InvalidStart"


async def test_an_alert_that_was_passed_on_without_content_is_as_severe_as_it_was_recorded(bench: Bench) -> None:
    """Its digest is right and its severity is not: whoever passed it on had it from somebody else."""
    made = playbook([look_up()], key="alert.product.name")
    first, second = an_alert(), an_alert()
    (own, request) = await bench.requests(made, first, second)
    async with bench.worker():
        await bench.starter.start([own])
        handle = bench.client.get_workflow_handle(own.workflow_id)
        await handle.result()
    begun = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    context = RunContext(
        run=own.run,
        playbook=own.playbook,
        digest=own.digest,
        event=first.key,
        workflow_id=handle.id,
        first_run_id=begun,
    )
    digest = content_digest(request.run, second.key, request.severity, request.alert)
    true = TakenAlert(alert_key=second.key, content=digest, whole=False, severity=request.severity)
    forged = true.model_copy(update={"severity": "critical"})
    claims = Claims(bench.engine)

    assert await claims.take_in(TakeIn(context=context, alerts=(forged,)), "x") == []
    assert await claims.take_in(TakeIn(context=context, alerts=(true,)), "x") == [0]


async def claimed(bench: Bench, key: str) -> bool:
    """Whether a run has the alert."""
    return key in await bench.claims()


async def test_an_alert_of_another_key_cannot_be_brought_into_a_run(bench: Bench) -> None:
    """A real alert, with its real content, in the run of somebody else: it would never be acted upon."""
    made = playbook([ask(), block()], key="alert.title")
    first, second = an_alert(), an_alert()
    async with bench.worker():
        handle = await bench.start(made, first)
        row = await bench.asked(handle)
        (request,) = await bench.requests(made, second)
        sent = {"alert": request.alert, "alert_key": second.key, "severity": request.severity, "run": request.run}
        for content in (sent, {**sent, "alert": {}}):
            await handle.signal("join", [content])
            await eventually(lambda: told_refused(bench, second.key))
        await bench.answer(handle, "deny", row)
        await handle.result()

    assert second.key not in await bench.claims()


async def test_numbers_that_no_database_takes_do_not_stop_a_run(bench: Bench) -> None:
    """A Signal with anything in it is refused or left aside, and the run goes on to its end."""
    made = playbook([ask(), block()], key="alert.product.name")
    async with bench.worker():
        handle = await bench.start(made)
        row = await bench.asked(handle)
        for alert in ({"n": 10**40}, {"n": [[[[]]]]}, {"\x00": "\x00"}):
            key = f"lab/{len(str(alert))}"
            await handle.signal("join", [{"alert": alert, "alert_key": key, "severity": "low", "run": "contain/a/x"}])
            await eventually(lambda key=key: told_refused(bench, key))
        await bench.answer(handle, "deny", row)
        await handle.result()


TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_the_digest_is_the_same_on_both_sides_of_temporal(alert: dict[str, Any]) -> None:
    """Whatever an alert holds: what intake recorded is what the run carries."""
    converter = pydantic_data_converter.payload_converter
    (arrived,) = converter.from_payloads(converter.to_payloads([alert]), [dict[str, Any]])
    assert content_digest("r", "k", "low", arrived) == content_digest("r", "k", "low", alert)
