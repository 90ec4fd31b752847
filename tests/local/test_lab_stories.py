"""What the lab has to tell: for each attack that a playbook answers, what there is to find and to do."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from integrations.lab import lab as product
from orchestrator.contract import NotFound
from orchestrator.local.lab import Lab
from orchestrator.local.lab.page import PAGE
from tests.integrations.support import Caller, configured, need


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, token="t") as lab:
        yield lab


@pytest.fixture
def call(lab: Lab) -> Caller:
    return Caller(configured(product, url=lab.url, token="t"))


async def test_a_report_of_phishing_leads_to_all_who_got_it_and_to_who_fell_for_it(call: Caller) -> None:
    """The report encloses the message; its sender wrote to others as well; one of them gave a password away."""
    report = await call("mail.get_message", message_id="report-1@corp.example")
    bait = await call("mail.get_message", message_id=report.enclosed[0])
    assert bait.checks.dmarc == "fail"
    assert (await call("intel.lookup_url", url=bait.urls[0])).score >= 90
    again = await call("mail.find_messages", sender=bait.sender)
    assert sum(len(one.mailboxes) for one in again.messages) == 4
    by_file = await call("mail.find_messages", hash=bait.attachments[0].sha256)
    assert [one.message_id for one in by_file.messages] == [bait.message_id]
    visits = (await call("web.list_visits", url=bait.urls[0])).visits
    assert {one.account for one in visits if one.method == "POST"} == {"bob"}
    assert (await call("identity.account_profile", account="bob")).manager_mail == "dave@corp.example"


async def test_nobody_is_in_two_places_within_an_hour(call: Caller) -> None:
    """Two sign-ins that are too far from one another, the later one without a second factor."""
    later, earlier = (await call("identity.list_sign_ins", account="bob", within="2h")).sign_ins
    assert (earlier.country, later.country) == ("DE", "BR")
    assert earlier.mfa
    assert not later.mfa
    assert (later.time - earlier.time).total_seconds() < 3_600
    assert None not in (later.latitude, later.longitude, earlier.latitude, earlier.longitude)


async def test_a_password_that_was_guessed_shows_as_failures_and_a_success(call: Caller) -> None:
    """All from one address, for an account with rights that matter."""
    attempts = (await call("identity.list_sign_ins", account="carol")).sign_ins
    assert attempts[0].ok
    assert sum(not one.ok for one in attempts[1:]) == 40
    assert {one.ip for one in attempts} == {"203.0.113.7"}
    assert "domain-admins" in (await call("identity.account_groups", account="carol")).groups


async def test_a_leaked_key_is_used_from_elsewhere_and_its_sessions_outlive_it(call: Caller) -> None:
    """So the key goes out of use, and everything is denied to whose it is."""
    key = {"key": "AKIAIOSFODNN7EXAMPLE"}
    calls = (await call.ask("cloud.list_key_activity", key)).calls
    assert {one.ip for one in calls if one.action.startswith("iam:")} == {"198.51.100.77"}
    assert not (await call.ask("cloud.deactivate_key", key)).active
    whose = (await call.ask("cloud.key_state", key)).principal
    assert (await call("cloud.deny_principal", principal=whose)).denied


async def test_a_machine_that_encrypts_is_cut_off_with_its_memory_kept(call: Caller, lab: Lab) -> None:
    """The process is ended by number and start, the file goes into quarantine, the copy of the memory to the case."""
    running = (await call("endpoint.list_processes", host="ws-2")).processes
    bad = next(one for one in running if "shadows" in (one.command_line or ""))
    parent = next(one for one in running if one.pid == bad.parent)
    memory = (await call("endpoint.collect_memory", host="ws-2", pid=bad.pid)).file
    await call("endpoint.isolate", host="ws-2")
    for process in (bad, parent):
        await call("endpoint.kill_process", host="ws-2", pid=process.pid, started=process.started)
    with pytest.raises(NotFound):
        await call("endpoint.kill_process", host="ws-2", pid=bad.pid, started=bad.started)
    assert (await call("endpoint.quarantine_file", host="ws-2", path=parent.path)).quarantined
    case = (await call("ticket.open", title="ws-2")).id
    await call("ticket.attach", ticket=case, file=memory)
    assert lab.state.systems.tickets.tickets[0]["attachments"][0]["sha256"] == memory.sha256


async def test_another_process_of_the_same_number_is_not_hit(call: Caller, lab: Lab) -> None:
    """The number was given again meanwhile."""
    with pytest.raises(NotFound):
        await call("endpoint.kill_process", host="ws-2", pid=4711, started="2020-01-01T00:00:00Z")
    assert lab.state.systems.endpoints.kills == []


async def test_a_web_shell_is_known_by_its_hash(call: Caller, lab: Lab) -> None:
    """The copy of the file is what the intelligence knows, in every kind of hash; its bytes can be fetched."""
    path = "/var/www/html/uploads/avatar.php"
    copy = (await call("endpoint.collect_file", host="web-1", path=path)).file
    async with httpx.AsyncClient(base_url=lab.url) as client:
        content = (await client.get(f"/files/{copy.sha256}", headers={"authorization": "Bearer t"})).content
        assert (await client.get(f"/files/{copy.sha256}")).status_code == 401
    assert len(content) == copy.size
    for algorithm in ("md5", "sha1", "sha256"):
        digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
        assert (await call("intel.lookup_hash", hash=digest)).family == "Example.Shell"


async def test_a_tunnel_shows_by_how_much_one_machine_asks_for(call: Caller) -> None:
    """Names below the domain count for it; the busiest comes first."""
    asked = (await call("dns.list_clients", domain="tunnel.example")).clients
    assert [(one.host, one.queries) for one in asked] == [("ws-2", 4_000)]
    assert (asked[0].bytes or 0) > 100_000
    assert (await call("intel.lookup_domain", domain="a7.t.tunnel.example")).score == 80
    callers = (await call("dns.list_clients", domain="evil.example")).clients
    assert [one.host for one in callers] == ["ws-1"]


async def test_a_ticket_is_found_by_its_words(call: Caller) -> None:
    """Also by text, while it is open; what is resolved only on demand."""
    one = (await call("ticket.open", title="Callback of ws-2", body="to evil.example")).id
    two = (await call("ticket.open", title="Another")).id
    await call("ticket.tag", ticket=one, tags=["host:ws-2", "malware"])
    await call("ticket.link", ticket=two, to=one, relation="duplicates")
    await call("ticket.change", ticket=one, severity="high", owner="alice")
    assert [found.id for found in (await call("ticket.find", tag="host:ws-2")).tickets] == [one]
    assert (await call("ticket.find", text="EVIL.example")).tickets[0].owner == "alice"
    await call("ticket.resolve", ticket=one, code="true_positive")
    assert (await call("ticket.find", tag="malware")).tickets == ()
    assert len((await call("ticket.find", tag="malware", open_only=False)).tickets) == 1


async def test_more_may_happen_and_is_still_there_after_a_restart(lab: Lab, call: Caller, tmp_path: Path) -> None:
    """A test or a demo tells its own story; where the past lies does not move."""
    before = await call("identity.list_sign_ins", account="bob")
    lab.state.happens("account", name="erin")
    lab.state.happens("sign_in", account="erin", time="2999-01-01T00:00:00+00:00", ip="203.0.113.9")
    lab.state.happens("mail", message_id="m@x.example", sender="a@x.example", mailboxes=["erin@corp.example"],
                      received="2999-01-01T00:00:00+00:00", files={"a.txt": "x"})  # fmt: skip
    lab.state.happens("process", host="db-1", pid=9, name="x", started="2999-01-01T00:00:00+00:00")
    with pytest.raises(ValueError, match="'miracle'"):
        lab.state.happens("miracle")

    async with Lab(tmp_path, token="t") as again:
        call = Caller(configured(product, url=again.url, token="t"))
        assert (await call("identity.list_sign_ins", account="erin")).sign_ins[0].ip == "203.0.113.9"
        assert (await call("mail.get_message", message_id="m@x.example")).attachments[0].name == "a.txt"
        assert (await call("endpoint.list_processes", host="db-1")).processes[-1].pid == 9
        assert await call("identity.list_sign_ins", account="bob") == before


async def test_the_page_names_only_what_the_lab_tells(lab: Lab) -> None:
    """A system that is renamed without its card would leave the page blank."""
    named = set(re.findall(r"s => s\.(\w+)", PAGE.read_text()))
    assert named <= set(lab.state.shown())
    assert {"blocks", "endpoints", "mail", "keys", "tickets"} <= named


async def test_the_page_shows_in_a_browser_what_was_done_and_hostile_text_as_text(lab: Lab, call: Caller) -> None:
    """One element too many would be a script of an attacker's."""
    need("chromium")
    await call("firewall.block_ip", ip="203.0.113.7", reason="<img src=x onerror=alert(1)>")
    await call("endpoint.isolate", host="ws-2")
    browser = await asyncio.create_subprocess_exec(
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom", lab.url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    shown = (await browser.communicate())[0].decode()
    assert "ws-2: isolated" in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<img" not in shown
