"""What starts a run: conditions over the alert, keys, schedules; and inputs that somebody can give."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jinja2 import nodes

from orchestrator.alerts.alert import Alert
from orchestrator.contract.values import Severity
from orchestrator.errors import ExpressionError
from orchestrator.language.calendars import zone, zone_names
from orchestrator.language.checking.around import Around, Paths
from orchestrator.language.checking.checker import KINDS, did_you_mean
from orchestrator.language.cron import Cron, left_out, parse_cron
from orchestrator.language.expressions import compile_condition, compile_value
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.started import Schedule
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker

AT = datetime(2026, 1, 1, tzinfo=UTC)
WEEKS_OF_A_MONTH = ((1, 7), (8, 14), (15, 21), (22, 28), (25, 31))
"""days of the month among which each day of the week comes once: the way to say the second Monday"""


def check(check: Checker) -> None:
    """The triggers of the playbook."""
    trigger, only = check.model.trigger, {"alert": Alert, "now": datetime}
    for word in ("match", "joins"):
        source = getattr(trigger, word)
        if source is not None:
            of_site = _of_site(check, word, check.named(source, compile_condition))
            check.condition(("trigger", word), source, Around(), only=only | of_site)
            _never(check, ("trigger", word), source)
    if trigger.key is not None:
        of_site = _of_site(check, "key", check.named(trigger.key, compile_value))
        check.key(("trigger", "key"), trigger.key, only | of_site)
    if trigger.schedule is not None:
        _schedule(check, trigger.schedule)
    _inputs(check)


def _of_site(check: Checker, word: str, paths: Paths) -> dict[str, Any]:
    """Refuse the site's lists and calendars, of which a run takes with it what it reads; their types all the same."""
    kinds = sorted({path[0] for path in paths if path[0] in KINDS})
    for kind in kinds:
        message = f"`{word}` is about the alert alone: `{kind}` are read when a run begins, and this comes before"
        check.say(
            ("trigger", word), "site", message, "let the first step be a `stop: success` with a `when:` that asks"
        )
    return {kind: check.library.names[kind] for kind in kinds}


def _schedule(check: Checker, schedule: Schedule) -> None:
    here: Path = ("trigger", "schedule")
    zone_name = schedule.tz if schedule.tz in zone_names() else None
    if zone_name is None:
        hint = did_you_mean(schedule.tz, zone_names())
        check.say((*here, "tz"), "schedule", f"no time zone is named `{schedule.tz}`", hint)
    try:
        cron = parse_cron(schedule.cron)
        next(cron.coming(zone("UTC"), AT))
    except (ValueError, StopIteration) as error:
        words = "it never comes" if isinstance(error, StopIteration) else str(error)
        hint = "minute hour day-of-month month day-of-week, as `0 8 * * 1-5`"
        check.say((*here, "cron"), "schedule", f"`{schedule.cron}` is no schedule: {words}", hint)
        return
    _both_days(check, (*here, "cron"), schedule.cron, cron)
    if zone_name is not None:
        _changes(check, (*here, "cron"), schedule, zone(zone_name))


def _both_days(check: Checker, path: Path, source: str, cron: Cron) -> None:
    """In other dialects of cron one of two days is enough."""
    every_day = len(cron.days) == 31 or len(cron.weekdays) == 7
    if not every_day and (cron.days[0], cron.days[-1]) not in WEEKS_OF_A_MONTH:
        message = f"`{source}` comes where both the day of the month and the day of the week fit"
        check.warn(path, "schedule", message, "write `*` for one of them, or make two playbooks of it")


def _changes(check: Checker, path: Path, schedule: Schedule, clock: ZoneInfo) -> None:
    """A time of day that a change of the clock leaves out would not come then; where every hour is meant, it may."""
    cron = parse_cron(schedule.cron)
    disturbed = list(cron.disturbed(clock)) if len(cron.hours) < 24 else []
    never, twice = ([one for one in disturbed if left_out(one) is gone] for gone in (True, False))
    words = [f"does not come on {never[0]:%Y-%m-%d}, when it is put forward over {never[0]:%H:%M}"] if never else []
    words += [f"comes once on {twice[0]:%Y-%m-%d}, when it shows {twice[0]:%H:%M} twice"] if twice else []
    if words:
        message = f"by the clock of {schedule.tz}, `{schedule.cron}` {' and '.join(words)}"
        check.warn(path, "schedule", message, "choose an hour in which the clock is not changed, or `tz: UTC`")


def _inputs(check: Checker) -> None:
    """Alerts and clocks give no inputs."""
    trigger = check.model.trigger
    starter = "an alert" if trigger.match else "a schedule" if trigger.schedule else None
    for name, spec in check.model.inputs.items():
        if starter and spec.is_required:
            message = f"`{name}` has no default, and {starter} gives no inputs"
            check.say(("inputs", name), "inputs", message, "add a `default:`, or `optional: true`")


def _never(check: Checker, path: Path, source: str) -> None:
    """A condition whose parts contradict one another."""
    try:
        node = compile_condition(source).node
    except ExpressionError:  # said already
        return
    low, high = 0, len(Severity) - 1
    equal: dict[tuple[str, ...], object] = {}
    for term in _terms(node):
        if isinstance(term, nodes.Const) and not term.value:
            check.say(path, "never", f"`{path[-1]}` can never hold", "")
            return
        found = _compared(term)
        if found is None:
            continue
        named, op, value = found
        if named == ("alert", "severity"):
            low, high = _narrowed(low, high, op, str(value))
        elif op == "eq" and equal.setdefault(named, value) != value:
            message = f"`{'.'.join(named)}` cannot be {equal[named]!r} and {value!r} at the same time"
            check.say(path, "never", message, "use `or`, or `in [...]`")
            return
    if low > high:
        check.say(path, "never", f"no severity fits `{source}`", "look at the comparisons of `alert.severity`")


def _terms(node: nodes.Node) -> Iterator[nodes.Node]:
    """The parts that must all hold."""
    if isinstance(node, nodes.And):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def _compared(term: nodes.Node) -> tuple[tuple[str, ...], str, object] | None:
    if not isinstance(term, nodes.Compare) or len(term.ops) != 1:
        return None
    named, other = path_of(term.expr), term.ops[0].expr
    if named is None or "*" in named or not isinstance(other, nodes.Const):
        return None
    return named, term.ops[0].op, other.value


def _narrowed(low: int, high: int, op: str, word: str) -> tuple[int, int]:
    try:
        rank = Severity.parse(word).rank
    except ValueError:  # said already
        return low, high
    ranges = {"eq": (rank, rank), "gteq": (rank, 4), "gt": (rank + 1, 4), "lteq": (0, rank), "lt": (0, rank - 1)}
    least, most = ranges.get(op, (0, 4))
    return max(low, least), min(high, most)
