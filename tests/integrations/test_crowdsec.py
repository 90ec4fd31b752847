"""CrowdSec with its bouncer and nftables: a block is what the blocked side notices, not what an API says."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from integrations.crowdsec import crowdsec
from orchestrator.actions.acting import Acting, build_acting
from orchestrator.actions.catalog import scan
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.reaper import Reaper
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import build_site
from orchestrator.contract import Unauthorized
from orchestrator.language.host import RunContext, UndoCall
from tests.actions.bench_target import block, context
from tests.integrations.support import Caller, configured, free_port, listens, need, wait_until

LET_GO = UndoCall(step="back", path=("back",))
FIREWALL, ATTACKER = "tocsin-fw", "tocsin-atk"
SERVER_IP, ATTACKER_IP, NEIGHBOUR_IP = "10.78.4.1", "10.78.4.66", "10.78.4.67"
API_CONFIG = """
common: {{daemonize: false, log_media: stdout, log_level: warning, working_dir: {folder}}}
config_paths: {{config_dir: {folder}/etc, data_dir: {folder}/data, simulation_path: {folder}/etc/simulation.yaml,
  hub_dir: /var/lib/crowdsec/hub, index_path: /var/lib/crowdsec/hub/.index.json}}
crowdsec_service: {{enable: false}}
cscli: {{output: json}}
db_config: {{type: sqlite, db_path: {folder}/data/cs.db, log_level: warning}}
api:
  client: {{insecure_skip_verify: false, credentials_path: {folder}/etc/local_api_credentials.yaml}}
  server: {{listen_uri: "127.0.0.1:{port}", profiles_path: {folder}/etc/profiles.yaml, log_level: warning}}
prometheus: {{enabled: false}}
"""
BOUNCER_CONFIG = """
mode: nftables
pid_dir: {folder}/
update_frequency: 1s
daemonize: false
log_mode: stdout
log_dir: {folder}/
log_level: info
api_url: http://127.0.0.1:{port}/
api_key: bouncerkey
disable_ipv6: true
deny_action: DROP
deny_log: false
blacklists_ipv4: crowdsec-blacklists
blacklists_ipv6: crowdsec6-blacklists
nftables:
  ipv4: {{enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}}
  ipv6: {{enabled: false, set-only: false, table: crowdsec6, chain: crowdsec6-chain}}
"""
# The API listens on loopback of the machine; the bouncer lives with its nftables in the firewall's namespace, so a
# small pipe through a Unix socket carries its questions out.
PIPE = """
import socket, sys, threading
def copy(a, b):
    while data := a.recv(65536): b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def serve(listener, connect):
    while True:
        client, _ = listener.accept(); server = connect()
        for pair in ((client, server), (server, client)): threading.Thread(target=copy, args=pair, daemon=True).start()
kind, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "out":
    listener = socket.socket(socket.AF_UNIX); listener.bind(path)
    connect = lambda: socket.create_connection(("127.0.0.1", port))
else:
    listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    def connect():
        s = socket.socket(socket.AF_UNIX); s.connect(path); return s
