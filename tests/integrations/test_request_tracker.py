"""Request Tracker 5, the real one: a ticket is opened once, and what RT refuses is noticed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from integrations.request_tracker import request_tracker
from orchestrator.contract import Rejected, Unauthorized
from tests.integrations.support import Caller, configured, free_port, need, wait_until

SERVER = "/usr/share/request-tracker5/libexec/rt-server"
CONFIG = """use utf8;
Set($rtname, 'tocsin.test'); Set($Organization, 'tocsin.test');
Set($WebDomain, '127.0.0.1'); Set($WebPort, {port}); Set($WebPath, ''); Set($WebBaseURL, 'http://127.0.0.1:{port}');
Set($DatabaseType, 'SQLite'); Set($DatabaseName, '{folder}/rt.db');
Set($DatabaseUser, ''); Set($DatabasePassword, ''); Set($DatabaseHost, ''); Set($DatabasePort, '');
Set($MailCommand, 'testfile'); Set($LogToSTDERR, 'warning'); Set($LogToSyslog, undef);
1;
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """RT on SQLite on a free port."""
    need("rt-setup-database-5", SERVER)
    folder: Path = tmp_path_factory.mktemp("rt")
    port = free_port()
    (folder / "site.pm").write_text(CONFIG.format(folder=folder, port=port))
    (folder / "empty").mkdir()
    environment = {
        "PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "HOME": str(folder), "TMPDIR": str(folder),
        "RT_SITE_CONFIG": str(folder / "site.pm"), "RT_SITE_CONFIG_DIR": str(folder / "empty"),
    }  # fmt: skip
    setup = ["rt-setup-database-5", "--action", "init", "--dba", "", "--dba-password", "", "--skip-create"]
    done = subprocess.run(setup, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [SERVER, "--server", "Starlet", "--host", "127.0.0.1", "--port", str(port), "--max-workers=2"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(address), seconds=40, process=server)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(15)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/REST/2.0/rt", auth=("root", "password"), timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def call(url: str) -> Caller:
    """The integration, configured for that RT."""
    return Caller(configured(request_tracker, url=url, user="root", password="password"))


def rt(url: str, path: str) -> dict[str, object]:
    found: dict[str, object] = httpx.get(f"{url}/REST/2.0{path}", auth=("root", "password"), timeout=10).json()
    return found


async def test_a_ticket_is_opened_and_found_again_by_its_call(call: Caller, url: str) -> None:
    """After a lost answer the ticket is there to be found, so it is not opened twice; another call finds nothing."""
    assert await call.find("ticket.open", key="open", title="Brute force", body="x") is None

    made = await call("ticket.open", key="open", title="Brute force\nfrom 203.0.113.7", body="Line one\nLine two")
    found = await call.find("ticket.open", key="open", title="Brute force", body="x")

    assert found.id == made.id
    assert made.url == f"{url}/Ticket/Display.html?id={made.id}"
    assert str(rt(url, f"/ticket/{made.id}")["Subject"]).startswith("Brute force from 203.0.113.7 [tocsin:")
    assert await call.find("ticket.open", key="another", title="Brute force") is None


async def test_a_comment_is_added_and_found_again_by_its_call(call: Caller) -> None:
    """The mark in the comment tells a repeated call from a new one."""
    made = await call("ticket.open", title="Comments")

    await call("ticket.comment", key="note", ticket=made.id, text="Seen by the sensor: <b>not markup</b>")

    assert await call.find("ticket.comment", key="note", ticket=made.id, text="") is not None
    assert await call.find("ticket.comment", key="other", ticket=made.id, text="") is None


async def test_a_resolved_ticket_is_resolved_at_rt(call: Caller, url: str) -> None:
    """The status is read back, and the reason stands in the ticket."""
    made = await call("ticket.open", title="To be closed")

    end = await call("ticket.resolve", ticket=made.id, code="false_positive", text="The scanner is ours.")

    assert end.status == "resolved"
    assert rt(url, f"/ticket/{made.id}")["Status"] == "resolved"


async def test_quotes_in_a_title_search_for_nothing_else(call: Caller) -> None:
    """Text of an alert is never part of a query."""
    title = "x' OR Subject LIKE '%"

    made = await call("ticket.open", key="quoted", title=title)

    assert (await call.find("ticket.open", key="quoted", title=title)).id == made.id


async def test_what_does_not_exist_and_wrong_passwords_are_told_apart(call: Caller, url: str) -> None:
    """A missing ticket is refused by RT; credentials that RT does not know are `unauthorized` and not shown."""
    with pytest.raises(Rejected):
        await call("ticket.comment", ticket="999999", text="x")

    wrong = Caller(configured(request_tracker, url=url, user="root", password="hunter2"))
    with pytest.raises(Unauthorized) as refused:
        await wrong("ticket.open", title="x")
    assert "hunter2" not in str(refused.value)
