"""Runs that earlier releases left open go on with today's code: every recorded history replays."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from orchestrator.language.model import STEPS
from tests.workflow.histories import NEW_RULE, constructs, read, recorded, replayer


@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.name.removesuffix(".json.gz"))
async def test_a_recorded_run_replays(path: Path) -> None:
    """The same commands come out of the same history, whatever has been changed since."""
    replay = replayer(data_converter=pydantic_data_converter)
    try:
        await replay.replay_workflow(read(path))
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader has to know what to do about it
        pytest.fail(NEW_RULE.format(name=path.name, error=error), pytrace=False)


def test_every_construct_is_recorded() -> None:
    """A step kind without a recording could be broken for open runs, and nobody would see."""
    found = {kind for path in recorded() for kind in constructs(read(path))}

    assert set(STEPS) - found == set()


async def test_a_change_that_breaks_replay_is_found() -> None:
    """A history in which a step did something else than today's code would do: the replay says so."""
    path = next(one for one in recorded() if "branches_variables" in one.name)
    history = read(path)
    for event in history.events:
        if event.HasField("marker_recorded_event_attributes"):
            data = event.marker_recorded_event_attributes.details["data"].payloads[0]
            data.data = data.data.replace(b'"activity_type":"act"', b'"activity_type":"tap"')
    with pytest.raises(Exception, match=r"(?i)nondeterminism"):
        await replayer(data_converter=pydantic_data_converter).replay_workflow(history)
