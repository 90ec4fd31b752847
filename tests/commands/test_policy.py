"""`tocsin policy` and `shadow`, and what a policy means for commands: who may, in which mode, and was it right."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.local.lab import Lab
from tests.commands.conftest import ME, an_alert, blocked, is_blocked, lifted, one_line, sent
from tests.site import Site
from tests.workflow.bench import eventually

pytestmark = pytest.mark.timeout(300)  # many processes of the command
CLOSE = ("firewall.block_ip", "192.0.2.77")
AWAY = {"TOCSIN_TEMPORAL__ADDRESS": "127.0.0.1:9", "TOCSIN_KAFKA__BOOTSTRAP": "127.0.0.1:9"}
"""neither Temporal nor Kafka is there"""
NOT_ME = """title: Not you
groups:
  lead: [alice@soc-1]
may:
  release: {groups: [lead]}
  keep: {groups: [lead]}
  extend: {groups: [lead]}
  lift: {groups: [lead]}
  run: nobody
  cancel: {people: [alice@soc-1]}
"""


async def put(site: Site, text: str) -> None:
    """Write the policy, and wait until it is in force."""
    (site.folder / "playbooks" / "site").mkdir(exist_ok=True)
    site.write("playbooks/site/policy.yaml", text)

    async def in_force() -> bool:
        told = json.loads((await site.tocsin("policy", "show", "--json", **AWAY)).stdout)
        return told["folder"] == "same" and not told["broken"]

    assert await eventually(in_force, within=60)


@pytest.fixture
async def open_again(serving: Site) -> AsyncIterator[None]:
    """Afterwards everything is live, and everybody may."""
    yield
    await put(serving, "title: All is open\n")


async def explained(site: Site, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = await site.tocsin("policy", "explain", *arguments, "--json", **AWAY)
    assert done.stderr == ""
    (one,) = json.loads(done.stdout)
    return done.returncode, {**one, "told": {told["rail"]: (told["verdict"], told["by"]) for told in one["told"]}}


@pytest.mark.usefixtures("open_again")
async def test_who_may_not_is_refused_by_the_line_and_who_may_is_not(serving: Site, lab: Lab) -> None:
    """Nothing is done, and the audit has it; what the policy leaves open goes on. `show` says it beforehand."""
    shown = await serving.tocsin("policy", "show")
    assert shown.stdout.startswith("the defaults are in force, all live: there is no ")
    alert = an_alert("high")
    await sent(serving, alert)
    assert await blocked(lab, alert)
    target, file = f"ip:{alert['source']['ip']}", f"{serving.folder}/playbooks/site/policy.yaml"
    assert (await serving.tocsin("containments", "extend", target, "2h")).returncode == 0
    await put(serving, NOT_ME)

    among = f"the group lead; {ME} is not among them (who may: alice@soc-1)"
    refused = {
        ("containments", "release", target): f"{file}:5: may.release is for {among}",
        ("containments", "keep", target): f"{file}:6: may.keep is for {among}",
        ("containments", "extend", target, "3h"): f"{file}:7: may.extend is for {among}",
        ("kill", "lift", "--why", "x"): f"{file}:8: may.lift is for {among}",
        ("run", "watched"): f"{file}:9: may.run is for nobody; {ME} is not among them (nobody may)",
        ("cancel", "watched/a/x"): f"{file}:10: may.cancel is for alice@soc-1; {ME} is not among them",
    }
    for arguments, says in refused.items():
        done = await serving.tocsin(*arguments)
        assert done.returncode == 2, arguments
        assert one_line(done.stderr).startswith(says), done.stderr
    assert is_blocked(lab, alert)
    told = await serving.tocsin("audit", "show", target, "--json")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(one["body"]["what"], one["body"]["by"]) for one in events if one["type"] == "operator.refused"] == [
        ("release", ME), ("keep", ME), ("extend", ME)
    ]  # fmt: skip

    assert (await serving.tocsin("kill", "--capability", "ticket.open", "--why", "a test", **AWAY)).returncode == 0
    shown = await serving.tocsin("policy", "show")
    assert re.search(rf"lift +the group lead +no +{re.escape(file)}:8", shown.stdout), shown.stdout
    assert re.search(r"kill +everyone +yes +the default", shown.stdout)
    await put(serving, NOT_ME.replace("alice@soc-1", ME).replace("nobody", f"{{people: [{ME}]}}"))
    assert (await serving.tocsin("kill", "lift", "--capability", "ticket.open", "--why", "over")).returncode == 0
    assert (await serving.tocsin("containments", "release", target)).returncode == 0
    assert await lifted(lab, alert)


@pytest.mark.usefixtures("open_again")
async def test_it_is_explained_what_would_become_of_an_action_and_by_which_line(serving: Site) -> None:
    """Exit code 0 where it would be sent. The rails themselves are asked, and nothing but the database is needed."""
    code, one = await explained(serving, *CLOSE)
    assert (code, one["becomes"], one["integration"]) == (0, "sent", "lab")
    assert {rail: verdict for rail, (verdict, _) in one["told"].items()} == dict.fromkeys(
        ("never_touch", "mode", "kill_switch"), "passes"
    )

    (serving.folder / "playbooks" / "lists").mkdir()
    crown = serving.write(
        "playbooks/lists/crown.yaml", "title: Crown\ntype: network\nentries:\n- 198.51.100.0/24\nnever_touch: true\n"
    )
    for target, place in (("ip:127.0.0.1", "step"), ("198.51.100.7", f"{crown}:4: ")):
        code, one = await explained(serving, "firewall.block_ip", target)
        assert (code, one["becomes"], one["told"]["never_touch"][0]) == (1, "refused", "refuses")
        assert one["told"]["never_touch"][1].startswith(place) is (place != "step")
    await put(serving, "title: New ones wait\nnew_playbooks: shadow\nmodes:\n  playbooks: {watched: live}\n")
    assert (await explained(serving, *CLOSE, "--playbook", "watched"))[1]["becomes"] == "sent"
    code, one = await explained(serving, *CLOSE, "--playbook", "asked")
    assert (code, one["becomes"]) == (1, "shadowed")
    assert one["told"]["mode"][1] == (
        f"{serving.folder}/playbooks/site/policy.yaml:2: new_playbooks: shadow, and modes.playbooks does not name asked"
    )
    assert (await serving.tocsin("kill", "--integration", "lab", "--why", "a test")).returncode == 0
    code, one = await explained(serving, *CLOSE, "--playbook", "watched")
    assert (code, one["becomes"]) == (1, "halted")
    assert one["told"]["kill_switch"][1].startswith("kill switch for integration lab, thrown by ")
    assert (await serving.tocsin("kill", "lift", "--integration", "lab", "--why", "over")).returncode == 0
    await put(serving, "title: Ask first\napprovals:\n- {capabilities: [firewall.block_ip]}\n")
    code, one = await explained(serving, *CLOSE, "--playbook", "watched")
    assert (code, one["becomes"], one["told"]["approval"][0]) == (0, "asked about", "asks")
    await put(serving, "title: All is open\n")
    text = await serving.tocsin("policy", "explain", *CLOSE, "--playbook", "watched")
    assert text.stdout.splitlines()[0] == "firewall.block_ip 192.0.2.77 at lab: sent"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("firewall.blok_ip",), "no capability is named firewall.blok_ip here; did you mean firewall.block_ip?"),
        (("firewall.block_ip", "example.org"), "'example.org' is no ip, which firewall.block_ip acts upon"),
        ((*CLOSE, "--playbook", "wached"), "no playbook is named wached here; did you mean watched?"),
        ((*CLOSE, "--integration", "lap"), "no integration is named lap here; did you mean lab?"),
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_one_line(serving: Site, arguments: tuple[str, ...], says: str) -> None:
    """And exit code 2."""
    done = await serving.tocsin("policy", "explain", *arguments)
    assert done.returncode == 2
    assert one_line(done.stderr).startswith(says)


@pytest.mark.usefixtures("open_again")
async def test_a_broken_policy_is_shown_and_the_last_good_one_serves(serving: Site) -> None:
    """`check` says the same of the file, with the same words; exit code 1 of both until it is mended."""
    await put(serving, "title: Good\nmodes: {site: shadow}\n")
    wrong = "title: Broken\nmodes: {playbooks: {wached: shadow}}\n"
    file = serving.write("playbooks/site/policy.yaml", wrong)
    says = f"{file}:2:21: no playbook is named `wached` here; did you mean `watched`?"
    checked = await serving.tocsin("check")
    assert checked.returncode == 1
    assert says in checked.stderr
    alone = await serving.tocsin("check", file, "--json")
    assert [(one["line"], one["code"]) for one in json.loads(alone.stdout)] == [(2, "unknown_playbook")]

    async def told() -> bool:
        return (await serving.tocsin("policy", "show", "--json")).returncode == 1

    assert await eventually(told, within=60)
    shown = json.loads((await serving.tocsin("policy", "show", "--json")).stdout)
    assert (shown["folder"], shown["policy"]["modes"]["site"]) == ("differs", "shadow")
    status = await serving.tocsin("status")
    assert status.stdout.splitlines()[:2] == [
        f"POLICY BROKEN: {file}:2: no playbook is named `wached` here; what was in force stays so",
        f"SHADOW: nothing is sent, by {file}:2: modes.site: shadow",
    ]
    (row,) = [one for one in json.loads((await serving.tocsin("status", "--json")).stdout) if one["part"] == "policy"]
    assert (row["state"], row["shadow"]) == ("broken", f"{file}:2: modes.site: shadow")
    modes = {one["name"]: one["mode"] for one in json.loads((await serving.tocsin("playbooks", "--json")).stdout)}
    assert set(modes.values()) == {"shadow"}
    assert shown["broken"][0]["message"] == "no playbook is named `wached` here"
    past = json.loads((await serving.tocsin("policy", "show", "--past", "--json")).stdout)
    assert past[0]["until"] is None


@pytest.mark.usefixtures("open_again")
async def test_the_report_says_what_would_have_been_done_and_how_often_people_agreed(serving: Site, lab: Lab) -> None:
    """Nobody is asked in shadow, so it counts what people say of it; of the rest it says that nobody knows."""
    await put(serving, "title: Look first\nmodes: {playbooks: {watched: shadow}}\n")
    alerts = [an_alert("high") for _ in range(3)]
    runs = []
    for number, alert in enumerate(alerts):
        file = serving.write(f"{number}.json", json.dumps(alert))
        done = await serving.tocsin("run", "watched", "--alert", file, "--json")
        runs.append(json.loads(done.stdout)["run"])
        assert not is_blocked(lab, alert)
    assert (await serving.tocsin("shadow", "agree", runs[0], "--why", "it was an attack")).returncode == 0
    assert (await serving.tocsin("shadow", "disagree", runs[1], "--step", "block")).returncode == 0
    assert (await serving.tocsin("shadow", "disagree", runs[0])).returncode == 0
    assert (await serving.tocsin("shadow", "agree", runs[0])).returncode == 0

    (row,) = [
        one for one in json.loads((await serving.tocsin("shadow", "report", "--json")).stdout)
        if one["playbook"] == "watched"
    ]  # fmt: skip
    modes = {one["name"]: one["mode"] for one in json.loads((await serving.tocsin("playbooks", "--json")).stdout)}
    assert (modes["watched"], modes["asked"]) == ("shadow", "live")
    assert (row["capability"], row["actions"], row["runs"], row["targets"]) == ("firewall.block_ip", 3, 3, 3)
    assert (row["agreed"], row["disagreed"], row["denied"], row["unknown"], row["agreement"]) == (1, 1, 0, 1, 0.5)
    assert sorted(row["most"]) == sorted(f"ip:{alert['source']['ip']}" for alert in alerts)
    shown = await serving.tocsin("shadow", "report", "--since", "1d")
    assert "people spoke of 2 of 3, and agreed with 1 (50%)" in shown.stdout
    told = await serving.tocsin("audit", "show", runs[0], "--json")
    judged = [json.loads(line)["body"] for line in told.stdout.splitlines() if "shadow.judged" in line]
    assert [(one["by"], one["trust"], one["agrees"]) for one in judged] == [
        (ME, "unverified", True), (ME, "unverified", False), (ME, "unverified", True)
    ]  # fmt: skip
    started = await serving.tocsin("audit", "show", runs[0])
    assert "mode=shadow" in started.stdout
    assert "modes.playbooks.watched: shadow" in started.stdout
    wrong = await serving.tocsin("shadow", "agree", runs[0], "--step", "blok")
    assert one_line(wrong.stderr) == f"{runs[0]} has no step blok in shadow; in shadow: block"


@pytest.mark.usefixtures("open_again")
async def test_what_is_above_a_budget_is_shown_explained_and_let_through_by_an_approval(
    serving: Site, lab: Lab
) -> None:
    """From the alert to the block, with one answer in a terminal."""
    alert = an_alert("high")
    ip = alert["source"]["ip"]
    await put(serving, "title: Nothing by itself\nbudgets: {all: {1h: 0}, playbook: {1h: 30}}\n")
    await sent(serving, alert)

    async def waits() -> Any:
        told = json.loads((await serving.tocsin("budgets", "--json", **AWAY)).stdout)
        return told if any(one["asked"] for one in told["waiting"]) else None

    told = await eventually(waits, within=60)
    (waiting,) = told["waiting"]
    assert (waiting["card"], waiting["actions"], waiting["targets"]) == ("all, 1 of anybody", 1, 1)
    assert {(one["scope"], one["seconds"], one["most"]) for one in told["budgets"]} >= {("all", 3600.0, 0)}
    shown = await serving.tocsin("budgets", **AWAY)
    assert f"tocsin approvals {waiting['asked']}" in shown.stdout
    code, explains = await explained(serving, "firewall.block_ip", ip, "--playbook", "watched")
    assert (code, explains["becomes"], explains["told"]["budget"][0]) == (0, "asked about", "asks")
    assert "policy.yaml:2: 0 targets in all within 1h; " in explains["told"]["budget"][1]
    assert not is_blocked(lab, alert)

    done = await serving.tocsin("approve", waiting["asked"], "--yes", "--wait", "60")

    assert (done.returncode, done.stderr) == (0, "")
    assert await blocked(lab, alert)
    assert json.loads((await serving.tocsin("budgets", "--json", **AWAY)).stdout)["waiting"] == []
