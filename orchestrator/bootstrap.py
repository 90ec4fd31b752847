"""Build every client once and hand it to those that need it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker

from orchestrator.actions.acting import Acting, build_acting
from orchestrator.actions.breakers import Breakers
from orchestrator.actions.catalog import Catalog, scan
from orchestrator.actions.evidence import own_evidence
from orchestrator.actions.history import own_history
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.list_entries import ListEntries
from orchestrator.actions.maintenance import Maintenance
from orchestrator.actions.modes import Modes
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.own_infrastructure import own_hosts
from orchestrator.actions.pace import Pace
from orchestrator.actions.reaper import Reaper
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import Site, build_site
from orchestrator.actions.site_lists import SiteNow, site_lists
from orchestrator.alerts.dead_letters import DeadLetterTopic
from orchestrator.alerts.decode import Decoder
from orchestrator.alerts.intake import Intake
from orchestrator.alerts.record import PostgresRecorder
from orchestrator.audit.database import greet, make_engine
from orchestrator.audit.kafka import PatientProducer
from orchestrator.audit.keeper import Duty, Keeper
from orchestrator.audit.relay import Relay
from orchestrator.audit.sequencer import Sequencer
from orchestrator.errors import FilesRefused
from orchestrator.language.loader import Loaded, Read, check_all, files_of, load_playbooks
from orchestrator.language.reference_files import ReferenceKeeper, load_reference
from orchestrator.local.endpoints import Endpoints
from orchestrator.matching.choose import PlaybooksInForce
from orchestrator.policy.file import find_policy
from orchestrator.policy.follower import PolicyFollower
from orchestrator.policy.in_force import PolicyInForce, Recorded
from orchestrator.policy.section import Known
from orchestrator.policy.store import PolicyStore
from orchestrator.settings import Settings
from orchestrator.versions.check import FolderCheck
from orchestrator.versions.follower import Follower, OnChange, nobody
from orchestrator.versions.reference import ReferenceStore
from orchestrator.versions.registry import Registry
from orchestrator.workflow.above import AboveBudgets
from orchestrator.workflow.activities import Activities
from orchestrator.workflow.approval import People, names
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.client import connect, keep_token_fresh
from orchestrator.workflow.questions import Questions
from orchestrator.workflow.schedules import Schedules
from orchestrator.workflow.start import TemporalStarter
from orchestrator.workflow.sweeper import Sweeper
from orchestrator.workflow.turns import Turns
from orchestrator.workflow.worker import make_worker


@dataclass
class Tocsin:
    """The process's clients, and what is made of them."""

    settings: Settings
    endpoints: Endpoints
    catalog: Catalog
    engine: AsyncEngine
    temporal: Client
    site: Site
    reference: ReferenceKeeper

    @property
    def people(self) -> People:
        """Who may start, approve and answer."""
        return names((person.name, person.groups) for person in self.settings.approvals.people)

    def schedules(self) -> Schedules:
        """What keeps Temporal's schedules to the playbooks in force."""
        return Schedules(self.temporal, self.settings.temporal.task_queue)

    def acting(self) -> Acting:
        """What acts at the site's integrations, and what takes it back."""
        ledger = PostgresLedger(self.engine)
        guard = never_touch_of(self.settings, self.endpoints, self.catalog, self.reference)
        capabilities, mode, policy = self.catalog.capabilities, self.settings.mode, self.policy()
        return build_acting(
            capabilities,
            self.site,
            ledger,
            Sender(ledger, doors=Breakers(self.engine)),
            never_touch=guard,
            policy=policy,
            reference=self.reference.current,
            mode=mode,
            pace=Pace(self.engine, policy),
            maintenance=Maintenance(self.engine, policy, self.reference.current),
        )

    def worker(self) -> Worker:
        """What executes runs."""
        acting = self.acting()
        activities = Activities(
            client=self.temporal,
            gateway=acting.gateway,
            undoing=acting.undoing,
            claims=Claims(self.engine),
            questions=Questions(self.engine),
            turns=Turns(self.temporal, self.engine),
            people=self.people,
            site=SiteNow(self.reference, ListEntries(self.engine)).snapshot,
            modes=self.modes(),
            above=AboveBudgets(self.engine, acting.gateway.as_asked),
        )
        return make_worker(self.temporal, self.settings.temporal.task_queue, activities, self.settings.worker)

    def intake(self, playbooks: PlaybooksInForce, *, eager: bool) -> Intake:
        """What reads alerts; `eager` where a worker runs in the same process."""
        kafka = self.settings.kafka
        options = kafka.client_options(self.endpoints.kafka)
        return Intake(
            options=options,
            topics=[kafka.topics.alerts, *self.settings.intake.extra_topics],
            settings=self.settings.intake,
            decoder=Decoder(self.settings.intake),
            matcher=playbooks,
            recorder=PostgresRecorder(self.engine),
            dead_letters=DeadLetterTopic(options, kafka.topics.dead_letters),
            starter=self.starter(eager=eager),
        )

    def starter(self, *, eager: bool = False) -> TemporalStarter:
        """What starts runs."""
        return TemporalStarter(self.temporal, self.settings.temporal.task_queue, eager=eager, modes=self.modes())

    def keeper(self) -> Keeper:
        """What keeps the standing duties."""
        options = self.settings.kafka.client_options(self.endpoints.kafka)
        producer = PatientProducer(options, self.settings.kafka.topics.audit, what="the audit")
        keeper = self.settings.keeper
        acting = self.acting()
        duties: list[Duty] = [
            Sequencer(self.engine),
            Relay(self.engine, producer, batch=keeper.batch),
            Reaper(acting.ledger, acting.undoing),
            Sweeper(self.temporal, self.engine, self.settings.temporal.task_queue, Turns(self.temporal, self.engine)),
        ]
        return Keeper(self.engine, duties, poll_seconds=keeper.poll_seconds)

    async def first_policy(self) -> None:
        """Put the folder's policy in force where none is yet: what runs by hand before any intake has looked is held

        to it too. Raises `FilesRefused` where that has mistakes.
        """
        if await self._policies().digest() is not None:
            return
        parsed = find_policy(self.settings.playbooks).parsed(self._known())
        if parsed.errors:
            raise FilesRefused(parsed.errors)
        if parsed.policy is not None:
            await self._policies().put(parsed.policy)

    def policy(self) -> PolicyInForce:
        """The policy in force."""
        return Recorded(self._policies())

    def modes(self) -> Modes:
        """In which mode runs are, and what they send."""
        return Modes(self.policy(), self.settings.mode)

    def _policies(self) -> PolicyStore:
        return PolicyStore(self.engine, by=_process())

    def _known(self) -> Known:
        return known_here(self.settings, self.catalog)

    def _check_all(self, reads: Sequence[Read]) -> Loaded:
        return check_all(reads, self.catalog.capabilities, self.reference.current())

    def follower(self, playbooks: PlaybooksInForce, *, on_change: OnChange = nobody) -> Follower:
        """What keeps `playbooks` to what is in force as files change; `on_change` is told too."""
        store = ReferenceStore(self.engine)
        policy = PolicyFollower(self.settings.playbooks, self._policies(), self._known)
        return Follower(
            folder=self.settings.playbooks,
            check=FolderCheck(self._check_all, beside=lambda: self.reference.current().outline()),
            registry=Registry(self.engine, by=_process()),
            replace=playbooks.replace,
            on_change=on_change,
            before=policy.look,
            keep=lambda: store.keep(self.reference.good()),
            poll_seconds=self.settings.intake.look_seconds,
        )


