"""`tocsin send`, `run` and `explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.lab import Lab
from tests.commands.conftest import an_alert, blocked, is_blocked, one_line, sent
from tests.site import Site

pytestmark = pytest.mark.timeout(300)  # many processes of the command
NOWHERE = "nowhere.json: cannot be read (No such file or directory)"


async def test_what_is_sent_from_a_file_or_standard_input_is_acted_upon(serving: Site, lab: Lab) -> None:
    """One record a line; a file that is one JSON object over several lines is one record."""
    first, second, third = (an_alert("high") for _ in range(3))
    lines = serving.write("lines.json", f"{json.dumps(first)}\n\n{json.dumps(second)}\n")
    topic = serving.environment["TOCSIN_KAFKA__TOPICS__ALERTS"]
    done = await serving.tocsin("send", lines)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"2 records sent to {topic}\n", "")
    done = await serving.tocsin("send", "-", stdin=json.dumps(third, indent=2))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"1 record sent to {topic}\n", "")
    for alert in (first, second, third):
        assert await blocked(lab, alert)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("send", "nowhere.json"), NOWHERE),
        (("send", "/dev/null"), "/dev/null: holds no record; nothing was sent"),
        (("run", "watched", "--alert", "nowhere.json"), NOWHERE),
        (("run", "watched", "--alert", "/dev/null"), "empty: the record is empty"),
        (("run", "wathced", "--alert", "good.json"), "no playbook is named wathced; known: "),
        (("explain", "alert-nobody-sent"), "no alert 'alert-nobody-sent' was recorded"),
        (("explain", "none:0:0"), "there is no record at none:0:0"),
        (("sned",), 'Did you mean "send"?'),
        (("send", "x", "--topik", "y"), "Did you mean --topic?"),
        (("run", "watched"), "watched is not for starting by hand; add `manual: {}`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_mistake_is_one_line_and_exit_code_2(site: Site, arguments: tuple[str, ...], says: str) -> None:
    """On stderr, without a traceback; nothing on stdout."""
    site.write("good.json", json.dumps(an_alert("high")))
    done = await site.tocsin(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in one_line(done.stderr)


async def test_send_to_another_topic_leaves_the_alerts_alone(site: Site) -> None:
    """Where the records are then, `explain` finds them by their place."""
    other, alert = site.environment["TOCSIN_KAFKA__TOPICS__DEAD_LETTERS"], an_alert("high")
    assert (await site.tocsin("send", "-", "--topic", other, stdin=json.dumps(alert))).returncode == 0
    done = await site.tocsin("explain", f"{other}:0:0", "--json")
    assert json.loads(done.stdout)["id"] == alert["id"]


async def test_a_run_by_hand_says_how_each_step_came_out(serving: Site, lab: Lab) -> None:
    """Whether the alert matches or not; the same file again is another run."""
    alert = an_alert("low")
    file = serving.write("alert.json", json.dumps(alert))
    first, second = [await serving.tocsin("run", "watched", "--alert", file) for _ in range(2)]
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert is_blocked(lab, alert)
    started, *rest = first.stdout.splitlines()
    assert started.startswith("started watched/a/")
    assert started != second.stdout.splitlines()[0]
    assert [line.split() for line in rest] == [["step", "status"], ["block", "succeeded"]]


async def test_a_shadow_run_sends_nothing(serving: Site, lab: Lab) -> None:
    """Its steps are shadowed, and the record says so."""
    alert = an_alert("high")
    done = await serving.tocsin("run", "watched", "--alert", serving.write("a.json", json.dumps(alert)), "--shadow")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["block", "shadowed"]
    assert not is_blocked(lab, alert)


async def test_a_run_that_fails_ends_with_its_reason(serving: Site) -> None:
    """The step and what the target said; exit code 2."""
    done = await serving.tocsin("run", "fails", "--alert", serving.write("a.json", json.dumps(an_alert("low"))))
    assert done.returncode == 2
    assert one_line(done.stderr).startswith("the run failed: ")
    assert "disable" in done.stderr


async def test_a_run_need_not_be_waited_for(site: Site, lab: Lab) -> None:
    """It is started, whether a worker runs or not."""
    alert = site.write("a.json", json.dumps(an_alert("low")))
    done = await site.tocsin("run", "fails", "--alert", alert, "--no-wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("started fails/a/")


async def test_an_alert_is_explained_by_id_by_file_and_by_place(
    serving: Site, lab: Lab, engine: AsyncEngine, tmp_path: Path
) -> None:
    """Which playbook matches, by which values, and what the alert started."""
    alert = an_alert("high")
    await sent(serving, alert)
    assert await blocked(lab, alert)
    async with engine.connect() as connection:
        found = await connection.execute(
            text('SELECT topic, partition, "offset", key FROM tocsin.alert WHERE id = :id'), {"id": alert["id"]}
        )
        place = found.one()
    file = serving.write("alert.json", json.dumps(alert))
    for name in (alert["id"], place.key, file, f"{place.topic}:{place.partition}:{place.offset}"):
        done = await serving.tocsin("explain", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"id: {alert['id']}" in done.stdout
        assert "\nwatched: matches" in done.stdout
        assert "\nasked: does not match" in done.stdout
        assert "  alert.severity = " in done.stdout
    done = await serving.tocsin("explain", alert["id"], "--json")
    told = json.loads(done.stdout)
    assert told["from"] == f"{place.topic}:{place.partition}:{place.offset}"
    assert {one["playbook"]: one["holds"] for one in told["playbooks"]} == {
        "asked": False, "briefly": False, "fails": False, "not-yours": False, "watched": True,
    }  # fmt: skip
    assert [(one["playbook"], one["how"]) for one in told["runs"]] == [("watched", "started")]


async def test_an_alert_is_explained_by_what_is_in_force_whatever_the_folder_holds(serving: Site) -> None:
    """A draft beside the folder that serves is not in force; where it differs is said."""
    alert = serving.write("explained.json", json.dumps(an_alert("high")))
    drafts = serving.folder / "drafts"
    drafts.mkdir()
    watched = (serving.folder / "playbooks" / "watched.yaml").read_text()
    (drafts / "watched.yaml").write_text(watched.replace('"high"', '"low"'))
    (drafts / "fresh.yaml").write_text(watched)
    (drafts / "asked.yaml").write_text("title: [")
    done = await serving.tocsin("explain", alert, "--json", TOCSIN_PLAYBOOKS=str(drafts))
    told = json.loads(done.stdout)
    assert told["by"] == "in force"
    assert {one["playbook"]: one["holds"] for one in told["playbooks"]}["watched"] is True
    differs = told["folder_differs"]
    assert differs["watched"] == "stands in the folder in another version than the one in force"
    assert differs["fresh"] == "stands in the folder, and is not in force"
    assert differs["fails"] == "is in force, and the folder holds no good version of it"
    assert differs[str(drafts / "asked.yaml")].startswith(
        f"is broken, so it is not put in force: {drafts}/asked.yaml:1"
    )
    done = await serving.tocsin("explain", alert, TOCSIN_PLAYBOOKS=str(drafts))
    assert "\nwatched: matches" in done.stdout
    assert "\nfresh stands in the folder, and is not in force" in done.stdout


async def test_a_file_is_explained_by_the_folder_where_no_servers_run(site: Site) -> None:
    """Which is said; what only servers know cannot be explained then."""
    alert = site.write("alone.json", json.dumps(an_alert("high")))
    nowhere = {"TOCSIN_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = await site.tocsin("explain", alert, "--json", **nowhere)
    assert done.returncode == 0
    assert one_line(done.stderr).endswith(f"; explained by the folder {site.folder}/playbooks alone")
    told = json.loads(done.stdout)
    assert (told["by"], told["folder_differs"]) == ("folder", {})
    assert {one["playbook"] for one in told["playbooks"] if one["holds"]} == {"watched"}
    done = await site.tocsin("explain", "alert-1", **nowhere)
    assert (done.returncode, done.stdout) == (2, "")


async def test_what_became_a_dead_letter_is_explained(site: Site) -> None:
    """With its reason, as intake decided it."""
    done = await site.tocsin("explain", site.write("broken.json", '{"id": '))
    assert done.returncode == 0
    assert "dead_letter: not_json" in done.stdout
