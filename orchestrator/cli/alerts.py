"""`tocsin send`, `run` and `explain`: alerts by hand."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowFailureError

from orchestrator.actions.catalog import scan
from orchestrator.alerts.alert import Alert
from orchestrator.alerts.decode import Decoder, decode_sample
from orchestrator.alerts.explain import PLACE, Record, find, has_read, records_of, story_of
from orchestrator.alerts.record import Batch, PostgresRecorder, Received
from orchestrator.alerts.requests import StartRequest
from orchestrator.alerts.sources import NotAnAlert
from orchestrator.audit.database import make_engine
from orchestrator.audit.greeting import greet
from orchestrator.audit.kafka import Outgoing, PatientProducer
from orchestrator.bootstrap import Tocsin, connected, load
from orchestrator.cli.considered import Considered, in_folder, in_force
from orchestrator.cli.console import as_json, complain, read, say, table
from orchestrator.cli.operator import me
from orchestrator.errors import DeadLetter, FilesRefused, Refused, StackError, TocsinError, Unavailable
from orchestrator.language.packing import packer_for
from orchestrator.language.program import Playbook
from orchestrator.local.endpoints import current_endpoints
from orchestrator.matching.by_hand import (
    NotStarted,
    request_for_alert,
    request_with_inputs,
    typed_inputs,
    with_subs,
)
from orchestrator.policy.permission import permit
from orchestrator.settings import Settings, load_settings
from orchestrator.versions.registry import register

FileOrInput = Annotated[Path, Parameter(allow_leading_hyphen=True)]
"""a path, or `-`, which would be an option otherwise"""


async def send(file: FileOrInput, *, topic: str | None = None, json: bool = False) -> None:
    """Put alerts on the topic that intake reads.

    Parameters
    ----------
    file
        A file with one record a line, or `-` for standard input; a file that is one JSON object is one record.
    topic
        Another topic than the one of the settings.
    json
        One line of JSON instead of text: how many records were sent, and where.
    """
    settings = load_settings()
    records = records_of(read(file))
    if not records:
        raise TocsinError(f"{file}: holds no record; nothing was sent")
    bootstrap = current_endpoints(settings).kafka
    await asyncio.to_thread(greet, settings.kafka, bootstrap)
    topic = topic or settings.kafka.topics.alerts
    producer = PatientProducer(settings.kafka.client_options(bootstrap), topic, what="the records")
    await producer.write([Outgoing(record) for record in records])
    as_json({"sent": len(records), "topic": topic}) if json else say(
        f"{len(records)} record{'s' if len(records) != 1 else ''} sent to {topic}"
    )


async def run(
    playbook: str,
    *,
    alert: Path | None = None,
    input: dict[str, str] | None = None,  # noqa: A002 - the name of the option
    shadow: bool = False,
    wait: bool = True,
    json: bool = False,
) -> None:
    """Run a playbook by hand: on an alert from a file, whether it matches or not, or with inputs.

    Parameters
    ----------
    playbook
        Its name.
    alert
        A file with one alert, in any format that intake reads.
    input
        A value for one of its inputs, as --input.account alice; a list has commas between its values.
    shadow
        Record every write and send none.
    wait
        Wait for the end and say how it came out.
    json
        One line of JSON instead of a table: run, state, steps, outputs.
    """
    settings = load_settings()
    raw = read(alert) if alert is not None else None
    async with connected(settings, current_endpoints(settings)) as tocsin:
        made = _found(tocsin, playbook)
        await tocsin.first_policy()
        await permit(tocsin.engine, me(), "run", playbook)
        if raw is not None:
            request = await _with_alert(tocsin, made, raw, shadow=shadow)
        else:
            request = await _with_inputs(tocsin, made, input or {}, shadow=shadow)
        await tocsin.starter().start([request])
        if not json:
            say(f"started {request.workflow_id}")
        if wait:
            await _result(tocsin, request.workflow_id, json=json)


def _found(tocsin: Tocsin, name: str) -> Playbook:
    loaded = load(tocsin.settings, tocsin.catalog)
    if name not in loaded.playbooks:
        if loaded.errors:
            raise FilesRefused(list(loaded.errors))
        raise TocsinError(f"no playbook is named {name}; known: {', '.join(loaded.playbooks)}")
    return loaded.playbooks[name]


async def _with_alert(tocsin: Tocsin, playbook: Playbook, raw: bytes, *, shadow: bool) -> StartRequest:
    """The request, recorded like what intake asks for: without that the run would refuse itself.

    A run by hand is an event of its own: the same file again is another run.
    """
    await register(tocsin.engine, list(with_subs(playbook)))
    key, requester = f"run/{uuid.uuid4().hex}", _requester(tocsin, playbook)
    own, request, told = request_for_alert(playbook, decode_sample(raw), key, requester=requester, shadow=shadow)
    told |= {"by": requester, "trust": me().trust}
    received = Received(own, raw, "tocsin run", 0, 0, (told,), (request,))
    await PostgresRecorder(tocsin.engine).record(Batch(received=[received]))
    return request


async def _with_inputs(tocsin: Tocsin, playbook: Playbook, given: dict[str, str], *, shadow: bool) -> StartRequest:
    inputs = typed_inputs(playbook.model.inputs, given)
    key, packer = f"run/{uuid.uuid4().hex}", packer_for(tocsin.catalog.capabilities)
    request = request_with_inputs(
        playbook, inputs, key, packer, requester=_requester(tocsin, playbook), shadow=shadow
    )  # fmt: skip
    await register(tocsin.engine, list(with_subs(playbook)))
    await PostgresRecorder(tocsin.engine).ask_for(request, trust=me().trust)
    return request


def _requester(tocsin: Tocsin, playbook: Playbook) -> str:
    """Who starts it; where the site lists people, only those whom the playbook lets start it."""
    name = me().name
    manual = playbook.model.trigger.manual
    group = manual.by.group if manual is not None else None
    if group is not None and (barred := tocsin.people.refuse(name, group)):
        raise NotStarted(f"{playbook.name}: {barred}")
    return name


async def _result(tocsin: Tocsin, workflow_id: str, *, json: bool) -> None:
    try:
        result = await tocsin.temporal.get_workflow_handle(workflow_id).result()
    except WorkflowFailureError as error:
        raise TocsinError(f"the run failed: {error.cause}") from None
    if json:
        as_json({"run": workflow_id, **result})
        return
    table(("step", "status"), result.get("steps", {}).items())
    for name, value in result.get("outputs", {}).items():
        say(f"{name}: {value}")


async def explain(alert: str, *, json: bool = False) -> None:
    """Say why an alert started what it did, or nothing, by the playbooks in force.

    Says where the folder of playbooks holds something else. A file is explained by the folder alone where no servers
    run.

    Parameters
    ----------
    alert
        An alert's id or key, a file, or a place in Kafka as topic:partition:offset.
    json
        One line of JSON instead of text.
    """
    settings = load_settings()
    try:
        told = [one async for one in _explanations(settings, alert)]
    except (StackError, Unavailable) as error:
        if isinstance(error, Refused) or PLACE.fullmatch(alert) or not Path(alert).is_file():
            raise
        complain(f"{error}; explained by the folder {settings.playbooks} alone")
        considered = in_folder(settings, scan())
        told = [_by_folder(settings, raw, considered) for raw in records_of(read(Path(alert)))]
    for one in told:
        as_json(one) if json else _show(one)


async def _explanations(settings: Settings, alert: str) -> AsyncIterator[dict[str, object]]:
    """What there is to say of every record that is meant."""
    endpoints = current_endpoints(settings)
    if PLACE.fullmatch(alert):
        await asyncio.to_thread(greet, settings.kafka, endpoints.kafka)
    options, engine = settings.kafka.client_options(endpoints.kafka), make_engine(endpoints.database)
    try:
        considered = await in_force(engine, settings, scan())
        for record in await find(alert, engine, options):
            yield await _explained(settings, engine, options, record, considered)
    finally:
        await engine.dispose()


def _by_folder(settings: Settings, raw: bytes, folder: Considered) -> dict[str, object]:
    """What the folder's playbooks make of a record; nobody can say what became of it."""
    told, decoded = _decoded(settings, Record(raw=raw))
    if decoded is None:
        return told
    return told | {"id": decoded.id, "key": decoded.key, "title": decoded.title} | folder.told(decoded)


