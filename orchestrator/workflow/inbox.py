"""The alerts that join a run: what arrived, what its steps have seen, and what goes on to the next run. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.alerts.requests import encoded
from orchestrator.contract.values import Severity
from orchestrator.language.host import Joined
from orchestrator.workflow.messages import Carried, JoinedAlert, RunStart, SeverityName, TakenAlert

MOST_JOINED = 100
"""joined alerts that expressions see; the count goes on"""
MOST_LATEST = 100
"""joined alerts beyond those that a step can still wait for"""
LARGEST = 600_000
"""bytes of alerts that a run passes on with their content; Temporal refuses arguments above 2 MB"""
MOST_PASSED_ON = 2_000
"""alerts that a run passes on in all"""


def rank(severity: str) -> int:
    """0 for informational to 4 for critical."""
    return Severity.parse(severity).rank


class Inbox:
    """What came from outside: Signals, a cancellation. Filled before the run has begun too; emptied by the run."""

    def __init__(self) -> None:
        self.cancelled = False
        self.signals = 0
        self.answers = 0
        self.turns = 0
        self.arrived: list[JoinedAlert] = []

    def join(self, alerts: Iterable[JoinedAlert]) -> None:
        """Alerts have arrived."""
        self.signals += 1
        self.arrived += alerts

    def turn(self) -> None:
        """Somebody says that it may be the run's turn."""
        self.signals += 1
        self.turns += 1

    def answer(self) -> None:
        """Somebody answered, or said something else: history has it."""
        self.signals += 1
        self.answers += 1


class Joining:
    """What has joined one run."""

    def __init__(self, start: RunStart, inbox: Inbox) -> None:
        carried = start.carried or Carried(severity=start.severity)
        self.inbox = inbox
        self.passed_on = frozenset(one.alert_key for one in start.inbox)
        self.count = carried.count
        self.severity: SeverityName = carried.severity
        self.unseen: list[JoinedAlert] = []
        self._mine = {start.alert_key, *(one.alert_key for one in carried.joined)}
        self._mine |= {one.alert_key for _, one in carried.latest}
        self._trimmed = carried.trimmed
        self._looked_at: set[tuple[object, ...]] = set()
        self._first = list(carried.joined)
        self._latest: deque[tuple[int, JoinedAlert]] = deque(carried.latest, maxlen=MOST_LATEST)
        self.seen = carried.count
        self._seen_severity: SeverityName = carried.severity
        inbox.arrived[:0] = start.inbox

    def take(self) -> tuple[JoinedAlert, ...]:
        """What arrived since the last time, each alert once; one that comes with other content is another one."""
        arrived, self.inbox.arrived = self.inbox.arrived, []
        taken = {one.identity: one for one in reversed(arrived) if self._is_new(one)}
        self._looked_at |= taken.keys()
        return tuple(reversed(taken.values()))

    def _is_new(self, one: JoinedAlert) -> bool:
        return one.alert_key not in self._mine and one.identity not in self._looked_at

    def slim(self, one: JoinedAlert) -> TakenAlert:
        """The alert as it is claimed. Only runs pass alerts on without content: one that comes so is of nobody's."""
        nobodys = not one.alert and one.alert_key not in self.passed_on
        return TakenAlert(
            alert_key=one.alert_key,
            content="" if nobodys else one.content,
            whole=bool(one.alert),
            severity=one.severity,
            may_start=one.may_start,
            reason=one.reason,
        )

    def add(self, alerts: Iterable[JoinedAlert]) -> None:
        """These are the run's own now; the next step sees them."""
        for one in alerts:
            if one.alert_key in self._mine:
                continue
            self._mine.add(one.alert_key)
            self.count += 1
            self.unseen.append(one)
            self.severity = max(self.severity, one.severity, key=rank)
            if one.alert and len(self._first) < MOST_JOINED and not self._trimmed:
                self._first.append(one)
            elif one.alert:
                self._latest.append((self.count - 1, one))

    def snapshot(self) -> Joined:
        """What joined so far, for a step."""
        alerts = tuple(one.alert for one in self._first)
        latest = tuple((place, one.alert) for place, one in self._latest)
        return Joined(alerts=alerts, latest=latest, count=self.count, severity=self.severity)

    def see(self, count: int) -> None:
        """A step has taken the first `count` of them into account."""
        fresh = count - self.seen
        if fresh <= 0:
            return
        for one in self.unseen[:fresh]:
            self._seen_severity = max(self._seen_severity, one.severity, key=rank)
        del self.unseen[:fresh]
        self.seen = count

    def drop(self, alerts: Iterable[JoinedAlert]) -> None:
        """These are dealt with, and no step runs any more."""
        dealt_with = {one.identity for one in alerts}
        self.unseen = [one for one in self.unseen if one.identity not in dealt_with]
        self.inbox.arrived = [one for one in self.inbox.arrived if one.identity not in dealt_with]

    def rest(self) -> list[JoinedAlert]:
        """What no step has seen, each alert once."""
        self.inbox.arrived = [one for one in self.inbox.arrived if self._is_new(one)]
        return list({one.identity: one for one in (*self.unseen, *self.inbox.arrived)}.values())

    def plan(self, join: float) -> PassingOn:
        """What becomes of the rest at the run's end."""
        return pass_on(self.rest(), join, self._seen_severity)

    def waiting(self) -> PassingOn:
        """What a run that has not begun takes along: all that joined, or as much as can be passed on."""
        rest = self.rest()
        return PassingOn(inbox=_fitting(rest), counted=tuple(rest[MOST_PASSED_ON:]))

    def carry(self, largest: int = LARGEST) -> tuple[tuple[JoinedAlert, ...], Carried]:
        """What the same run takes along into a new execution: its inbox, and what is behind it.

        Of alerts with their content no more than `largest` bytes, three times: waiting, the first, and the latest.

        All that arrived has to be taken in before: what is too much to take along is claimed, and goes on as a count.
        """
        inbox = _fitting(self.unseen, largest)
        behind = self.count - len(inbox)
        joined = list(_within(self._first, largest))
        kept = {one.alert_key for one in _within([one for _, one in reversed(self._latest)], largest)}
        waiting = {one.alert_key for one in inbox}
        return inbox, Carried(
            joined=tuple(one for one in joined if one.alert_key not in waiting),
            latest=tuple((place, one) for place, one in self._latest if one.alert_key in kept - waiting),
            count=behind,
            trimmed=self._trimmed or len(joined) < len(self._first),
            severity=self._seen_severity,
        )


