"""Histories of runs, kept in the repository: what open runs of earlier releases look like.

They are recorded by the tests that make them: `make histories` writes a file for each test of `test_language.py`. A
file that is there stays: it is what a release wrote, and every later release has to be able to go on from it.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from orchestrator.language.model import STEPS
from orchestrator.workflow.budget_question import BudgetQuestion
from orchestrator.workflow.playbook_run import PlaybookRun

FOLDER = Path(__file__).parent / "recorded"
RECORD = "RECORD_HISTORIES"
LARGEST = 400
"""events of a history that is kept; a longer one shows nothing more"""
STICKY = re.compile(r"^\d+[-@].+-[0-9a-f]{32}$")
"""the name of a worker's own queue: its process, its machine, and chance"""
NEW_RULE = """
A run that was recorded by an earlier release no longer replays: {name}.
Every open run like it would be stuck in the middle after an upgrade. Either
- keep what the interpreter does for runs of the old rules: raise `RULES` in orchestrator/language/program.py, and let
  the new way depend on it (or on `workflow.patched("...")` where it is not the language that changed), or
- undo the change, if nothing was meant to change for runs.
Deleting the recording only hides it: the runs are out there.

{error}
"""


def recorded() -> list[Path]:
    """All recordings."""
    return sorted(FOLDER.glob("*.json.gz"))


def replayer(**options: object) -> Replayer:
    """Replays with today's code."""
    return Replayer(workflows=[PlaybookRun, BudgetQuestion], workflow_runner=UnsandboxedWorkflowRunner(), **options)  # type: ignore[arg-type]


def keep(test: str, number: int, history: WorkflowHistory) -> None:
    """Write a history down, if that is wanted and there is none of this name yet."""
    path = FOLDER / f"{re.sub('[^a-z0-9_]', '-', test)}.{number}.json.gz"
    if os.environ.get(RECORD) and len(history.events) <= LARGEST and not path.exists():
        FOLDER.mkdir(exist_ok=True)
        plain = {"id": history.workflow_id, "history": _nobodys(json.loads(history.to_json()))}
        path.write_bytes(gzip.compress(json.dumps(plain, sort_keys=True).encode(), mtime=0))


def _nobodys(plain: Any, key: str = "") -> Any:
    """The same without the names of the machine that it was recorded on."""
    if isinstance(plain, dict):
        return {name: _nobodys(one, name) for name, one in plain.items()}
    if isinstance(plain, list):
        return [_nobodys(one, key) for one in plain]
    if key in ("identity", "stackTrace"):
        return ""
    return STICKY.sub("a worker's own", plain) if key == "name" and isinstance(plain, str) else plain


def read(path: Path) -> WorkflowHistory:
    """A recording."""
    plain = json.loads(gzip.decompress(path.read_bytes()))
    return WorkflowHistory.from_json(plain["id"], plain["history"])


def constructs(history: WorkflowHistory) -> Iterator[str]:
    """The step kinds of the playbook that a history is of."""
    start = history.events[0].workflow_execution_started_event_attributes.input.payloads[0].data.decode()
    yield from (kind for kind in STEPS if f'"{kind}":' in start)
