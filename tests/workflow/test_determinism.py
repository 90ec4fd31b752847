"""The workflow's code, and what it calls, reads no clock, no chance and no world: a replay must come out the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(orchestrator.__file__).parent
WORKFLOW = [
    ROOT / "workflow" / f"{name}.py"
    for name in (
        "playbook_run",
        "budget_question",
        "temporal_host",
        "sub_runs",
        "squeezed",
        "inbox",
        "messages",
        "visible",
    )
]
LANGUAGE = [
    *(
        ROOT / "language" / f"{name}.py"
        for name in (
            *("host", "model", "typed", "outputs", "packing", "program", "durations", "calendars", "reference"),
            *("never_touch", "networks", "accounts"),
        )
    ),
    *sorted((ROOT / "language" / "interpreter").glob("*.py")),
    *sorted((ROOT / "language" / "expressions").rglob("*.py")),
]
FORBIDDEN_MODULES = {
    *("time", "random", "secrets", "uuid", "os", "sys", "socket", "subprocess", "threading", "multiprocessing"),
    *("pathlib", "tempfile", "shutil", "io", "glob", "sqlalchemy", "asyncpg", "confluent_kafka", "httpx", "aiohttp"),
    *("urllib.request", "requests", "structlog"),
}
FORBIDDEN_CALLS = frozenset({"now", "utcnow", "today", "time", "monotonic", "uuid4", "open", "getenv", "hash", "id"})
ALLOWED_OWNERS = frozenset(
    # time zones come from a package of the lock file, the same everywhere
    {"workflow", "self", "host", "self.host", "run.host", "files('tzdata').joinpath('zoneinfo', *name.split('/'))"}
)
"""whose `now()` is the workflow's own clock"""


@pytest.mark.parametrize("file", [*WORKFLOW, *LANGUAGE], ids=lambda file: str(file.relative_to(ROOT)))
def test_workflow_code_depends_on_nothing_but_history(file: Path) -> None:
    """A clock, chance, a hash that differs from process to process, or I/O would make a replay take another way."""
    tree = ast.parse(file.read_text())

    assert [*_modules(tree), *_calls(tree)] == []


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not _only_types(node):
            names = [node.module or ""]
        yield from (f"imports {name}" for name in names if {name, name.partition(".")[0]} & FORBIDDEN_MODULES)


def _only_types(node: ast.ImportFrom) -> bool:
    """A type of values, and nothing that makes one by chance."""
    return {(node.module, alias.name) for alias in node.names} <= {("uuid", "UUID")}


def _calls(tree: ast.AST) -> Iterator[str]:
    of_day = any(
        isinstance(node, ast.ImportFrom) and node.module == "datetime" and "time" in {one.name for one in node.names}
        for node in ast.walk(tree)
    )
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name == "time" and not owner and of_day:  # a time of day, made of its hours and minutes
            continue
        if name in FORBIDDEN_CALLS and owner not in ALLOWED_OWNERS:
            yield f"line {node.lineno}: calls {ast.unparse(node.func)}"
