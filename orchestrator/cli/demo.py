"""`tocsin demo`: the main job, live, on this machine."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn

from confluent_kafka import Producer
from rich.text import Text

from orchestrator.audit.reading import about
from orchestrator.bootstrap import Tocsin, connected
from orchestrator.cli.audit import show_record
from orchestrator.cli.console import as_json, complain, err, out, say, table
from orchestrator.cli.serve import leave, running
from orchestrator.errors import TocsinError
from orchestrator.local.demo.counts import Counts, count, latencies, unattended
from orchestrator.local.demo.narrator import Narrator
from orchestrator.local.folders import empty_folder
from orchestrator.local.kafka import builtin_test_broker, have_jars
from orchestrator.local.lab import Lab
from orchestrator.local.prepare import prepare, prepare_without_topics
from orchestrator.local.stack import running_stack
from orchestrator.logs import set_up_logs
from orchestrator.settings import IntakeSettings, KafkaSettings, KeeperSettings, LogSettings, Settings, load_settings
from orchestrator.workflow.messages import Answer
from orchestrator.workflow.questions import ApprovalRow, Questions

RECORDING = Path("samples/suricata/demo.eve.jsonl")
BROKEN = b'{"timestamp": "2026-05-06T10:01:00.000000+0000", "event_type": "alert", "alert": {"signature": "cut off'
"""a record that a sensor left half written: it must end as a dead letter, and stop nothing"""
PATIENCE = 60.0


def demo(*, json: bool = False, stay: bool | None = None) -> NoReturn:
    """Play alerts of a real Suricata through the whole path, and show every step.

    Starts Kafka, Temporal and Postgres on free loopback ports, and the lab, which plays the firewall, the directory and
    the ticket system. A critical attack is blocked with nobody in the loop; another one waits for you. On a terminal it
    stays until Ctrl-C; without one it answers itself, prints the summary and ends. Everything it started ends with it.

    Parameters
    ----------
    json
        End with one line of JSON: alerts, started, joined, unmatched, dead_lettered, actions, intents, outcomes,
        published.
    stay
        Stay until Ctrl-C; the default on a terminal.
    """
    stays = sys.stdout.isatty() if stay is None else stay
    try:
        code = asyncio.run(_demo(json=json, stay=stays))
    except TocsinError as error:
        complain(str(error))
        code = 2
    except KeyboardInterrupt:
        code = 130
    leave(code)


async def _demo(*, json: bool, stay: bool) -> int:
    set_up_logs(LogSettings(level="error"))
    settings = load_settings()
    if not (settings.playbooks / RECORDING).exists():
        raise TocsinError(
            f"{settings.playbooks / RECORDING} is missing, which the demo plays: run it in a checkout, or name the "
            "playbooks of one: TOCSIN_PLAYBOOKS=..."
        )
    async with AsyncExitStack() as stage:
        home = stage.enter_context(empty_folder(settings.home, "demo"))
        tocsin, lab = await stage.enter_async_context(_stage(home))
        # from here on there is something to end in order; before, Ctrl-C is quicker without us
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        roles = asyncio.create_task(running(tocsin, ("intake", "worker", "keeper"), stop))
        show = asyncio.create_task(_show(tocsin, lab, home, stop, stay=stay))
        try:
            await asyncio.wait([roles, show], return_when=asyncio.FIRST_COMPLETED)
            if roles.done() and not stop.is_set():
                roles.result()
                raise TocsinError("a role ended before the demo did")
            counts = await show
        finally:  # the roles end before the servers do
            stop.set()
            await asyncio.wait([roles])
    if json:
        as_json(counts.model_dump(exclude={"events", "running", "waiting"}))
    return 0 if counts.settled or stay else 1


@asynccontextmanager
async def _stage(home: Path) -> AsyncIterator[tuple[Tocsin, Lab]]:
    """Servers, lab and clients, all ended at the end."""
    async with AsyncExitStack() as stage:
        settings = load_settings()
        kafka = KafkaSettings()
        real = have_jars() or shutil.which("mvn") is not None
        if not real:
            complain(
                "There is no Maven here to fetch Kafka with: this demo uses librdkafka's test broker, in memory only."
            )
            kafka = KafkaSettings(bootstrap=stage.enter_context(builtin_test_broker()))
        err.print("Starting the servers (the first time they are fetched, which takes a minute) ...")
        base = Settings(home=home, playbooks=settings.playbooks, kafka=kafka)
        endpoints = await stage.enter_async_context(running_stack(base, folder=home, on_progress=_progress))
        lab = await stage.enter_async_context(Lab(home / "lab"))
        site = base.model_copy(
            update={
                "intake": IntakeSettings(look_seconds=0.1),
                "keeper": KeeperSettings(poll_seconds=0.1),
                "integrations": {"lab": {"url": lab.url, "token": lab.token}},
            }
        )
        await (prepare if real else prepare_without_topics)(site, endpoints)
        yield await stage.enter_async_context(connected(site, endpoints)), lab


def _progress(part: str, what: str) -> None:
    err.print(f"  {part:<9} {what}", style="green" if what.startswith("ready") else "dim")


async def _show(tocsin: Tocsin, lab: Lab, home: Path, stop: asyncio.Event, *, stay: bool) -> Counts:
    """Play, narrate, let somebody answer, sum up."""
    _links(tocsin, lab)
    narrator = Narrator(tocsin.engine, lambda line, style: out.print(Text(line, style=style)))
    sent = await _play(tocsin, narrator, stop, pause=0.15 if stay else 0.01)
    counts = await _settle(tocsin, narrator, sent, stop)
    if stop.is_set():
        return counts
    waiting = await Questions(tocsin.engine).listed()
    if stay:
        blocked = await unattended(tocsin.engine)
        await _audit_of(tocsin, [one.run for one in blocked])
        await _sum_up(tocsin, counts)
        _invite(tocsin, waiting, home)
        await _until_told(narrator, stop, home)
        return await count(tocsin.engine, sent)
    _invite(tocsin, waiting, home)
    for row in waiting:
        await _approve(tocsin, row)
    counts = await _settle(tocsin, narrator, sent, stop, nothing_waits=True)
    await _audit_of(tocsin, [row.run for row in waiting])
    await _sum_up(tocsin, counts)
    return counts


async def _until_told(narrator: Narrator, stop: asyncio.Event, home: Path) -> None:
    """Tell what happens until Ctrl-C."""
    say(f"The audit of any run: {_command(home)} audit show RUN")
    say("Stays until Ctrl-C. Answer the question above, look at the lab and at Temporal.", "bold")
    while not stop.is_set():
        await narrator.catch_up()
        await _rest(stop, 0.3)


def _links(tocsin: Tocsin, lab: Lab) -> None:
    say("")
    say(f"Temporal's UI  {tocsin.endpoints.temporal_ui}")
    say(f"The lab        {lab.url}")
    say("")


async def _play(tocsin: Tocsin, narrator: Narrator, stop: asyncio.Event, *, pause: float) -> int:
    """Send the recording and one broken record; how many alerts that were, dead letters included."""
    lines = (tocsin.settings.playbooks / RECORDING).read_bytes().splitlines()
    half = len(lines) // 2
    records = [*lines[:half], BROKEN, *lines[half:]]
    options = tocsin.settings.kafka.client_options(tocsin.endpoints.kafka)
    producer = Producer({**options, "acks": "all", "linger.ms": 0})
    sent = 0
    for record in records:
        if stop.is_set():
            break
        producer.produce(tocsin.settings.kafka.topics.alerts, record)
        producer.poll(0)
        sent += b'"event_type": "alert"' in record
        await narrator.catch_up()
        await asyncio.sleep(pause)
    await asyncio.to_thread(producer.flush)
    return sent


async def _settle(
    tocsin: Tocsin, narrator: Narrator, sent: int, stop: asyncio.Event, *, nothing_waits: bool = False
) -> Counts:
    """Wait until everything is accounted for."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        counts = await count(tocsin.engine, sent)
        await narrator.catch_up()
        if stop.is_set() or (counts.settled and not (nothing_waits and counts.waiting)):
            return counts
        if asyncio.get_running_loop().time() > deadline:
            raise TocsinError(f"not everything came to an end within {PATIENCE:g} s: {counts}")
        await _rest(stop, 0.1)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def _invite(tocsin: Tocsin, waiting: list[ApprovalRow], home: Path) -> None:
    """How to answer: at the link, or with the command."""
    ui = f"{tocsin.endpoints.temporal_ui}/namespaces/{tocsin.settings.temporal.namespace}/workflows/"
    for row in waiting:
        say(f"\nOne run waits for a person: {row.run}", "bold yellow")
        say(f"  in Temporal's UI: {ui}{row.workflow_id.replace('/', '%2F')}")
        say(
            f'    More actions, Send a signal, `approve`, and paste: {{"step": "{row.step}", "digest": "{row.digest}"}}'
        )
        say(f"  or in another terminal: {_command(home)} approve {row.run} --step {row.step}\n")


