"""`tocsin kill`: throw a switch, look at it, lift it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.lab import Lab
from tests.commands.conftest import ME, an_alert, blocked, is_blocked, one_line, sent
from tests.site import Site
from tests.workflow.bench import eventually

pytestmark = pytest.mark.timeout(300)  # many processes of the command
AWAY = {"TOCSIN_TEMPORAL__ADDRESS": "127.0.0.1:9", "TOCSIN_KAFKA__BOOTSTRAP": "127.0.0.1:9"}
"""neither Temporal nor Kafka is there"""


async def thrown(site: Site) -> list[dict[str, object]]:
    """What `kill list` shows, and its exit code says."""
    told = await site.tocsin("kill", "list", "--json", **AWAY)
    found: list[dict[str, object]] = json.loads(told.stdout)
    assert told.returncode == (1 if found else 0)
    return found


async def test_a_switch_halts_runs_until_it_is_lifted(serving: Site, lab: Lab) -> None:
    """Thrown and lifted with the database alone; `status` says it first, the audit keeps who and why."""
    done = await serving.tocsin("kill", "--why", "blocks our own proxies", **AWAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("THROWN: kill switch for all, thrown by ")
    alert = an_alert("high")
    await sent(serving, alert)

    async def halted() -> bool:
        told = await serving.tocsin("audit", "show", f"ip:{alert['source']['ip']}", "--json")
        return "action.halted" in told.stdout

    assert await eventually(halted, within=60)
    assert not is_blocked(lab, alert)
    status = await serving.tocsin("status")
    assert status.stdout.splitlines()[0].startswith(f"THROWN: kill switch for all, thrown by {ME}")
    (row,) = [
        one for one in json.loads((await serving.tocsin("status", "--json")).stdout) if one["part"] == "kill_switch"
    ]
    assert (row["state"], row["thrown"][0]["why"]) == ("thrown", "blocks our own proxies")
    lifted = await serving.tocsin("kill", "lift", "--why", "the list is mended", **AWAY)
    assert (lifted.returncode, lifted.stderr) == (0, "")
    assert await blocked(lab, alert)
    told = await serving.tocsin("audit", "show", "all", "--json")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(one["type"], one["body"]["by"], one["body"]["trust"], one["body"]["why"]) for one in events] == [
        ("kill_switch.thrown", ME, "unverified", "blocks our own proxies"),
        ("kill_switch.lifted", ME, "unverified", "the list is mended"),
    ]


async def test_each_switch_is_listed_and_lifted_by_itself(serving: Site) -> None:
    """For an integration, a playbook and a capability."""
    kinds = [("--integration", "lab"), ("--playbook", "watched"), ("--capability", "firewall.block_ip")]
    for option, name in kinds:
        assert (await serving.tocsin("kill", option, name, "--why", "a test", "--undo-too")).returncode == 0
    found = await thrown(serving)
    assert [(one["scope"], one["name"]) for one in found] == [(option[2:], name) for option, name in kinds]
    assert all(one["undo_too"] for one in found)
    wrong = await serving.tocsin("kill", "lift", "--why", "a test")
    assert wrong.returncode == 2
    assert one_line(wrong.stderr) == (
        "no kill switch is thrown for all; thrown: integration lab, playbook watched, capability firewall.block_ip"
    )
    for option, name in kinds:
        done = await serving.tocsin("kill", "lift", option, name, "--why", "over")
        assert (done.returncode, done.stderr) == (0, "")
    assert await thrown(serving) == []
    past = await serving.tocsin("kill", "list", "--past")
    assert (past.returncode, past.stdout.count("a test")) == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--integration", "lap"), "no integration is named lap; did you mean lab?"),
        (("--playbook", "watchd"), "no playbook is named watchd; did you mean watched?"),
        (
            ("--capability", "firewall.blok_ip"),
            "no capability is named firewall.blok_ip; did you mean firewall.block_ip?",
        ),
        (("--capability", "intel.lookup_ip"), "intel.lookup_ip reads, and reads are never halted"),
        (("--integration", "lab", "--playbook", "watched"), "name one of --integration, --playbook, --capability"),
    ],
)
async def test_a_switch_that_would_halt_nothing_is_refused(
    serving: Site, arguments: tuple[str, ...], says: str
) -> None:
    """One line, exit code 2, and nothing is thrown."""
    done = await serving.tocsin("kill", *arguments, "--why", "a test")
    assert done.returncode == 2
    assert says in one_line(done.stderr)
    assert await thrown(serving) == []


async def test_a_breaker_is_shown_and_closed_by_hand(serving: Site, engine: AsyncEngine) -> None:
    """In `status` and by itself; whoever closes it gives a reason, and what is closed is not closed again."""
    failing = {"came": "limited", "why": "answered 429", "pause": 600, "first": 5, "longest": 30, "longest_said": 3600}
    async with engine.begin() as connection:
        asked = text("SELECT tocsin.breaker_told('lab', CAST(:call AS jsonb))")
        await connection.execute(asked, {"call": json.dumps(failing)})
    told = await serving.tocsin("breakers", "--json", **AWAY)
    assert told.returncode == 1
    assert [(one["integration"], one["cause"]) for one in json.loads(told.stdout)] == [("lab", "limited")]
    status = await serving.tocsin("status")
    assert status.stdout.startswith("BREAKER OPEN: lab is left alone since ")

    closed = await serving.tocsin("breakers", "close", "lab", "--why", "they raised our limit", **AWAY)
    assert (closed.returncode, closed.stdout) == (0, "closed: lab is called again\n")
    again = await serving.tocsin("breakers", "close", "lab", "--why", "they raised our limit")
    assert (again.returncode, one_line(again.stderr)) == (2, "no breaker of lab is open; open: none")
    told = await serving.tocsin("breakers")
    assert (told.returncode, told.stdout) == (0, "every integration may be called\n")


async def test_what_waits_for_maintenance_is_shown(serving: Site, engine: AsyncEngine) -> None:
    """In `status`, and by itself in the order in which it will go."""
    told = await serving.tocsin("breakers", "waiting", **AWAY)
    assert (told.returncode, told.stdout) == (0, "nothing waits for maintenance\n")
    waits = {
        "integration": "lab", "run": "watched/a/1", "step": "block", "capability": "firewall.block_ip",
        "target": "ip:203.0.113.7", "until": "2900-01-01T00:00:00Z", "why": "waits: maintenance of lab",
        "window": "a test",
    }  # fmt: skip
    async with engine.begin() as connection:
        for key, rank in (("low", 1), ("critical", 4)):
            asked = text("SELECT tocsin.queue(CAST(:waits AS jsonb))")
            await connection.execute(asked, {"waits": json.dumps({**waits, "key": key, "rank": rank})})

    told = await serving.tocsin("breakers", "waiting", "--json")
    status = await serving.tocsin("status")
    rows = json.loads((await serving.tocsin("status", "--json")).stdout)

    assert [one["rank"] for one in json.loads(told.stdout)] == [4, 1]
    assert status.stdout.splitlines()[0] == "MAINTENANCE: 2 for lab; each waits: maintenance of lab"
    (row,) = [one for one in rows if one["part"] == "breakers"]
    assert (row["state"], len(row["waiting"])) == ("closed", 2)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM tocsin.queued"))


async def test_a_switch_needs_a_reason(serving: Site) -> None:
    """Whoever types the command to look at it throws nothing."""
    assert (await serving.tocsin("kill")).returncode != 0
    assert await thrown(serving) == []
