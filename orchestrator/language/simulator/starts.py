"""What a test starts its run with: the alert, or inputs, and the moment; and the alerts that join later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from orchestrator.alerts.alert import Alert
from orchestrator.language.durations import parse_duration
from orchestrator.language.program import Playbook
from orchestrator.language.simulator.answers import TestMistake, Unforeseen
from orchestrator.language.tested import JoinLater, Test
from orchestrator.language.typed import validate_all

Decode = Callable[[bytes], Alert]
START = datetime(2026, 1, 1, tzinfo=UTC)
"""when a test begins that says nothing of time"""


@dataclass(frozen=True)
class Samples:
    """Recorded alerts: the folder, and how one is read."""

    folder: Path
    decode: Decode

    def read(self, name: str) -> dict[str, Any]:
        """The alert of a file, as plain data; raises `TestMistake` where there is no such file."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            raise TestMistake(f"from: there is no sample {name} below {self.folder}")
        plain: dict[str, Any] = orjson.loads(self.decode(path.read_bytes()).model_dump_json(exclude_none=True))
        return plain


@dataclass(frozen=True)
class Start:
    """The beginning of a simulated run, unless the alert does not start it.

    `why` says what its condition read, and `error` what made it false where an error did.
    """

    at: datetime
    inputs: Mapping[str, Any]
    alert: Alert | None = None
    starts: bool = True
    why: str = ""
    error: str | None = None


def start_of(playbook: Playbook, test: Test, samples: Samples) -> Start:
    """How the test begins; raises `TestMistake` where it cannot."""
    kinds = [word for word in ("alert", "inputs", "schedule") if getattr(test, word) not in (None, False)]
    if "alert" in kinds and len(kinds) > 1:
        raise TestMistake(f"a run begins with an alert, or without one; this test has {' and '.join(kinds)}")
    if not kinds and playbook.match is not None:
        raise TestMistake("nothing starts it here; add `alert:`, `inputs:` or `schedule: true`")
    if test.alert is not None:
        return _by_alert(playbook, test, samples)
    if test.schedule and playbook.model.trigger.schedule is None:
        raise TestMistake("schedule: the playbook has no `schedule` in its trigger")
    return Start(moment(test.at) if test.at else START, _inputs(playbook, test.inputs or {}))


def _by_alert(playbook: Playbook, test: Test, samples: Samples) -> Start:
    alert = alert_of(test.alert or {}, samples, test.at)
    if playbook.match is None:
        raise TestMistake("alert: the playbook has no `match` in its trigger, so no alert starts it; give it `inputs:`")
    reason = playbook.match.explain({"alert": alert, "now": alert.time})
    told = [f"{path} = {value!r}" for path, value in reason.values.items()] + ([reason.error] if reason.error else [])
    why = f"`match` {'holds' if reason.holds else 'does not hold'} ({', '.join(told)})"
    at, inputs = moment(test.at) if test.at else alert.time, _inputs(playbook, {})
    return Start(at, inputs, alert, reason.holds, why, reason.error)


def _inputs(playbook: Playbook, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return validate_all(playbook.model.inputs, given)
    except ValueError as error:
        raise TestMistake(f"inputs: {error}") from None


def moment(text: str) -> datetime:
    """A time in ISO 8601; one that names no zone is UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise TestMistake(f"at: {text!r} is no time; write it as 2026-05-06T10:00:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def alert_of(given: Mapping[str, Any], samples: Samples, at: str | None = None, number: int = 0) -> Alert:
    """The alert that a test describes; `number` counts those that join, so that each is another one."""
    own = dict(given)
    sample = own.pop("from", None)
    name = f"test-{number}" if number else "test"
    base: dict[str, Any] = {
        "id": name, "key": f"test/{name}", "time": at or START.isoformat(), "severity": "medium", "title": "test",
        "product": {"name": "test"},
    }  # fmt: skip
    if sample is not None:
        base = samples.read(str(sample))
        base["key"] = f"{base['key']}/{number}" if number else base["key"]
    try:
        return Alert.model_validate(_merged(base, own))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise TestMistake(f"alert.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in own.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


@dataclass(frozen=True)
class Joining:
    """An alert that joins, and how long after the start."""

    after: float
    told: str
    alert: Alert


def joining_of(playbook: Playbook, test: Test, start: Start, samples: Samples) -> list[Joining]:
    """The alerts that join, in the order in which they come; raises `TestMistake` for one that would not join."""
    if test.joins and start.alert is None:
        raise TestMistake("joins: only a run that an alert started can be joined")
    listed = [_joining(playbook, one, number, start, samples) for number, one in enumerate(test.joins, 1)]
    return sorted(listed, key=lambda one: one.after)


def _joining(playbook: Playbook, given: JoinLater, number: int, start: Start, samples: Samples) -> Joining:
    after = parse_duration(given.after)
    alert = alert_of(given.alert, samples, (start.at + after).isoformat(), number)
    if (why := _refusal(playbook, start.alert, alert)) is not None:
        raise Unforeseen(f"joins: the alert after {given.after} would not join the run: {why}")
    return Joining(after.total_seconds(), given.after, alert)


def _refusal(playbook: Playbook, first: Alert | None, alert: Alert) -> str | None:
    """Why the alert does not join the run of the first one."""
    before = playbook.group_of({"alert": first, "now": first.time if first else None})
    names = {"alert": alert, "now": alert.time}
    own = playbook.group_of(names)
    if own is None or before is None:
        return "only alerts with a `key` join one another, and the key of one of the two is absent"
    if own != before:
        return f"its key is {own!r}, and that of the run {before!r}"
    conditions = [one for one in (playbook.match, playbook.joins) if one is not None]
    if not any(one.explain(names).holds for one in conditions):
        return f"{'neither `match` nor `joins` holds' if playbook.joins else '`match` does not hold'} for it"
    return None
