"""`tocsin containments`: what is in force because of us, and what a person may do about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.local.lab import Lab
from tests.commands.conftest import ME, an_alert, blocked, is_blocked, lifted, one_line, sent
from tests.site import Site

pytestmark = pytest.mark.timeout(300)  # many processes of the command


async def in_force(site: Site, alert: dict[str, Any]) -> list[dict[str, Any]]:
    """What is listed of the alert's address."""
    told = await site.tocsin("containments", "--json")
    assert told.returncode == 0, told.stderr
    return [one for one in json.loads(told.stdout) if one["target"] == target(alert)]


def target(alert: dict[str, Any]) -> str:
    return f"ip:{alert['source']['ip']}"


async def test_a_block_ends_with_its_time_and_stands_in_the_list_until_then(serving: Site, lab: Lab) -> None:
    """`serve` takes it back: nothing and nobody else is needed."""
    alert = an_alert("low", title="briefly")
    await sent(serving, alert)
    assert await blocked(lab, alert)
    assert await lifted(lab, alert)
    assert await in_force(serving, alert) == []


async def test_what_is_in_force_is_listed_for_people_for_scripts_and_for_undoing_by_hand(
    serving: Site, lab: Lab
) -> None:
    """Where, since when, until when, and the run that wanted it."""
    alert = an_alert("high")
    await sent(serving, alert)
    assert await blocked(lab, alert)
    ((one, *_),) = (await in_force(serving, alert),)
    assert (one["integration"], one["capability"], one["state"]) == ("lab", "firewall.block_ip", "held")
    assert one["holders"][0]["run"].startswith("watched/a/")
    listed = await serving.tocsin("containments")
    assert target(alert) in listed.stdout
    assert "(in 59m" in listed.stdout or "(in 1h)" in listed.stdout
    export = await serving.tocsin("containments", "--export")
    (line,) = [line for line in export.stdout.splitlines() if alert["source"]["ip"] in line]
    assert line.split("\t")[:2] == ["lab", "firewall.unblock_ip"]


async def test_what_a_person_releases_is_taken_back_at_once_and_recorded_with_the_name(serving: Site, lab: Lab) -> None:
    """Nobody holds it after that."""
    alert = an_alert("high")
    await sent(serving, alert)
    assert await blocked(lab, alert)
    done = await serving.tocsin("containments", "release", target(alert), "--why", "our own scanner")
    assert (done.returncode, done.stderr) == (0, "")
    assert not is_blocked(lab, alert)
    told = await serving.tocsin("audit", "show", target(alert), "--json")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    (released,) = [one["body"] for one in events if one["type"] == "hold.released"]
    assert (released["by"], released["trust"], released["why"]) == (ME, "unverified", "our own scanner")
    again = await serving.tocsin("containments", "release", target(alert))
    assert again.returncode == 2
    assert one_line(again.stderr).startswith(f"nothing in force is named {target(alert)}; in force: ")


async def test_what_a_person_keeps_outlasts_the_run_that_wanted_it(serving: Site, lab: Lab) -> None:
    """Until it is released. What is extended has a later end."""
    alert = an_alert("high")
    await sent(serving, alert)
    assert await blocked(lab, alert)
    kept = await serving.tocsin("containments", "keep", target(alert), "--why", "a person looks at it")
    assert (kept.returncode, kept.stderr) == (0, "")
    (one,) = await in_force(serving, alert)
    assert one["until"] is None
    (run, *_) = [holder["run"] for holder in one["holders"] if holder["run"].startswith("watched/")]
    let_go = await serving.tocsin("containments", "release", "--all-of", run)
    assert (let_go.returncode, let_go.stderr) == (0, "")
    assert is_blocked(lab, alert)
    longer = await serving.tocsin("containments", "extend", target(alert), "8h")
    assert longer.returncode == 0
    assert "held for 8h" in longer.stdout
    assert (await serving.tocsin("containments", "release", target(alert))).returncode == 0
    assert not is_blocked(lab, alert)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("release",), "name a target, or a run with --all-of"),
        (("release", "--all-of", "nobody/a/nothing"), "the run nobody/a/nothing holds nothing"),
        (("extend", "ip:192.0.2.1", "soon"), "'soon' is not a duration"),
        (("keep", "ip:192.0.2.1"), "nothing in force is named ip:192.0.2.1"),
    ],
)
async def test_what_cannot_be_meant_is_one_line(serving: Site, arguments: tuple[str, ...], says: str) -> None:
    """And exit code 2."""
    done = await serving.tocsin("containments", *arguments)
    assert done.returncode == 2
    assert says in one_line(done.stderr)
