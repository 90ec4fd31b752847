"""The product as processes of its own, as a site would run it, and the lab as its target."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from orchestrator.local.endpoints import Endpoints
from orchestrator.local.lab import Lab
from orchestrator.settings import Settings, child_environment
from tests.policy.written import WIDE

PLAYBOOK = """
title: Look, block, write down
trigger: {match: alert.source.ip}
steps:
  - {id: look, action: intel.lookup_ip, with: {ip: "{{ alert.source.ip }}"}}
  - {id: block, action: firewall.block_ip, with: {ip: "{{ alert.source.ip }}"}, for: 1h}
  - {id: ticket, action: ticket.open, with: {title: "{{ alert.id }}"}}
tests:
  - {name: starts, alert: {source: {ip: 192.0.2.1}}, expect: {starts: true}}
  - {name: does not, alert: {}, expect: {starts: false}}
"""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """The lab, slow enough that kills hit something in flight."""
    async with Lab(tmp_path / "lab") as lab:
        lab.slow = 0.25
        for operation in ("block", "open", "look_up"):
            lab.misbehave(operation, "slow")
        yield lab


@pytest.fixture
def environment(settings: Settings, stack: Endpoints, database: str, lab: Lab, tmp_path: Path) -> dict[str, str]:
    """The environment of processes on the shared servers, with a database and topics of their own."""
    return environment_of(settings, stack.model_copy(update={"database": database}), lab, tmp_path)


def environment_of(settings: Settings, servers: Endpoints, lab: Lab, folder: Path) -> dict[str, str]:
    """Settings in a file, as a site would have them, and the environment that names it."""
    playbooks = folder / "playbooks"
    playbooks.mkdir()
    (playbooks / "contain.yaml").write_text(PLAYBOOK)
    (playbooks / "site").mkdir()
    (playbooks / "site" / "policy.yaml").write_text(f"title: More in a minute than a site has in a day\n{WIDE}\n")
    site = {
        "home": str(folder / "home"),
        "playbooks": str(playbooks),
        "kafka": {"bootstrap": servers.kafka, "topics": settings.kafka.topics.model_dump()},
        "temporal": {"address": servers.temporal, "task_queue": settings.temporal.task_queue},
        "database": {"url": servers.database},
        "intake": {"group": f"group-{settings.temporal.task_queue}"},
        "integrations": {"lab": {"url": lab.url, "token": {"env": "LAB_TOKEN"}}},
    }
    file = folder / "tocsin.yaml"
    file.write_text(yaml.safe_dump(site))
    return child_environment(TOCSIN_SETTINGS=str(file), LAB_TOKEN=lab.token)
