"""Temporal's full server with TLS, mutual TLS and tokens: everything flows, and a mistake names its setting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from temporalio.client import Client, WorkflowHandle

from orchestrator.contract import Secret
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.lab import Lab
from orchestrator.settings import Settings, TemporalSettings
from orchestrator.workflow.client import connect, keep_token_fresh
from tests.integrations.support import free_port
from tests.own_servers.certificates import Authority
from tests.own_servers.flow import PLAYBOOKS, assert_everything_flows, assert_refused, lab_settings
from tests.own_servers.temporal import SecuredTemporal, secured_temporal
from tests.own_servers.tokens import Issuer
from tests.site import Site, make_site, on_the_test_servers
from tests.workflow.bench import Bench, ask, block, eventually, playbook

pytestmark = pytest.mark.timeout(300)  # a server that starts, and many processes of the command


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Whose tokens the server takes."""
    return Issuer(tmp_path_factory.mktemp("issuer") / "issuer")


@pytest.fixture(scope="module")
async def with_tokens(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, issuer: Issuer
) -> AsyncIterator[SecuredTemporal]:
    """The server with TLS, which lets nobody in without a token."""
    async with secured_temporal(tmp_path_factory.mktemp("temporal") / "s", authority, issuer=issuer) as server:
        yield server


@pytest.fixture(scope="module")
async def mutual(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[SecuredTemporal]:
    """The server with mutual TLS."""
    async with secured_temporal(tmp_path_factory.mktemp("temporal") / "s", authority, mutual=True) as server:
        yield server


def site_of(folder: Path, settings: Settings, server: SecuredTemporal, lab: Lab, **security: object) -> Site:
    servers = on_the_test_servers(settings)
    servers["temporal"] |= {"address": server.address, **security}
    return make_site(folder, PLAYBOOKS, {**servers, **lab_settings(lab)})


def worker_token(issuer: Issuer, **more: Any) -> str:
    return issuer.token("tocsin", "default:write", **more)


async def test_everything_flows_with_tls_and_a_token(
    with_tokens: SecuredTemporal, issuer: Issuer, authority: Authority, settings: Settings, engine: AsyncEngine,
    lab: Lab, tmp_path: Path,
) -> None:  # fmt: skip
    """An administrator's token for `tocsin up`, once; then the role `write` is enough."""
    await with_tokens.add_namespace("soc")
    token = tmp_path / "token"
    security = {"namespace": "soc", "ca_file": authority.certificate, "token_file": token}
    site = site_of(tmp_path / "site", settings, with_tokens, lab, **security)
    token.write_text(issuer.token("tocsin", "soc:write"))
    await assert_refused(site, ("up",), "only an administrator of the namespace may add them (temporal.token_file)")
    token.write_text(issuer.token("somebody", "soc:admin"))
    made = await site.tocsin("up")
    assert made.returncode == 0, made.stderr
    token.write_text(issuer.token("tocsin", "soc:write"))
    await assert_everything_flows(site, engine, settings, lab)


async def test_everything_flows_with_mutual_tls(
    mutual: SecuredTemporal, authority: Authority, settings: Settings, engine: AsyncEngine, lab: Lab, tmp_path: Path
) -> None:
    """Our certificate opens the door; no token is asked for."""
    ours = authority.issue("tocsin")
    files = {"ca_file": authority.certificate, "certificate_file": ours.certificate, "key_file": ours.key}
    site = site_of(tmp_path / "site", settings, mutual, lab, **files)
    made = await site.tocsin("up")
    assert made.returncode == 0, made.stderr
    await assert_everything_flows(site, engine, settings, lab)


async def test_a_token_that_changes_in_its_file_is_the_one_that_client_and_worker_show_from_then_on(
    with_tokens: SecuredTemporal, issuer: Issuer, authority: Authority, engine: AsyncEngine, task_queue: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    """By the names that the server writes down; the file is empty for a moment, as when somebody writes it."""
    file = tmp_path / "token"
    file.write_text(issuer.token("first", "default:write"))
    settings = TemporalSettings(ca_file=authority.certificate, token_file=file)
    client = await connect(settings, with_tokens.address)
    bench = Bench(client, engine, task_queue)
    async with kept_fresh(client, settings), bench.worker():
        assert await who_did_it(await bench.start(playbook([block()]))) == {"first"}
        file.write_text("")
        file.write_text(second := issuer.token("second", "default:write"))
        await eventually(lambda: shows(client, second))
        assert await who_did_it(await bench.start(playbook([block(ip="203.0.113.8")]))) == {"second"}
    assert bench.target.asked == ["block 203.0.113.7", "block 203.0.113.8"]


async def test_a_token_that_is_not_taken_any_more_is_told_in_the_log(
    with_tokens: SecuredTemporal, issuer: Issuer, authority: Authority, tmp_path: Path
) -> None:
    """With the name of its setting and of its file, for as long as it lasts; the process waits for a new one."""
    file = tmp_path / "token"
    file.write_text(worker_token(issuer))
    settings = TemporalSettings(ca_file=authority.certificate, token_file=file)
    client = await connect(settings, with_tokens.address)
    file.write_text(expired := worker_token(issuer, seconds=-60))
    with capture_logs() as said:
        async with kept_fresh(client, settings):
            await eventually(lambda: shows(client, expired))
            await eventually(lambda: found(said, "temporal.token_refused"))
    assert said[0]["setting"] == f"temporal.token_file {file}"


@asynccontextmanager
async def kept_fresh(client: Client, settings: TemporalSettings) -> AsyncIterator[None]:
    keeping = asyncio.create_task(keep_token_fresh(client, settings, every=0.05))
    yield
    assert not keeping.done()
    keeping.cancel()


async def shows(client: Client, token: str) -> bool:
    return client.rpc_metadata == {"authorization": f"Bearer {token}"}


async def found(said: Sequence[Mapping[str, Any]], event: str) -> bool:
    return any(one["event"] == event for one in said)


async def who_did_it(handle: WorkflowHandle[Any, Any]) -> set[str]:
    """Whose tokens started the run and did its work, by its history."""
    await handle.result()
    events = (await handle.fetch_history()).events
    return {event.principal.name for event in events if event.HasField("principal")}


async def test_who_approved_is_whom_the_token_names(
    with_tokens: SecuredTemporal, issuer: Issuer, authority: Authority, settings: Settings, database: str,
    engine: AsyncEngine, lab: Lab, tmp_path: Path,
) -> None:  # fmt: skip
    """The server's own principal, whatever name the answer gives; somebody who may only read is refused."""
    ca = {"ca_file": authority.certificate}
    client = await connect(TemporalSettings(**ca, token=Secret(worker_token(issuer))), with_tokens.address)
    site = site_of(tmp_path / "site", settings, with_tokens, lab, **ca)
    bench = Bench(client, engine, settings.temporal.task_queue)
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]))
        await bench.asked(handle)
        approve = ("approve", handle.id, "--yes")
        bob = {"TOCSIN_TEMPORAL__TOKEN": issuer.token("bob@corp", "default:read")}
        done = await site.tocsin(*approve, **bob)
        assert (done.returncode, bench.target.asked) == (2, [])
        assert "or it may not write in the namespace default" in done.stderr
        done = await site.tocsin(*approve, TOCSIN_TEMPORAL__TOKEN=issuer.token("alice@corp", "default:write"))
        assert done.returncode == 0, done.stderr
        assert "as alice@corp, principal" in done.stdout
        await handle.result()
    assert bench.target.asked == ["block 203.0.113.7"]


