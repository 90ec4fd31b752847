"""What became of an alert, found by its id, its place in Kafka, or a file that holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.alerts.explain import AlertNotFound, Record, find, has_read, records_of, story_of
from orchestrator.errors import DeadLetter
from tests.alerts.desk import Desk, alert


async def test_an_alert_is_found_by_its_id_its_place_and_its_bytes(desk: Desk, tmp_path: Path) -> None:
    """All three lead to one record, with the playbook that was chosen and the values of then."""
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(alert(1) + b"\n" + alert(2, "low") + b"\n")
    desk.send(*records_of(file.read_bytes()), partition=2)
    async with desk.running(desk.make()):
        await desk.until_committed(2)

    [by_id] = await find("a-1", desk.engine, desk.options)
    [by_place] = await find(f"{desk.topics.alerts}:2:0", desk.engine, desk.options)
    first, second = await find(str(file), desk.engine, desk.options)
    assert by_id.place == by_place.place == first.place
    assert by_id.raw == by_place.raw == first.raw == alert(1)
    [chosen] = (await story_of(desk.engine, by_id, by_id.key)).chosen
    assert (chosen.playbook, chosen.values) == ("p0", {"alert.severity": "high"})
    # what started nothing is known by its place alone
    assert (second.topic, second.raw) == ("file", alert(2, "low"))
    assert (await story_of(desk.engine, second, None)).chosen == []


async def test_other_bytes_under_a_known_id_are_not_taken_for_the_first(desk: Desk) -> None:
    """The second record's story is that it started nothing, though the first one's runs have its key."""
    desk.send(alert(1), alert(1, title="something else"), partition=0)
    async with desk.running(desk.make()):
        await desk.until_committed(2)
    first, second = [(await find(f"{desk.topics.alerts}:0:{n}", desk.engine, desk.options))[0] for n in range(2)]
    [known] = await find("a-1", desk.engine, desk.options)
    assert not (await story_of(desk.engine, first, known.key)).conflict
    story = await story_of(desk.engine, second, known.key)
    assert story.conflict
    assert story.chosen == story.runs == []
    assert (await story_of(desk.engine, Record(raw=alert(1, title="in a file")), known.key)).conflict


async def test_a_start_that_was_refused_for_ever_is_told(desk: Desk) -> None:
    """The record decodes well and its playbook matches: why nothing runs is only known from the dead letters."""
    desk.starts.before = too_large
    desk.send(alert(1), None, partition=0)
    async with desk.running(desk.make()):
        await desk.until_committed(2)
    [record] = await find("a-1", desk.engine, desk.options)
    assert (await story_of(desk.engine, record, record.key)).dead_letter == "too_large_for_temporal"
    [tombstone] = await find(f"{desk.topics.alerts}:0:1", desk.engine, desk.options)
    assert tombstone.raw is None
    assert (await story_of(desk.engine, tombstone, None)).dead_letter == "tombstone"


def too_large(request: object) -> None:
    raise DeadLetter("too_large_for_temporal", "refused")


async def test_what_intake_has_not_read_yet_is_told_apart(desk: Desk) -> None:
    """Nothing started it because nobody has looked at it."""
    intake = desk.make()
    desk.send(alert(1), partition=0)
    [record] = await find(f"{desk.topics.alerts}:0:0", desk.engine, desk.options)
    group = f"group-{desk.topics.alerts}"
    assert not has_read(desk.options, group, record)
    async with desk.running(intake):
        await desk.until_committed(1)
    assert has_read(desk.options, group, record)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{topic}:0:5", "those from 0 to 0"),
        ("{topic}:77:0", "no record at"),
        ("{topic}:0:99999999999999999999", "no record at"),
        ("a-9", "by its place"),
        ("\udcff", "by its place"),  # what the shell gives for bytes that are no UTF-8
    ],
)
async def test_what_is_not_there_is_said_at_once(desk: Desk, name: str, says: str) -> None:
    """A place beyond the end, a partition that does not exist, an id that nobody recorded."""
    desk.send(alert(1), partition=0)
    with pytest.raises(AlertNotFound, match=says):
        await find(name.format(topic=desk.topics.alerts), desk.engine, desk.options)
