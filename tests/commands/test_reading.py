"""`tocsin audit show`, `status`, answers while no worker runs, and the help of every command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.cli.main import app
from orchestrator.local.lab import Lab
from tests.commands.conftest import an_alert, asked, blocked, one_line, sent
from tests.integrations.support import free_port
from tests.site import Site

pytestmark = pytest.mark.timeout(300)  # many processes of the command


async def test_without_a_worker_an_answer_waits_and_the_exit_code_is_3(
    site: Site, engine: AsyncEngine, lab: Lab
) -> None:
    """It stands at the server, and counts when a worker runs again."""
    with site.running("serve"):
        alert, row = await asked(site, engine)
    done = await site.tocsin("approve", row.run, "--yes", "--wait", "0.5")
    assert done.returncode == 3
    assert one_line(done.stderr).startswith("sent, and no worker has judged it within 0.5 s")
    with site.running("serve"):
        assert await blocked(lab, alert)


async def test_the_audit_shows_a_run_an_alert_and_a_target(site: Site, engine: AsyncEngine, lab: Lab) -> None:
    """One event a line, for people and for scripts; what nobody has heard of is exit code 1."""
    alert = an_alert("high")
    with site.running("serve"):
        await sent(site, alert)
        assert await blocked(lab, alert)
    for name in (alert["id"], f"ip:{alert['source']['ip']}"):
        shown = await site.tocsin("audit", "show", name)
        assert (shown.returncode, shown.stderr) == (0, "")
        events = [json.loads(line) for line in (await site.tocsin("audit", "show", name, "--json")).stdout.splitlines()]
        types = [event["type"] for event in events]
        assert len(shown.stdout.splitlines()) == len(types)
        assert types.index("action.intended") < types.index("action.done")
    nobody = await site.tocsin("audit", "show", "nobody")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert one_line(nobody.stderr) == "the audit knows nothing of 'nobody'"


async def test_the_status_of_servers_of_ones_own(site: Site) -> None:
    """They are asked; one that is away or refuses us is told with its reason, and the exit code is 1."""
    done = await site.tocsin("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        ["kafka", "yours"], ["temporal", "yours"], ["postgres", "yours"],
    ]  # fmt: skip
    wrong = {
        "TOCSIN_TEMPORAL__ADDRESS": f"127.0.0.1:{free_port()}",
        "TOCSIN_DATABASE__URL": site.environment["TOCSIN_DATABASE__URL"] + "?sslmode=require",
    }
    done = await site.tocsin("status", "--json", **wrong)
    assert done.returncode == 1
    states = {row["part"]: (row["state"], row["why"]) for row in json.loads(done.stdout)}
    assert states["kafka"] == ("yours", "")
    assert states["temporal"][0] == "away"
    assert states["postgres"][0] == "refuses"
    assert "has no TLS, and sslmode asks for it" in states["postgres"][1]
    assert states["postgres"][1] in " ".join((await site.tocsin("status", **wrong)).stderr.split())


async def test_without_any_servers_a_command_says_what_to_do(site: Site) -> None:
    """One line; `status` says that they are down, which is exit code 1."""
    bare = Site(site.folder, {name: value for name, value in site.environment.items() if "TOCSIN_" not in name})
    done = await bare.tocsin("approvals")
    assert done.returncode == 2
    assert one_line(done.stderr).startswith("not running here: kafka, temporal, database; start the local stack")
    done = await bare.tocsin("status", "--json")
    assert done.returncode == 1
    assert {row["part"]: row["state"] for row in json.loads(done.stdout)} == {
        "kafka": "down", "temporal": "down", "postgres": "down", "playbooks": "unknown", "kill_switch": "unknown",
        "policy": "unknown", "breakers": "unknown",
    }  # fmt: skip


async def test_without_a_worker_a_cancellation_waits_and_the_exit_code_is_3(site: Site, engine: AsyncEngine) -> None:
    """It is taken up as soon as a worker runs again."""
    with site.running("serve") as process:
        await process.says("intake.assigned", 60)
        _, row = await asked(site, engine)
    done = await site.tocsin("cancel", row.workflow_id, "--wait", "1")
    assert done.returncode == 3
    assert one_line(done.stderr).startswith("asked for, and the run has not ended within 1 s")


@pytest.mark.parametrize("options", [["--json"], []])
async def test_whoever_has_read_enough_is_no_mistake(site: Site, options: list[str]) -> None:
    """As in `tocsin status | head -1`: no traceback follows."""
    command = [sys.executable, "-m", "orchestrator.cli.main", "status", *options]
    reader, writer = os.pipe()
    os.close(reader)
    done = await asyncio.to_thread(
        subprocess.run, command, env=site.environment, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def every_command(here: App = app, path: str = "tocsin") -> Iterator[tuple[str, App]]:
    """Every command by its full name."""
    for name in here:
        if not name.startswith("-"):
            command = here[name]
            inner = list(every_command(command, f"{path} {name}"))
            yield from inner or [(f"{path} {name}", command)]


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in every_command()])
def test_the_help_of_every_command_teaches(name: str, command: App) -> None:
    """A first line that says what one gets, and words for every parameter."""
    first = str(command.help or (command.default_command.__doc__ if command.default_command else "")).strip()
    assert len(first.splitlines()[0]) > 20, name
    arguments = command.assemble_argument_collection(parse_docstring=True)
    assert {one.name for one in arguments if not (one.parameter.help or "").strip()} == set()
