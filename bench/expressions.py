"""How many expressions a second: the language's evaluator beside Jinja's own, in one process, round about.

`python -m bench.expressions [ROUNDS]` prints evaluations a second of CPU time, and how long ours takes against Jinja's
(below 1 is faster), as the median of the rounds' ratios with the smallest and the largest. Jinja computes the same
values over the same alert, but counts nothing, and shows Python's attributes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from jinja2 import Environment
from jinja2.sandbox import SandboxedEnvironment

from orchestrator.alerts.alert import Alert
from orchestrator.language.expressions import compile_condition, compile_template

ALERT = Alert.model_validate(
    {
        "id": "1", "key": "bench/1", "time": datetime(2026, 5, 6, 10, tzinfo=UTC), "severity": "high",
        "title": "ET SCAN Potential SSH Scan", "attack": ["T1110", "T1021.004"], "confidence": 80,
        "source": {"ip": "203.0.113.7", "port": 50122}, "target": {"ip": "10.20.0.5", "port": 22},
        "rule": {"id": "2001219", "name": "SSH scan"}, "product": {"name": "Suricata"}, "user": {"name": "alice"},
        "observables": [{"type": kind, "value": f"{kind}-{n}"} for n in range(10) for kind in ("ip", "domain", "hash")],
        "raw": {"flow": {"bytes": 5120, "pkts": 14}, "tags": ["a", "b", "c"]},
    }
)  # fmt: skip
NAMES: dict[str, Any] = {
    "alert": ALERT,
    "now": datetime(2026, 5, 6, 10, 5, tzinfo=UTC),
    "steps": {"look": {"status": "succeeded", "ok": True, "output": {"score": 97, "country": "NL"}}},
}


@dataclass(frozen=True)
class Case:
    """The same work for both; `theirs` where Jinja needs other words for it."""

    name: str
    ours: str
    theirs: str = ""


CONDITIONS = (
    Case("one field", "alert.confidence >= 50"),
    Case("a severity", 'alert.severity >= "high"', "alert.severity.rank >= 3"),
    Case("a trigger", 'alert.severity >= "high" and "T1110" in alert.attack and alert.source.ip',
         'alert.severity.rank >= 3 and "T1110" in alert.attack and alert.source.ip'),
    Case("a trigger that fails", 'alert.product.name == "Zeek" and alert.severity >= "high"',
         'alert.product.name == "Zeek" and alert.severity.rank >= 3'),
    Case("a network", 'alert.target.ip is in_network(["10.0.0.0/8", "192.168.0.0/16"])'),
    Case("an original", "alert.raw.flow.bytes > 4096 and alert.raw.flow.pkts < 20"),
    Case("a step", "steps.look.ok and steps.look.output.score >= 90"),
    Case("observables", "alert.observables | selectattr('type', 'equalto', 'ip') | map('value')",
         "alert.observables | selectattr('type', 'equalto', 'ip') | map(attribute='value') | list"),
)  # fmt: skip
TEMPLATES = (
    Case("one value", "{{ alert.source.ip }}"),
    Case("a sentence", "{{ alert.title }} from {{ alert.source.ip }}, score {{ steps.look.output.score }} of 100"),
    Case("a choice", "{% if alert.user %}{{ alert.user.name }}{% else %}nobody{% endif %} on {{ alert.target.ip }}"),
    Case("a loop", "{% for o in alert.observables %}- {{ o.type }}: {{ o.value }}\n{% endfor %}"),
)


def in_network(value: str, networks: list[str]) -> bool:
    """What an author of Jinja would write."""
    return any(ip_address(value) in ip_network(network) for network in networks)


def engines(case: Case, *, condition: bool) -> dict[str, Callable[[], Any]]:
    """The same work, ready to be called, by the name of who does it."""
    ours = compile_condition(case.ours).test if condition else compile_template(case.ours).render
    calls: dict[str, Callable[[], Any]] = {"ours": lambda: ours(NAMES)}
    for name, kind in (("sandboxed", SandboxedEnvironment), ("plain", Environment)):
        environment = kind(autoescape=False)
        environment.tests["in_network"] = in_network
        source = case.theirs or case.ours
        compiled = environment.compile_expression(source) if condition else environment.from_string(source).render
        calls[name] = lambda compiled=compiled: compiled(NAMES)  # type: ignore[misc]
    return calls


def agree(calls: dict[str, Callable[[], Any]], *, condition: bool) -> None:
    """Who does other work than the others is not measured."""
    results = [bool(call()) if condition else str(call()) for call in calls.values()]
    if len(set(results)) != 1:
        raise SystemExit(f"the results differ: {results}")


def seconds(call: Callable[[], Any], times: int) -> float:
    """CPU time of one call."""
    begun = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begun) / times


def measured(calls: dict[str, Callable[[], Any]], rounds: int) -> Iterator[dict[str, float]]:
    """Seconds a call, of each in turn, round by round."""
    times = max(20, int(0.01 / max(1e-7, min(seconds(call, 200) for call in calls.values()))))
    for _ in range(rounds):
        yield {name: seconds(call, times) for name, call in calls.items()}


def line(name: str, taken: list[dict[str, float]]) -> str:
    """One case: evaluations a second, and the ratios to Jinja's time."""
    shown = f"{name:<22}{1 / statistics.median(one['ours'] for one in taken):>10,.0f}/s"
    for other in ("sandboxed", "plain"):
        ratios = sorted(one["ours"] / one[other] for one in taken)
        shown += f"   {statistics.median(ratios):5.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    return shown


def main(rounds: int = 15) -> None:
    """Print the table."""
    print(f"{'':<22}{'ours':>12}   time against Jinja sandboxed, plain (median, least-most)")  # noqa: T201 - its purpose
    for cases, condition in ((CONDITIONS, True), (TEMPLATES, False)):
        for case in cases:
            calls = engines(case, condition=condition)
            agree(calls, condition=condition)
            print(line(case.name, list(measured(calls, rounds))), flush=True)  # noqa: T201 - its purpose


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
