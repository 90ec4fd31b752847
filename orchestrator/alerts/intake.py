"""The intake: from Kafka to started runs, with nothing lost and nothing started twice.

Three loops hand work to one another. *Reading* polls Kafka and never stops doing so, since the group would take a
silent member's partitions. *Recording* decodes, matches and writes each batch in one transaction. *Starting* takes the
most severe alert that is waiting. An offset is committed when every record up to it was started, dead-lettered or
recorded as starting nothing; a crash at any point only means that some records are read again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.decode import Decoder
from orchestrator.alerts.offsets import Offsets
from orchestrator.alerts.record import Batch, Dead, Received, Recorded
from orchestrator.alerts.requests import Chosen, Matcher, Started, Starter, StartRequest
from orchestrator.alerts.sources import NotAnAlert
from orchestrator.audit.kafka import Trouble
from orchestrator.contract.values import Severity
from orchestrator.errors import DeadLetter, SettingsError, Unavailable
from orchestrator.settings import IntakeSettings

log = structlog.get_logger()
T = TypeVar("T")
LONGEST_PAUSE = 5.0


class Recorder(Protocol):
    """Writes what was read; raises `Unavailable` to be asked again."""

    async def record(self, batch: Batch) -> Recorded:
        """Write the batch."""
        ...


class DeadLetters(Protocol):
    """Takes what can never become a run; raises `Unavailable` to be asked again."""

    async def write(self, dead: Sequence[Dead]) -> None:
        """Write them and wait until they are safe."""
        ...


@dataclass
class IntakeCounts:
    """What this process has done since it began. Redelivered records are counted apart from new ones."""

    read: int = 0
    started: int = 0
    joined: int = 0
    unmatched: int = 0
    other: int = 0
    dead_lettered: int = 0
    redelivered: int = 0
    conflicts: int = 0


@dataclass
class _Waiting:
    """One record until all its runs are started, or refused for ever."""

    message: _Read
    open: int
    became: set[Started] = field(default_factory=set)
    refused: DeadLetter | None = None


@dataclass(frozen=True)
class _Read:
    """A record as read, without Kafka's own types; `at` is its time in seconds."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    at: float = 0.0

    @property
    def size(self) -> int:
        """What it takes in memory, roughly."""
        return len(self.value or b"") + 200


@dataclass(order=True)
class _Start:
    """Starts that share a workflow id, the most severe first, then the oldest."""

    order: tuple[int, int]
    requests: list[tuple[StartRequest, _Waiting]] = field(compare=False)