def _command(home: Path) -> str:
    """How to call us from another terminal, in the folder in which the demo was called."""
    ours = ".venv/bin/tocsin" if Path(".venv/bin/tocsin").exists() else "tocsin"
    return f"TOCSIN_HOME={shlex.quote(str(home))} {ours}"


async def _approve(tocsin: Tocsin, row: ApprovalRow) -> None:
    say("Nobody sits at a terminal here, so the demo approves this one itself.", "dim")
    handle = tocsin.temporal.get_workflow_handle(row.workflow_id)
    await handle.signal("approve", Answer(step=row.step, digest=row.digest, note="the demo, nobody at the terminal"))


async def _audit_of(tocsin: Tocsin, runs: list[str]) -> None:
    """The record of one of these."""
    for run in runs[:1]:
        say(f"\nThe audit of {run} (a star: published to Kafka):", "bold")
        for record in await about(tocsin.engine, run):
            show_record(record)


async def _sum_up(tocsin: Tocsin, counts: Counts) -> None:
    say(
        f"\n{counts.alerts} alerts = {counts.started} started + {counts.joined} joined + {counts.unmatched} unmatched"
        f" + {counts.dead_lettered} dead letters"
    )
    say(
        f"{counts.actions} actions: {counts.intents} intents, {counts.outcomes} outcomes;"
        f" {counts.published} audit events on Kafka"
    )
    say(
        "every alert is accounted for" if counts.accounted else "NOT every alert is accounted for",
        "green" if counts.accounted else "red",
    )
    say("")
    rows = await latencies(tocsin.engine)
    table(
        ("action", "calls", "median", "worst"),
        ((name, n, f"{p50:.1f} ms", f"{worst:.1f} ms") for name, n, p50, worst in rows),
    )
    for one in await unattended(tocsin.engine):
        say(f"from alert to confirmed block with nobody in the loop: {one.milliseconds:.0f} ms", "bold")
