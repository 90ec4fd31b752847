"""`tocsin check` and `test`: playbooks before they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from orchestrator.actions.catalog import Catalog, scan
from orchestrator.alerts.decode import decode_sample
from orchestrator.cli.console import as_json, err, say
from orchestrator.cli.playbook_tests import Tested
from orchestrator.errors import Finding, FindingLevel
from orchestrator.language.loader import Loaded, load_playbook, load_playbooks, read_file
from orchestrator.language.reference_files import load_reference
from orchestrator.language.simulator import Coverage, simulate_all
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


def run_tests(*files: Path, json: bool = False, strict: bool = False) -> None:
    """Run the tests that the playbooks bring, against simulated actions, with time skipped.

    Says what no test reaches: a step, an outcome of a condition, a case, an empty list, running out of turns, silence,
    a failure that is dealt with.

    Parameters
    ----------
    files
        Playbooks to test; all of the folder where none is named.
    json
        One line of JSON instead of a table: every test with its problems, and every step and branch that none reaches.
    strict
        Fail where a step or a branch is reached by no test.
    """
    catalog = scan()
    loaded = _load(files, catalog)
    for finding in loaded.errors:
        _tell(finding, "text")
    tested = _tested(loaded, catalog)
    if json:
        tested.as_json()
    else:
        tested.show()
    missed = strict and tested.coverage.missed
    sys.exit(1 if loaded.errors or missed or not tested.passed else 0)


def _tested(loaded: Loaded, catalog: Catalog) -> Tested:
    """All tests of the playbooks, with what the site keeps."""
    folder, coverage = load_settings().playbooks, Coverage(loaded.playbooks.values())
    site = load_reference(folder).data
    reports = [
        report
        for playbook in loaded.playbooks.values()
        for report in simulate_all(
            playbook, catalog.capabilities, folder / "samples", decode_sample, coverage=coverage, site=site
        )
    ]
    return Tested(reports, coverage, loaded.documents)


def _load(files: tuple[Path, ...], catalog: Catalog) -> Loaded:
    if not files:
        return load_playbooks(load_settings().playbooks, catalog.capabilities)
    playbooks, findings, documents = {}, [], {}
    for file in files:
        playbook, found = load_playbook(file, catalog.capabilities)
        findings += found
        document = read_file(file).document
        if playbook is not None and document is not None:
            playbooks[playbook.name], documents[playbook.name] = playbook, document
    return Loaded(playbooks, tuple(findings), documents)


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
