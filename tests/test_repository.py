"""What must stay true of the repository itself."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import tomllib
from collections.abc import Callable

import pytest
from cyclopts import App

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


def test_the_top_level_holds_what_the_design_says_and_what_tools_need() -> None:
    """A new thing belongs into a room, not beside them."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    product = {"pyproject.toml", "playbooks", "orchestrator", "integrations", "migrations", "tests", "README.md"}
    tools = {"Makefile", ".ci", ".gitignore", "requirements.lock", "requirements-dev.lock", "docs", "deploy", "bench"}
    top = {path.partition("/")[0] for path in listed.splitlines()}
    assert product <= top <= product | tools


def commands(group: App = app, before: str = "") -> dict[str, Callable[..., object]]:
    """Every command with the function behind it; those of a group as `group command`."""
    found: dict[str, Callable[..., object]] = {}
    for name in group:
        if name.startswith("-"):
            continue
        if group[name].default_command is None:
            found |= commands(group[name], f"{before}{name} ")
        else:
            found[before + name] = group[name].default_command
    return found


def test_every_command_is_there() -> None:
    """Those that the README speaks of."""
    wanted = (
        "up down status serve intake worker keeper run send check test graph schema lists playbooks explain approvals "
        "approve deny answer cancel containments kill breakers policy budgets shadow audit pages manual demo"
    )
    assert set(wanted.split()) == {name.partition(" ")[0] for name in commands()}


@pytest.mark.parametrize("name", commands())
def test_every_command_has_a_help_that_teaches(name: str) -> None:
    """A first line that says what one gets, and words for each option."""
    command = commands()[name]
    text = inspect.getdoc(command) or ""
    assert re.match(r"[A-Z][^\n]{20,}[.,]?\n?", text), name
    for parameter in inspect.signature(command).parameters:
        assert re.search(rf"^{parameter}\n    \S.{{5,}}", text, re.MULTILINE), f"{name}: {parameter}"


def test_what_lists_or_counts_prints_json_too() -> None:
    """For scripts; the commands that only do something, or run until they are told, need none."""
    doers = {"up", "serve", "intake", "worker", "keeper", "approve", "deny", "answer"}
    doers |= {"graph", "schema", "pages", "manual"}  # what they write has a form of its own
    without = {name for name, command in commands().items() if "json" not in inspect.signature(command).parameters}
    assert without <= doers


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
