"""What must stay true of the repository itself."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from orchestrator.cli.main import app
from tests.conftest import ROOT

PYTHON = [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "integrations").rglob("*.py")]


def test_the_drawing_of_the_rooms_shows_every_room_in_the_order_of_the_import_arrows() -> None:
    """A room that is missing, or stands at another height than the import contract says, fails here."""
    drawn = re.findall(r"^  ([a-z]+) {2,}\S", (ROOT / "docs" / "rooms.md").read_text(), re.MULTILINE)
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    assert drawn == [layer.removeprefix("orchestrator.") for layer in layers]
    there = {path.stem for path in (ROOT / "orchestrator").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__"} == set(drawn)


def test_every_command_is_there_and_has_a_help_that_teaches() -> None:
    """A first line that says what one gets, and a word for each option."""
    wanted = (
        "up down status serve intake worker keeper run send check test graph schema lists playbooks explain approvals "
        "approve deny answer audit demo"
    )
    assert set(wanted.split()) <= {name for name in app if not name.startswith("-")}


def test_lock_files_have_hashes_and_no_addresses() -> None:
    """Every package is pinned to what was tested."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        for requirement in re.split(r"\n(?=\S)", text.strip()):
            assert "==" in requirement
            assert "--hash=sha256:" in requirement


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_and_files_fit_in_the_eye(path: object) -> None:
    """No function above 60 lines, no file above 450."""
    text = path.read_text()  # type: ignore[attr-defined]
    assert text.count("\n") <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