class Intake:
    """Reads the alert topics until it is stopped."""

    def __init__(
        self,
        *,
        options: Mapping[str, str],
        topics: Sequence[str],
        settings: IntakeSettings,
        decoder: Decoder,
        matcher: Matcher,
        recorder: Recorder,
        dead_letters: DeadLetters,
        starter: Starter,
    ) -> None:
        self.counts = IntakeCounts()
        self._topics = list(topics)
        self._settings = settings
        self._decoder = decoder
        self._matcher = matcher
        self._recorder = recorder
        self._dead_letters = dead_letters
        self._starter = starter
        self._consumer = Consumer({**consumer_options(settings), **Trouble("intake").options, **options})
        self._offsets = Offsets()
        self._batches: asyncio.Queue[list[_Read]] = asyncio.Queue(maxsize=2)
        self._starts: asyncio.PriorityQueue[_Start] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._stopping = asyncio.Event()
        self._paused: bool | None = None
        self.idle = asyncio.Event()

    def stop(self) -> None:
        """Finish what is under way, commit, leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until stopped. What is unavailable is waited for; anything unexpected ends it, uncommitted."""
        self._consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        workers = [asyncio.create_task(self._record_all())]
        workers += [asyncio.create_task(self._start_all()) for _ in range(self._settings.concurrent_starts)]
        reading = asyncio.create_task(self._read_all())
        try:
            await _first_to_end([reading, *workers])
            await self._drain()
        finally:
            for worker in (reading, *workers):
                worker.cancel()
            await asyncio.gather(reading, *workers, return_exceptions=True)
            await asyncio.to_thread(self._leave)

    async def _read_all(self) -> None:
        while not self._stopping.is_set():
            self._mind_the_backlog()
            messages = await asyncio.to_thread(self._consumer.consume, self._settings.batch, 0.1)
            batch = [read for read in map(self._taken, messages) if read is not None]
            for read in batch:
                progress = self._offsets.assigned(read.topic, read.partition)
                progress.read(read.offset, read.size)
            self.counts.read += len(batch)
            if batch:
                self.idle.clear()
                await self._batches.put(batch)
            elif self._offsets.bytes == 0:
                self.idle.set()
            await self._commit()

    def _taken(self, message: Message) -> _Read | None:
        """A record; None for what the client reports beside records, which it mends by itself."""
        error = message.error()
        if error is None:
            at = message.timestamp()[1] / 1000
            place = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
            return _Read(*place, message.value(), at)
        if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise SettingsError(
                f"Kafka does not let us read ({error.str()}); grant the user of kafka.username or "
                f"kafka.certificate_file Read on {', '.join(self._topics)} and on the group {self._settings.group} "
                "(intake.group)"
            )
        if error.fatal():
            raise KafkaException(error)
        log.warning("intake.kafka", error=error.str())
        return None

    def _mind_the_backlog(self) -> None:
        """Stop fetching while too much is read and not done; polling goes on, so the group keeps us."""
        full = self._batches.full() or self._offsets.bytes > self._settings.read_ahead_bytes
        if full != self._paused:
            ours = [TopicPartition(*place) for place in self._offsets.owned()]
            try:
                (self._consumer.pause if full else self._consumer.resume)(ours)
            except KafkaException as error:  # a partition left us in this moment: the next round sees what is ours
                log.warning("intake.pause_failed", error=str(error))
                return
            self._paused = full

    async def _record_all(self) -> None:
        while True:
            batch = await self._batches.get()
            await self._record(batch)
            self._batches.task_done()

    async def _record(self, reads: list[_Read]) -> None:
        """Decode, match and record a batch, then hand its starts on."""
        batch = Batch()
        chosen: dict[_Read, Received] = {}
        for read in reads:
            self._sort(read, batch, chosen)
        if batch.dead:
            await self._until_available(lambda: self._dead_letters.write(batch.dead))
        recorded = await self._until_available(lambda: self._recorder.record(batch))
        self._count(batch, recorded)
        groups: dict[str, list[tuple[StartRequest, _Waiting]]] = {}
        for read in reads:
            if read not in chosen:
                self._done(read)
                continue
            self._hand_on(read, chosen[read], recorded, groups)
        for requests in groups.values():
            worst = max(Severity.parse(request.severity).rank for request, _ in requests)
            self._starts.put_nowait(_Start((-worst, next(self._numbers)), requests))

    def _sort(self, read: _Read, batch: Batch, chosen: dict[_Read, Received]) -> None:
        """What a record is: dead, no alert, an alert without a playbook, or one with."""
        try:
            alert = self._decoder.decode(read.value, read.topic, read.partition, read.offset)
            matched = [] if isinstance(alert, NotAnAlert) else self._matcher.choose(alert)
            if isinstance(alert, NotAnAlert) or not matched:
                is_alert = not isinstance(alert, NotAnAlert)
                batch.nothing(read.topic, read.partition, read.offset, alert=is_alert, at=read.at)
                return
        except DeadLetter as reason:
            batch.dead.append(_dead(read, reason))
            return
        requests, refused = _asked(alert, matched)
        if refused is not None:
            batch.dead.append(_dead(read, refused))
        if requests:
            told = tuple(one.told for one in matched)
            received = Received(alert, read.value or b"", read.topic, read.partition, read.offset, told, requests)
            batch.received.append(received)
            chosen[read] = received

    def _hand_on(
        self,
        read: _Read,
        received: Received,
        recorded: Recorded,
        groups: dict[str, list[tuple[StartRequest, _Waiting]]],
    ) -> None:
        """Put the starts of one alert to those that wait; other bytes under a known key start nothing."""
        if f"{read.topic}:{read.partition}:{read.offset}" in recorded.conflicts:
            self._done(read)
            return
        open_ = [one for one in received.requests if (one.playbook, one.alert_key) not in recorded.claimed]
        if not open_:
            self.counts.redelivered += 1
            self._done(read)
            return
        waiting = _Waiting(read, len(open_))
        for request in open_:
            groups.setdefault(request.workflow_id, []).append((request, waiting))

    async def _start_all(self) -> None:
        while True:
            start = await self._starts.get()
            await self._start(start)
            self._starts.task_done()

    async def _start(self, start: _Start) -> None:
        """Start, or find that it cannot be."""
        requests = [request for request, _ in start.requests]
        try:
            became = await self._until_available(lambda: self._starter.start(requests))
        except DeadLetter as reason:
            if len(start.requests) > 1:  # one of them is too large, and the others must not be lost with it
                for one in start.requests:
                    await self._start(_Start(start.order, [one]))
                return
            [(_, waiting)] = start.requests
            waiting.refused = reason
            await self._one_less(waiting)
            return
        for (_, waiting), what in zip(start.requests, became, strict=True):
            waiting.became.add(what)
            await self._one_less(waiting)

    async def _one_less(self, waiting: _Waiting) -> None:
        """One of its runs is started or never will be; with the last of them the record is done."""
        waiting.open -= 1
        if waiting.open:
            return
        if waiting.refused is not None:
            await self._bury(waiting.message, waiting.refused)
        self._count_start(waiting)
        self._done(waiting.message)

    def _count_start(self, waiting: _Waiting) -> None:
        """Each record once, by the first that is true of it."""
        if Started.STARTED in waiting.became:
            self.counts.started += 1
        elif Started.JOINED in waiting.became:
            self.counts.joined += 1
        elif waiting.refused is not None:
            self.counts.dead_lettered += 1
        elif Started.NOTHING in waiting.became:
            self.counts.unmatched += 1
        else:
            self.counts.redelivered += 1

    def _count(self, batch: Batch, recorded: Recorded) -> None:
        living = {(one.topic, one.partition, one.offset) for one in batch.received}
        self.counts.dead_lettered += sum((one.topic, one.partition, one.offset) not in living for one in batch.dead)
        self.counts.unmatched += recorded.unmatched
        self.counts.other += recorded.other
        nothing = sum(len(stretch.places) for stretch in batch.stretches.values())
        self.counts.redelivered += nothing - recorded.unmatched - recorded.other
        self.counts.conflicts += len(recorded.conflicts)

    async def _bury(self, read: _Read, reason: DeadLetter) -> None:
        """A record that turned out to be dead after it was recorded."""
        batch = Batch(dead=[_dead(read, reason)])
        await self._until_available(lambda: self._dead_letters.write(batch.dead))
        await self._until_available(lambda: self._recorder.record(batch))

    async def _until_available(self, work: Callable[[], Awaitable[T]]) -> T:
        """Try until the server is there again; nothing is committed meanwhile, so nothing is lost."""
        pause = 0.1
        while True:
            try:
                return await work()
            except Unavailable as error:
                log.warning("intake.waiting", error=str(error), seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _done(self, read: _Read) -> None:
        progress = self._offsets.of(read.topic, read.partition)
        if progress is not None:
            progress.done(read.offset, read.size)

    async def _commit(self) -> None:
        offsets = self._offsets.to_commit()
        if offsets:
            await asyncio.to_thread(self._commit_now, offsets)

    def _commit_now(self, offsets: dict[tuple[str, int], int]) -> None:
        """Commit; a partition that is no longer ours is refused by the broker, and its new owner reads it again."""
        if not offsets:
            return
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            log.warning("intake.commit_refused", error=str(error))
            return
        self._offsets.committed(offsets)

    async def _drain(self) -> None:
        """Finish what was read, for as long as the settings allow a stop to take."""
        finished = asyncio.gather(self._batches.join(), self._finish_starts())
        try:
            await asyncio.wait_for(finished, timeout=10)
        except TimeoutError:
            log.warning("intake.left_undone", bytes=self._offsets.bytes)
        await self._commit()

    async def _finish_starts(self) -> None:
        await self._batches.join()
        await self._starts.join()

    def _leave(self) -> None:
        try:
            self._consumer.close()
        except KafkaException as error:
            log.warning("intake.close", error=str(error))

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._offsets.assigned(one.topic, one.partition)
        self._paused = None  # some are paused and some are not: the next round makes them one again
        log.info("intake.assigned", partitions=[f"{one.topic}:{one.partition}" for one in partitions])

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """What is done is committed while the partitions are still ours; the rest is the next owner's."""
        leaving = {(one.topic, one.partition) for one in partitions}
        self._commit_now({place: offset for place, offset in self._offsets.to_commit().items() if place in leaving})
        self._lost(_, partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._offsets.revoked(one.topic, one.partition)
        log.info("intake.revoked", partitions=[f"{one.topic}:{one.partition}" for one in partitions])


def consumer_options(settings: IntakeSettings) -> dict[str, Any]:
    """The consumer's options: commits are ours alone, the group moves partitions without stopping the rest."""
    return {
        "group.id": settings.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 6_000,  # the least that brokers allow: so long do the partitions of a killed one wait
        "heartbeat.interval.ms": 1_000,
        "max.partition.fetch.bytes": 17 * 1024 * 1024,
        "fetch.message.max.bytes": 17 * 1024 * 1024,
        "queued.max.messages.kbytes": 65_536,
        "fetch.wait.max.ms": 50,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def _asked(alert: Alert, matched: Sequence[Chosen]) -> tuple[tuple[StartRequest, ...], DeadLetter | None]:
    """The runs to start, and why some never can be: one playbook that reads too much stops no other."""
    requests, refused = [], None
    for one in matched:
        try:
            requests.append(one.request(alert))
        except DeadLetter as reason:
            refused = reason
    return tuple(requests), refused


def _dead(read: _Read, reason: DeadLetter) -> Dead:
    return Dead(read.topic, read.partition, read.offset, read.value or b"", reason.reason, reason.place, reason.message)


async def _first_to_end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until reading ends, or anything fails: a worker that is gone must not go unnoticed."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
