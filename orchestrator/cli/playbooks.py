"""`tocsin check` and `test`: playbooks before they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from orchestrator.actions.catalog import Catalog, scan
from orchestrator.alerts.decode import decode_sample
from orchestrator.cli.console import as_json, err, say, table
from orchestrator.errors import Finding, FindingLevel
from orchestrator.language.loader import Loaded, load_playbook, load_playbooks
from orchestrator.language.simulator import TestReport, simulate_all
from orchestrator.settings import load_settings


def add_to(app: App) -> None:
    """Add the commands."""
    app.command(check)
    app.command(run_tests, name="test")


def check(*files: Path, json: bool = False, form: Literal["text", "json", "github"] = "text") -> None:
    """Read the playbooks and say everything that is wrong with them, with file, line and likely fix.

    Parameters
    ----------
    files
        Files to check; all of the playbooks' folder where none is named.
    json
        One line of JSON: file, line, column, code, message, hint and level of each finding.
    form
        `json` as above, `github` for annotations of a pull request.
    """
    form = "json" if json else form
    loaded = _load(files, scan())
    for finding in loaded.findings:
        _tell(finding, form)
    if form == "json":
        as_json([_as_dict(finding) for finding in loaded.findings])
    elif form == "text":
        say(
            f"{len(loaded.playbooks)} playbooks are good, {len(loaded.errors)} errors",
            "red" if loaded.errors else "green",
        )
    sys.exit(1 if loaded.errors else 0)


def run_tests(*files: Path, json: bool = False) -> None:
    """Run the tests that the playbooks bring, against simulated actions, with time skipped.

    Parameters
    ----------
    files
        Playbooks to test; all of the folder where none is named.
    json
        One line of JSON instead of a table.
    """
    catalog = scan()
    loaded = _load(files, catalog)
    for finding in loaded.errors:
        _tell(finding, "text")
    samples = load_settings().playbooks / "samples"
    reports = [
        report
        for playbook in loaded.playbooks.values()
        for report in simulate_all(playbook, catalog.capabilities, samples, decode_sample)
    ]
    if json:
        as_json([{"playbook": one.playbook, "test": one.name, "problems": one.problems} for one in reports])
    else:
        _show(reports)
    sys.exit(1 if loaded.errors or not all(one.passed for one in reports) else 0)


def _show(reports: list[TestReport]) -> None:
    table(
        ("playbook", "test", ""),
        ((one.playbook, one.name, "passed" if one.passed else "; ".join(one.problems)) for one in reports),
    )
    passed = sum(one.passed for one in reports)
    say(f"{passed} passed, {len(reports) - passed} failed", "green" if passed == len(reports) else "red")


def _load(files: tuple[Path, ...], catalog: Catalog) -> Loaded:
    if not files:
        return load_playbooks(load_settings().playbooks, catalog.capabilities)
    playbooks, findings = {}, []
    for file in files:
        playbook, found = load_playbook(file, catalog.capabilities)
        findings += found
        if playbook is not None:
            playbooks[playbook.name] = playbook
    return Loaded(playbooks, tuple(findings))


def _tell(finding: Finding, form: str) -> None:
    if form == "github":
        place = f"file={finding.place.file},line={finding.place.line},col={finding.place.column}"
        say(f"::{finding.level} {place},title={finding.code}::{finding.message} {finding.hint}")
    elif form == "text":
        err.print(str(finding), style="yellow" if finding.level is FindingLevel.WARNING else "red", markup=False)


def _as_dict(finding: Finding) -> dict[str, object]:
    place = finding.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "code": finding.code,
        "message": finding.message, "hint": finding.hint, "level": finding.level,
    }  # fmt: skip