listener.listen(16); print("ready", flush=True); serve(listener, connect)
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def inside(namespace: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", namespace, *command]


@dataclass
class Api:
    """The local API, where it listens."""

    url: str
    port: int
    folder: Path


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """CrowdSec's local API on a free port."""
    need("crowdsec", "cscli")
    folder, port = tmp_path_factory.mktemp("crowdsec"), free_port()
    shutil.copytree("/etc/crowdsec", folder / "etc")
    (folder / "data").mkdir()
    config = folder / "config.yaml"
    config.write_text(API_CONFIG.format(folder=folder, port=port))
    (folder / "etc" / "local_api_credentials.yaml").write_text(f"url: http://127.0.0.1:{port}\n")
    credentials = ["-f", str(folder / "etc" / "local_api_credentials.yaml"), "-u", f"http://127.0.0.1:{port}"]
    run("cscli", "-c", str(config), "machines", "add", "tocsin", "--password", "machinepw", "--force", *credentials)
    run("cscli", "-c", str(config), "bouncers", "add", "fw", "-k", "bouncerkey")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(["crowdsec", "-c", str(config)], stdout=log, stderr=log)
    try:
        wait_until(lambda: listens(port), seconds=20, process=server)
        yield Api(f"http://127.0.0.1:{port}", port, folder)
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def call(api: Api) -> Caller:
    """The integration, configured for that API."""
    return Caller(configured(crowdsec, **settings(api)))


def settings(api: Api) -> dict[str, str]:
    return {"url": api.url, "machine_id": "tocsin", "password": "machinepw", "bouncer_key": "bouncerkey"}


@pytest.fixture(scope="module")
def network(api: Api) -> Iterator[None]:
    """A firewall with its bouncer and a web server, and an attacker, each in a namespace of its own."""
    need("ip", "nft", "curl", "crowdsec-firewall-bouncer", root=True)
    processes: list[subprocess.Popen[bytes]] = []
    socket_path, config = api.folder / "pipe", api.folder / "bouncer.yaml"
    config.write_text(BOUNCER_CONFIG.format(folder=api.folder, port=api.port))
    try:
        lay_out()
        python = [sys.executable, "-c", PIPE]
        with (api.folder / "bouncer.log").open("wb") as log:
            for command in (
                [*python, "out", str(socket_path), str(api.port)],
                inside(FIREWALL, *python, "in", str(socket_path), str(api.port)),
                inside(FIREWALL, sys.executable, "-m", "http.server", "8080", "--bind", SERVER_IP),
                inside(FIREWALL, "crowdsec-firewall-bouncer", "-c", str(config)),
            ):
                processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log))
                if command[-3:-2] == ["out"]:
                    wait_until(socket_path.exists, seconds=5)
                if command[-3:-2] == ["in"]:
                    assert processes[-1].stdout is not None
                    assert processes[-1].stdout.readline() == b"ready\n"
        wait_until(lambda: reaches(ATTACKER_IP), seconds=15)
        wait_until(bouncer_is_set, seconds=15, process=processes[-1])
        yield
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(10)
        for namespace in (FIREWALL, ATTACKER):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def lay_out() -> None:
    for namespace in (FIREWALL, ATTACKER):
        subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        run("ip", "netns", "add", namespace)
    run("ip", "link", "add", "v0", "netns", FIREWALL, "type", "veth", "peer", "name", "v1", "netns", ATTACKER)
    run("ip", "-n", FIREWALL, "addr", "add", f"{SERVER_IP}/24", "dev", "v0")
    for address in (ATTACKER_IP, NEIGHBOUR_IP):
        run("ip", "-n", ATTACKER, "addr", "add", f"{address}/24", "dev", "v1")
    for namespace, device in ((FIREWALL, "v0"), (ATTACKER, "v1"), (FIREWALL, "lo")):
        run("ip", "-n", namespace, "link", "set", device, "up")


def bouncer_is_set() -> bool:
    listed = subprocess.run(inside(FIREWALL, "nft", "list", "ruleset"), capture_output=True, text=True, check=False)
    return "crowdsec-blacklists" in listed.stdout


def reaches(source: str) -> bool:
    """Whether this address gets the page, seen from its own side."""
    command = inside(
        ATTACKER, "curl", "-s", "-o", "/dev/null", "-m", "1", "--interface", source, f"http://{SERVER_IP}:8080/"
    )
    return subprocess.run(command, check=False).returncode == 0


async def until(holds: bool, source: str, *, seconds: float = 10) -> float:
    """How many seconds it took until the address could, or could not, reach the server."""
    began = time.monotonic()
    while await asyncio.to_thread(reaches, source) is not holds:
        assert time.monotonic() - began < seconds, f"{source} {'cannot' if holds else 'can still'} reach the server"
    return time.monotonic() - began


@pytest.mark.usefixtures("network")
async def test_a_blocked_address_reaches_nothing_and_an_unblocked_one_does(call: Caller) -> None:
    """From the attacker's side: the page comes, then nothing, then the page again. A neighbour is let be."""
    assert reaches(ATTACKER_IP)

    state = await call("firewall.block_ip", ip=ATTACKER_IP, until=datetime.now(UTC) + timedelta(hours=1))
    assert state.blocked
    await until(False, ATTACKER_IP)
    assert reaches(NEIGHBOUR_IP)

    state = await call("firewall.unblock_ip", ip=ATTACKER_IP)
    assert not state.blocked
    await until(True, ATTACKER_IP)