def _decoded(settings: Settings, record: Record) -> tuple[dict[str, object], Alert | None]:
    """Where the record is from, and the alert that it is, or why it is none."""
    told: dict[str, object] = {"from": record.place if record.topic != "file" else "file"}
    try:
        decoded = Decoder(settings.intake).decode(record.raw, record.topic, record.partition, record.offset)
    except DeadLetter as reason:
        return told | {"dead_letter": reason.reason, "message": str(reason)}, None
    if isinstance(decoded, NotAnAlert):
        return told | {"not_an_alert": decoded.kind}, None
    return told, decoded


async def _explained(
    settings: Settings, engine: AsyncEngine, options: dict[str, str], record: Record, considered: Considered
) -> dict[str, object]:
    """What the record is, what was written down about it, and what the playbooks of today make of it."""
    intake = settings.intake
    told, decoded = _decoded(settings, record)
    if decoded is None:
        return told
    key = record.key or decoded.key
    story = await story_of(engine, record, key)
    told |= {"id": decoded.id, "key": key, "title": decoded.title, **story.model_dump(mode="json")}
    if record.topic in (settings.kafka.topics.alerts, *intake.extra_topics) and not story.runs:
        with suppress(Unavailable):
            told["read"] = await asyncio.to_thread(has_read, options, intake.group, record)
    return told | considered.told(decoded)


def _show(told: dict[str, Any]) -> None:
    say("")
    for name in ("from", "id", "key", "title", "dead_letter", "message", "not_an_alert"):
        if told.get(name):
            say(f"{name}: {told[name]}")
    if told.get("conflict"):
        say("its id was known with other content, so it started nothing", "yellow")
    if told.get("read") is False:
        say("intake has not read it yet", "yellow")
    today = {one["playbook"]: one for one in told.get("playbooks", [])}
    for one in told.get("chosen", []):
        changed = "" if today.get(one["playbook"], {}).get("digest") == one["digest"] else ", a version of then"
        say(f"\n{one['playbook']}: chosen at {one['at']}{changed}", "green")
        _show_values(one["values"])
    for one in today.values():
        say(f"\n{one['playbook']}: {'matches' if one['holds'] else 'does not match'}", "" if one["holds"] else "yellow")
        say(f"  {one['match']}", "dim")
        _show_values(one["values"])
        if one["error"]:
            say(f"  error: {one['error']}", "red")
    if told.get("by") == "in force" and not today:
        say("\nno playbook is in force that an alert could start", "yellow")
    for name, words in told.get("folder_differs", {}).items():
        say(f"\n{name} {words}", "yellow")
    for one in told.get("runs", []):
        say(f"\n{one['how']}: {one['run']} ({one['state']}), workflow {one['workflow_id']}")


def _show_values(values: dict[str, object]) -> None:
    for path, value in values.items():
        say(f"  {path} = {value!r}")
