"""One site for all tests of a file: its servers, its playbooks, the lab, and `tocsin serve` at work."""

from __future__ import annotations

import getpass
import itertools
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import make_engine
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.lab import Lab
from orchestrator.workflow.questions import ApprovalRow, Questions
from tests.conftest import fresh_database, new_task_queue, settings_for
from tests.site import Site, make_site, on_the_test_servers
from tests.workflow.bench import eventually

WATCHED = """
title: Block at once
trigger: {match: alert.severity == "high" and alert.source.ip}
steps:
  - {id: block, action: firewall.block_ip, with: {ip: "{{ alert.source.ip }}"}, for: 1h}
tests:
  - {name: starts, alert: {severity: high, source: {ip: 192.0.2.1}}, expect: {starts: true}}
  - {name: does not, alert: {severity: low}, expect: {starts: false}}
"""
ASKED = """
title: Ask first
trigger: {match: alert.severity == "critical" and alert.source.ip}
steps:
  - id: sure
    approval: {ask: "Block {{ alert.source.ip }}?", covers: [block], by: {group: GROUP}, within: 1h}
  - {id: block, action: firewall.block_ip, with: {ip: "{{ alert.source.ip }}"}, for: 1h}
tests:
  - name: starts
    alert: {severity: critical, source: {ip: 192.0.2.1}}
    answers: {sure: approve}
    expect: {starts: true}
  - {name: does not, alert: {severity: low}, expect: {starts: false}}
"""
FAILS = """
title: Disable somebody whom nobody knows
trigger: {match: alert.title == "nobody"}
steps:
  - {id: disable, action: identity.disable_account, with: {account: nobody}, for: 1h}
tests:
  - {name: starts, alert: {title: nobody}, expect: {starts: true}}
  - {name: does not, alert: {title: somebody}, expect: {starts: false}}
"""
BRIEFLY = """
title: Block for a moment
trigger: {match: alert.title == "briefly" and alert.source.ip}
steps:
  - {id: block, action: firewall.block_ip, with: {ip: "{{ alert.source.ip }}"}, for: 2s}
tests:
  - {name: starts, alert: {title: briefly, source: {ip: 192.0.2.1}}, expect: {starts: true}}
  - {name: does not, alert: {title: somebody}, expect: {starts: false}}
"""
PLAYBOOKS = {
    "briefly": BRIEFLY,
    "watched": WATCHED,
    "asked": ASKED.replace("GROUP", "soc"),
    "not-yours": ASKED.replace("GROUP", "leads").replace("critical", "medium"),
    "fails": FAILS,
}
ME = f"{getpass.getuser()}@{socket.gethostname()}"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """The target of every action."""
    async with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
async def site(
    stack: Endpoints, _template: str, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The site, where nothing runs yet."""
    folder = tmp_path_factory.mktemp("site")
    async with fresh_database(stack, _template) as database:
        with settings_for(stack, database, new_task_queue(), folder) as settings:
            own = {
                **on_the_test_servers(settings),
                "integrations": {"lab": {"url": lab.url, "token": lab.token}},
                "approvals": {"people": json.dumps([{"name": ME, "groups": ["soc"]}])},
            }
            yield make_site(folder / "here", PLAYBOOKS, own)


@pytest.fixture(scope="module")
async def engine(site: Site) -> AsyncIterator[AsyncEngine]:
    """The site's database."""
    engine = make_engine(site.environment["TOCSIN_DATABASE__URL"])
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def serving(site: Site) -> AsyncIterator[Site]:
    """The site while `tocsin serve` runs."""
    with site.running("serve") as process:
        await process.says("intake.assigned", 60)
        yield site


def an_alert(severity: str, **more: Any) -> dict[str, Any]:
    """An alert of an id and an address of its own."""
    number = next(_numbers)
    return {
        "id": f"alert-{number}", "time": "2026-05-06T10:00:00Z", "severity": severity, "title": f"Alert {number}",
        "product": {"name": "test"}, "source": {"ip": f"203.0.113.{number}"}, **more,
    }  # fmt: skip


async def sent(site: Site, *alerts: dict[str, Any]) -> None:
    """Send alerts as a user does."""
    done = await site.tocsin("send", "-", stdin="\n".join(json.dumps(one) for one in alerts))
    assert done.returncode == 0, done.stderr


async def blocked(lab: Lab, alert: dict[str, Any]) -> bool:
    """Wait until the alert's address is blocked."""

    async def look() -> bool:
        return is_blocked(lab, alert)

    return bool(await eventually(look, within=60))


async def lifted(lab: Lab, alert: dict[str, Any]) -> bool:
    """Wait until the alert's address is not blocked."""

    async def look() -> bool:
        return not is_blocked(lab, alert)

    return bool(await eventually(look, within=60))


def is_blocked(lab: Lab, alert: dict[str, Any]) -> bool:
    """Whether the alert's address is blocked now."""
    return any(block["ip"] == alert["source"]["ip"] for block in lab.state.systems.firewall.entries)


async def asked(site: Site, engine: AsyncEngine, severity: str = "critical") -> tuple[dict[str, Any], ApprovalRow]:
    """An alert that makes its run ask, and the question."""
    alert = an_alert(severity)
    await sent(site, alert)

    async def look() -> ApprovalRow | None:
        return next((row for row in await Questions(engine).listed() if alert["id"] in row.run), None)

    return alert, await eventually(look, within=60)


def one_line(stderr: str) -> str:
    """The only line that is there: a mistake is told in one, without a traceback."""
    (line,) = stderr.splitlines()
    assert "Traceback" not in line
    return line
