"""The whole path through servers of the user's own, and what a mistake in a setting looks like."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.lab import Lab
from orchestrator.settings import Settings
from tests.faults.conftest import PLAYBOOK
from tests.faults.processes import EVENTS, alert, count, until_count
from tests.own_servers.kafka import values_of
from tests.site import Site

ALERTS = 3
ENDED = "SELECT count(*) FROM tocsin.run WHERE ended_at IS NOT NULL"
PUBLISHED = "SELECT published FROM tocsin.audit_relay"
PLAYBOOKS = {"contain": PLAYBOOK}


def lab_settings(lab: Lab) -> dict[str, Any]:
    """The lab as the site's only integration."""
    return {"integrations": {"lab": {"url": lab.url, "token": lab.token}}}


async def assert_everything_flows(site: Site, engine: AsyncEngine, settings: Settings, lab: Lab) -> None:
    """Alerts are read, runs act, what is no alert becomes a dead letter, and the whole audit is published.

    `settings` say where the topics are to be read afterwards.
    """
    topic = settings.kafka.topics.alerts
    records = [alert(topic, number).decode() for number in range(ALERTS)]
    sent = await site.tocsin("send", site.write("alerts.json", "\n".join([*records, "no alert"])))
    assert (sent.returncode, sent.stdout.strip()) == (0, f"{ALERTS + 1} records sent to {topic}"), sent.stderr
    with site.running("serve") as process:
        await until_count(engine, ENDED, ALERTS, 60)
        await until_count(engine, PUBLISHED, await count(engine, EVENTS), 30)
    assert "warning" not in process.said()
    assert sorted(block["ip"] for block in lab.state.systems.firewall.entries) == [
        f"10.9.0.{number + 1}" for number in range(ALERTS)
    ]
    assert settings.kafka.bootstrap
    options = settings.kafka.client_options(settings.kafka.bootstrap)
    assert values_of(settings.kafka.topics.dead_letters, options, 1) == [b"no alert"]
    events = await count(engine, EVENTS)
    published = [json.loads(value) for value in values_of(settings.kafka.topics.audit, options, events)]
    assert [one["position"] for one in published] == list(range(1, events + 1))


async def assert_refused(site: Site, command: tuple[str, ...], says: str, **settings: str) -> None:
    """The command ends with one line on stderr that names the setting; beside it, nothing but that it had begun."""
    done = await site.tocsin(*command, **settings)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if '"level": "info"' not in line]
    assert len(lines) == 1, done.stderr
    assert says in lines[0]
    assert done.stdout == ""