def _process() -> str:
    """This process, for the record."""
    return f"{socket.gethostname()}:{os.getpid()}"


def known_here(settings: Settings, catalog: Catalog) -> Known:
    """What a policy can name here; integrations only where any are configured, since a checkout alone has none."""
    effects = {name: one.effect for name, one in catalog.capabilities.items()}
    playbooks = {path.stem for path in files_of(settings.playbooks)}
    data = load_reference(settings.playbooks).data
    lists = {name: one.type.value for name, one in data.lists.items()}
    groups = {group for person in settings.approvals.people for group in person.groups}
    return Known(
        effects,
        playbooks,
        set(settings.integrations) or None,
        lists=lists,
        groups=groups or None,
        calendars=data.calendars,
    )


def load(settings: Settings, catalog: Catalog) -> Loaded:
    """The playbooks of the settings' folder."""
    return load_playbooks(settings.playbooks, catalog.capabilities, ReferenceKeeper(settings.playbooks).current())


@asynccontextmanager
async def acting_alone(settings: Settings, endpoints: Endpoints) -> AsyncIterator[tuple[AsyncEngine, Site, Acting]]:
    """What acts, with the database and the site's integrations alone: it works while Temporal and Kafka are away."""
    async with at_the_site(settings, endpoints) as (engine, catalog, reference, site):
        ledger = PostgresLedger(engine)
        guard = never_touch_of(settings, endpoints, catalog, reference)
        capabilities, mode = catalog.capabilities, settings.mode
        policy = Recorded(PolicyStore(engine))
        yield (
            engine,
            site,
            build_acting(
                capabilities,
                site,
                ledger,
                Sender(ledger, doors=Breakers(engine)),
                never_touch=guard,
                policy=policy,
                reference=reference.current,
                mode=mode,
                pace=Pace(engine, policy),
                maintenance=Maintenance(engine, policy, reference.current),
            ),
        )