async def test_every_command_says_which_setting_temporal_does_not_take(
    with_tokens: SecuredTemporal, issuer: Issuer, authority: Authority, settings: Settings, lab: Lab, tmp_path: Path
) -> None:
    """One line at once, and exit code 2."""
    expired = worker_token(issuer, seconds=-60)
    site = site_of(tmp_path / "site", settings, with_tokens, lab, ca_file=authority.certificate, token=expired)
    alert = site.write("alert.json", "{}")
    for command in (("serve",), ("run", "contain", "--alert", alert), ("up",)):
        await assert_refused(
            site, command, "temporal.token and temporal.token_file: the server does not take the token"
        )


async def test_a_wrong_setting_of_tls_or_token_is_named(
    with_tokens: SecuredTemporal, issuer: Issuer, authority: Authority, tmp_path: Path
) -> None:
    """Authority, name, protocol, token and namespace, each with what is wrong with it."""
    right = {"ca_file": authority.certificate, "token": worker_token(issuer)}
    stranger = Authority(tmp_path / "other", "Somebody else")
    address, elsewhere = with_tokens.address, with_tokens.address.replace("127.0.0.1", "localhost")
    (tmp_path / "empty").touch()
    await connect(TemporalSettings.model_validate(right), address)
    token_file: dict[str, Any] = {"token": None, "token_file": tmp_path / "none"}
    for says, wrong, at in (
        ("temporal.ca_file: it does not vouch", {"ca_file": stranger.certificate}, address),
        ("temporal.ca_file: it does not vouch", {"ca_file": None, "tls": True}, address),
        ("temporal.ca_file /nowhere: No such file", {"ca_file": "/nowhere"}, address),
        ("temporal.address: the server's certificate is for other names", {}, elsewhere),
        ("if it wants TLS, set temporal.tls or temporal.ca_file", {"ca_file": None}, address),
        ("lets nobody in without one", {"token": None}, address),
        ("a token is one line of plain text", {"token": "two\nlines"}, address),
        ("may not write in the namespace default", {"token": issuer.token("x", "default:read")}, address),
        ("none: cannot be read", token_file, address),
        ("empty: it is empty", token_file | {"token_file": tmp_path / "empty"}, address),
        ("temporal.namespace: ", {"namespace": "other", "token": issuer.token("x", "other:write")}, address),
        ("cannot be reached: tcp connect error", {}, f"127.0.0.1:{free_port()}"),
    ):
        await assert_named(says, right | wrong, at)


async def test_a_client_certificate_that_is_missing_strange_or_not_ours_is_named(
    mutual: SecuredTemporal, stack: Endpoints, authority: Authority, tmp_path: Path
) -> None:
    """Each with what is wrong with it; and TLS where the server has none."""
    ours, stranger = authority.issue("tocsin"), Authority(tmp_path / "other", "Somebody else").issue("tocsin")
    ca = {"ca_file": authority.certificate}
    right = ca | {"certificate_file": ours.certificate, "key_file": ours.key}
    strange = ca | {"certificate_file": stranger.certificate, "key_file": stranger.key}
    await connect(TemporalSettings.model_validate(right), mutual.address)
    for says, wrong in (
        ("temporal.certificate_file", ca),
        ("temporal.certificate_file", strange),
        ("temporal.key_file: it is not the key of temporal.certificate_file", right | {"key_file": stranger.key}),
        ("temporal.certificate_file: it holds no certificate", right | {"certificate_file": ours.key}),
        ("temporal.key_file: it holds no key", right | {"key_file": ours.certificate}),
    ):
        await assert_named(says, wrong, mutual.address)
    await assert_named("the server speaks without TLS there", right, stack.temporal)


async def assert_named(says: str, settings: dict[str, Any], address: str) -> None:
    with pytest.raises(TocsinError, match=re.escape(says)):
        await connect(TemporalSettings.model_validate(settings), address)
