"""`tocsin playbooks` and `tocsin status` as people and machines read them."""

from __future__ import annotations

import json

import pytest

from orchestrator.local.endpoints import Endpoints
from orchestrator.settings import child_environment
from tests.command import tocsin
from tests.versions.site import Site, broken, playbook

OPEN_RUN = """
INSERT INTO tocsin.run (run, playbook, digest, event, workflow_id, first_run_id, mode)
VALUES (:run, :playbook, :digest, 'an alert', :run, 'x', 'live')
"""


@pytest.fixture
def environment(stack: Endpoints, database: str) -> dict[str, str]:
    """A process's environment that names the servers."""
    return child_environment(
        TOCSIN_KAFKA__BOOTSTRAP=stack.kafka, TOCSIN_TEMPORAL__ADDRESS=stack.temporal, TOCSIN_DATABASE__URL=database
    )


@pytest.fixture
async def digests(site: Site) -> list[str]:
    """A site with a playbook of two versions and runs open on both, one that is broken, and one that is removed."""
    for name in ("contain", "broken", "gone"):
        site.write(name, playbook(f"{name} one"))
    process = site.process()
    await process.look()
    site.write("contain", playbook("contain two").replace("channel: soc", "channel: night"))
    site.write("broken", broken())
    site.remove("gone")
    await process.look()
    rows = await site.rows("SELECT name, digest FROM tocsin.playbook_in_force ORDER BY name, since")
    found = [row.digest for row in rows if row.name == "contain"]
    for run, digest in (("first", found[0]), ("second", found[0]), ("third", found[1])):
        await site.do(OPEN_RUN, run=run, playbook="contain", digest=digest)
    return found


def test_the_list_shows_what_is_in_force_what_is_broken_and_where_versions_still_run(
    environment: dict[str, str], digests: list[str]
) -> None:
    """People get a table and, in words, what is wrong; machines one line."""
    old, new = digests
    done = tocsin("playbooks", environment=environment)
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line[:1].isalpha()}
    assert f"contain two  live  {new[7:19]}" in rows["contain"]
    assert rows["contain"].split("in force")[1].split() == ["1,", "2", "on", old[7:19]]
    assert "removed" in rows["gone"]
    assert "stays in force" in done.stdout
    assert "broken.yaml:5:24: no action is named `notify.sent`; did you mean `notify.send`?" in done.stdout

    listed = {one["name"]: one for one in json.loads(tocsin("playbooks", "--json", environment=environment).stdout)}
    assert {name: (one["state"], one["in_force"]) for name, one in listed.items()} == {
        "broken": ("broken", True),
        "contain": ("in force", True),
        "gone": ("removed", False),
    }
    assert listed["contain"]["open_runs"] == {old: 2, new: 1}
    assert listed["broken"]["findings"][0]["line"] == 5


def test_a_playbook_shows_its_versions_and_what_changed(environment: dict[str, str], digests: list[str]) -> None:
    """The newest first, each with its time, its open runs, and every key that differs from the one before."""
    done = tocsin("playbooks", "contain", environment=environment)
    head, newest, *changes = (line for line in done.stdout.splitlines() if line)
    assert head == "contain: contain two"
    assert newest.startswith(f"{digests[1][7:19]}  in force ")
    assert newest.endswith(" to now   1 open run")
    assert changes[0] == "  ~ title: contain one -> contain two"
    assert "  ~ step `note`, with.channel: soc -> night" in changes
    assert changes[-2].endswith("   2 open runs")
    assert changes[-1] == "  the first"

    (first, second) = json.loads(tocsin("playbooks", "contain", "--json", environment=environment).stdout)["versions"]
    assert (first["changes"], first["until"] is None, second["until"]) == (None, False, None)
    assert {"kind": "changed", "part": "step note", "key": "with.channel", "old": "soc", "new": "night"} in second[
        "changes"
    ]


def test_a_name_that_nobody_knows_is_one_clear_mistake(environment: dict[str, str], digests: list[str]) -> None:
    """With the nearest right one."""
    done = tocsin("playbooks", "contian", environment=environment)
    assert done.returncode == 2
    assert done.stderr.strip() == "no playbook named contian was ever in force; did you mean contain?"


def test_status_says_which_playbooks_are_broken(environment: dict[str, str], digests: list[str]) -> None:
    """The exit code is about the servers: the last good version serves."""
    done = tocsin("status", environment=environment)
    assert done.returncode == 0
    assert "broken has been broken since" in done.stdout
    rows = {row["part"]: row for row in json.loads(tocsin("status", "--json", environment=environment).stdout)}
    assert rows["playbooks"] == {
        "part": "playbooks", "state": "broken", "address": None, "pid": None, "memory": 0, "why": "",
        "in_force": 2, "broken": ["broken"],
    }  # fmt: skip