@asynccontextmanager
async def at_the_site(
    settings: Settings, endpoints: Endpoints
) -> AsyncIterator[tuple[AsyncEngine, Catalog, ReferenceKeeper, Site]]:
    """The database, and what the site has; closed at the end. Neither Temporal nor Kafka is needed."""
    catalog = scan()
    engine = make_engine(endpoints.database, pool=settings.database.pool)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        reference = await reference_of(settings.playbooks, engine)
        lists = site_lists(SiteNow(reference, ListEntries(engine)))
        doors = Breakers(engine)
        own = [lists, own_history(engine, catalog.capabilities), own_evidence(lambda: site, doors)]
        site = build_site(catalog, settings.integrations, settings.routes, own)
        stack.push_async_callback(site.close)
        yield engine, catalog, reference, site


@asynccontextmanager
async def connected(settings: Settings, endpoints: Endpoints) -> AsyncIterator[Tocsin]:
    """All clients, connected; closed at the end."""
    async with AsyncExitStack() as stack:
        engine, catalog, reference, site = await stack.enter_async_context(at_the_site(settings, endpoints))
        await greet(engine)
        temporal = await connect(settings.temporal, endpoints.temporal)
        token = asyncio.create_task(keep_token_fresh(temporal, settings.temporal))
        try:
            yield Tocsin(settings, endpoints, catalog, engine, temporal, site, reference)
        finally:
            token.cancel()


def never_touch_of(
    settings: Settings, endpoints: Endpoints, catalog: Catalog, reference: ReferenceKeeper
) -> NeverTouch:
    """What is touched by nothing: the site's lists as they are now, and the servers and products of these settings."""
    servers = (endpoints.kafka, endpoints.temporal, endpoints.temporal_ui, endpoints.database)
    return NeverTouch(catalog.capabilities, reference.never_touch, own_hosts(servers, settings.integrations))


async def reference_of(playbooks: Path, engine: AsyncEngine) -> ReferenceKeeper:
    """The site's lists and calendars; of a file that is broken, what was good last, where the database has that."""
    try:
        return ReferenceKeeper(playbooks)
    except FilesRefused:
        return ReferenceKeeper(playbooks, before=await ReferenceStore(engine).last())