@pytest.fixture
async def acting(api: Api, engine: AsyncEngine) -> AsyncIterator[Acting]:
    """What acts and takes back on this firewall, with the real ledger."""
    catalog, ledger = scan(), PostgresLedger(engine)
    site = build_site(catalog, {"crowdsec": settings(api)}, {})
    guard = NeverTouch(catalog.capabilities, tuple)
    yield build_acting(catalog.capabilities, site, ledger, Sender(ledger), never_touch=guard)
    await site.close()


@pytest.mark.usefixtures("network")
async def test_a_block_that_two_runs_share_ends_with_the_second(acting: Acting) -> None:
    """Two decisions of CrowdSec, one effect: the attacker is out until the last run lets go."""
    for run_of in ("one", "two"):
        done = await acting.gateway.act(held_by(run_of), block(ATTACKER_IP), ())
        assert done.error is None
    await until(False, ATTACKER_IP)
    assert (await acting.undoing.undo(held_by("one"), LET_GO, ())).error is None
    assert not await asyncio.to_thread(reaches, ATTACKER_IP)
    assert (await acting.undoing.undo(held_by("two"), LET_GO, ())).error is None
    await until(True, ATTACKER_IP)


async def test_the_reaper_leaves_a_ban_that_was_there_before_us(
    acting: Acting, api: Api, call: Caller, engine: AsyncEngine
) -> None:
    """An analyst's own ban outlasts ours."""
    run("cscli", "-c", str(api.folder / "config.yaml"), "decisions", "add", "--ip", "203.0.113.21", "--duration", "1h")
    await acting.gateway.act(held_by("three"), block("203.0.113.21"), ())
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tocsin.action SET until = clock_timestamp() WHERE run = 'three'"))
    reaper = Reaper(acting.ledger, acting.undoing)
    assert await reaper.once() == 1
    await reaper.settled()
    assert (await call("firewall.ip_state", ip="203.0.113.21")).blocked
    async with engine.connect() as connection:
        state = await connection.execute(text("SELECT state FROM tocsin.action WHERE run = 'three'"))
        assert state.scalar_one() == "left"


def held_by(name: str) -> RunContext:
    return context(run=name, event=name, first_run_id=name)


async def test_the_state_is_read_back(call: Caller) -> None:
    """Not listed, listed after a block, not listed after the unblock."""
    assert not (await call("firewall.ip_state", ip="203.0.113.9")).blocked
    await call("firewall.block_ip", ip="203.0.113.9")
    assert (await call("firewall.ip_state", ip="203.0.113.9")).blocked
    await call("firewall.unblock_ip", ip="203.0.113.9")
    assert not (await call("firewall.ip_state", ip="203.0.113.9")).blocked


async def test_a_lost_answer_is_found_by_its_key_and_another_call_is_not_taken_for_it(call: Caller) -> None:
    """Two incidents that block one address are two decisions; each finds its own."""
    await call("firewall.block_ip", key="one", ip="203.0.113.10")

    assert (await call.find("firewall.block_ip", key="one", ip="203.0.113.10")).blocked
    assert await call.find("firewall.block_ip", key="two", ip="203.0.113.10") is None


async def test_what_others_banned_stays_banned(call: Caller, api: Api) -> None:
    """An analyst's own ban survives our unblock, and the state says so."""
    run("cscli", "-c", str(api.folder / "config.yaml"), "decisions", "add", "--ip", "203.0.113.11", "--duration", "1h")
    await call("firewall.block_ip", ip="203.0.113.11")

    state = await call("firewall.unblock_ip", ip="203.0.113.11")

    assert state.blocked
    assert (await call("firewall.ip_state", ip="203.0.113.11")).blocked


async def test_unblocking_what_is_not_blocked_is_no_error(call: Caller) -> None:
    """The state that was asked for is the state that is."""
    assert not (await call("firewall.unblock_ip", ip="203.0.113.12")).blocked


async def test_a_wrong_password_is_said_without_showing_it(api: Api) -> None:
    """One clear failure, after one more try with a fresh login."""
    wrong = Caller(configured(crowdsec, **{**settings(api), "password": "hunter2"}))

    with pytest.raises(Unauthorized) as refused:
        await wrong("firewall.ip_state", ip="203.0.113.13")

    assert "hunter2" not in str(refused.value)