@dataclass(frozen=True)
class PassingOn:
    """What becomes of alerts that no step has seen: one starts the next run, with others waiting for it; or counted."""

    first: JoinedAlert | None = None
    inbox: tuple[JoinedAlert, ...] = ()
    counted: tuple[JoinedAlert, ...] = field(default=())


def pass_on(rest: Sequence[JoinedAlert], join: float, seen: str) -> PassingOn:
    """Count what came within `join` seconds of the end and is no more severe than all that the run saw; else go on."""
    able = [one for one in rest if _goes_on(one, join, seen)]
    if not able:
        return PassingOn(counted=tuple(rest))
    others = [one for one in rest if one is not able[0]]
    return PassingOn(able[0], _fitting(others), tuple(others[MOST_PASSED_ON:]))


def _goes_on(one: JoinedAlert, join: float, seen: str) -> bool:
    """Whether an alert that no step has seen gets a run of its own."""
    return bool(one.alert) and one.may_start and (join <= 0 or rank(one.severity) > rank(seen))


def _within(alerts: Iterable[JoinedAlert], largest: int) -> Iterator[JoinedAlert]:
    """As many of the first as have so many bytes together."""
    size = 0
    for one in alerts:
        size += len(encoded(one.alert))
        if size > largest:
            return
        yield one


def _fitting(alerts: Sequence[JoinedAlert], largest: int = LARGEST) -> tuple[JoinedAlert, ...]:
    """As many as can be passed on, those that do not fit without their content."""
    kept, size = [], 0
    for one in alerts[:MOST_PASSED_ON]:
        size += len(encoded(one.alert))
        kept.append(one if size <= largest else one.without_content())
    return tuple(kept)
