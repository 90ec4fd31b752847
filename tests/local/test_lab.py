"""The lab: it does what it is asked as often as it is asked, and writes everything down first."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrations.lab import lab as product
from orchestrator.contract import NotFound, RateLimited, TargetUnavailable, TimedOut, Unauthorized
from orchestrator.local.lab import Lab
from tests.integrations.support import Caller, configured


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def call(lab: Lab) -> Caller:
    return Caller(configured(product, url=lab.url, token=lab.token))


async def test_what_is_asked_twice_happens_twice(call: Caller, lab: Lab, tmp_path: Path) -> None:
    """That is how a doubled effect is seen; every request stands in the log."""
    await call("firewall.block_ip", key="same", ip="203.0.113.7")
    await call("firewall.block_ip", key="same", ip="203.0.113.7")
    assert len(lab.state.systems.firewall.entries) == 2
    logged = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert [one["operation"] for one in logged] == ["block", "block"]
    assert logged[0]["key"] == logged[1]["key"]


async def test_every_capability_of_the_lab_does_its_work(call: Caller, lab: Lab) -> None:
    """Block and unblock, disable and enable, open, comment and resolve, look up, tell."""
    await call("firewall.block_ip", ip="203.0.113.7")
    assert (await call("firewall.ip_state", ip="203.0.113.7")).blocked
    assert not (await call("firewall.unblock_ip", ip="203.0.113.7")).blocked
    assert lab.state.systems.firewall.entries == []
    assert not (await call("identity.disable_account", account="Alice")).enabled
    assert not (await call("identity.account_state", account="alice")).enabled
    assert (await call("identity.enable_account", account="alice")).enabled
    made = await call("ticket.open", title="t", body="b")
    await call("ticket.comment", ticket=made.id, text="c")
    assert (await call("ticket.resolve", ticket=made.id, code="duplicate")).status == "resolved"
    assert lab.state.systems.tickets.tickets[0]["comments"][0]["text"] == "c"
    assert (await call("intel.lookup_ip", ip="203.0.113.7")).score == 97
    assert (await call("notify.send", channel="soc", text="x")).channel == "soc"


async def test_a_lost_answer_can_be_looked_up_by_its_key(call: Caller, lab: Lab) -> None:
    """Each of the writes that may be read back."""
    lab.misbehave("block", "cut_answer", 1)
    with pytest.raises(TimedOut) as lost:
        await call("firewall.block_ip", key="k", ip="203.0.113.7")
    assert lost.value.in_doubt
    assert (await call.find("firewall.block_ip", key="k", ip="203.0.113.7")).blocked
    assert await call.find("firewall.block_ip", key="other", ip="203.0.113.7") is None
    made = await call("ticket.open", key="t", title="t")
    assert (await call.find("ticket.open", key="t", title="t")).id == made.id
    await call("ticket.comment", key="c", ticket=made.id, text="c")
    assert await call.find("ticket.comment", key="c", ticket=made.id, text="c") is not None
    await call("notify.send", key="m", channel="soc", text="x")
    assert await call.find("notify.send", key="m", channel="soc", text="x") is not None


async def test_effects_survive_a_restart(tmp_path: Path) -> None:
    """The state is the log, read again."""
    async with Lab(tmp_path, token="t") as one:
        await Caller(configured(product, url=one.url, token="t"))("firewall.block_ip", ip="203.0.113.7")
    with (tmp_path / "requests.jsonl").open("a") as log:
        log.write('{"seq": 2, "operation": "bl')
    async with Lab(tmp_path, token="t") as two:
        assert [block["ip"] for block in two.state.systems.firewall.entries] == ["203.0.113.7"]


async def test_it_misbehaves_on_demand(call: Caller, lab: Lab) -> None:
    """As real products do: slow, limited, down, dropped."""
    for mode, failure in (("limited", RateLimited), ("unavailable", TargetUnavailable), ("drop", TimedOut)):
        lab.misbehave("open", mode, 1)
        with pytest.raises(failure):
            await call("ticket.open", title="t")
    assert lab.state.systems.tickets.tickets == []
    assert len(lab.state.requests) == 3


async def test_unknown_accounts_are_not_made_and_strangers_are_refused(call: Caller, lab: Lab) -> None:
    """A misspelt name is an error; a wrong token too."""
    with pytest.raises(NotFound):
        await call("identity.disable_account", account="nobody")
    with pytest.raises(Unauthorized):
        await Caller(configured(product, url=lab.url, token="wrong"))("intel.lookup_ip", ip="192.0.2.1")
