"""`tocsin check` and `test`: playbooks before they run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.actions.catalog import Catalog, scan
from orchestrator.alerts.decode import decode_sample
from orchestrator.bootstrap import known_here
from orchestrator.cli.console import say
from orchestrator.cli.findings import Form, complain_of, tell
from orchestrator.cli.playbook_tests import Tested
from orchestrator.errors import Finding, FindingLevel
from orchestrator.language.loader import Loaded, load_playbook, load_playbooks, read_file
from orchestrator.language.reference import ReferenceData
from orchestrator.language.reference_files import LoadedReference, load_reference
from orchestrator.language.simulator import Coverage, simulate_all
from orchestrator.policy.file import find_policy, policy_path
from orchestrator.settings import Settings, load_settings


def check(*files: Path, json: bool = False, form: Form = "text") -> None:
    """Read the playbooks, the policy, lists and calendars, and say all that is wrong, with file, line and likely fix.

    Parameters
    ----------
    files
        Playbooks to check, or a policy; all of the playbooks' folder, its policy, lists and calendars where none is
        named.
    json
        One line of JSON: file, line, column, code, message, hint and level of each finding.
    form
        `json` as above, `sarif` for the dashboards of scanners, `github` for annotations of a pull request.
    """
    form = "json" if json else form
    loaded, of_lists = _load(files, scan())
    tell([*of_lists, *loaded.findings], form)
    errors = [one for one in (*of_lists, *loaded.findings) if one.level is FindingLevel.ERROR]
    if form == "text":
        say(f"{len(loaded.playbooks)} playbooks are good, {len(errors)} errors", "red" if errors else "green")
    sys.exit(1 if errors else 0)


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
    loaded, of_lists = _load(files, catalog)
    for finding in (*of_lists, *loaded.findings):
        if finding.level is FindingLevel.ERROR:
            complain_of(finding)
    tested = _tested(loaded, catalog)
    if json:
        tested.as_json()
    else:
        tested.show()
    missed = strict and tested.coverage.missed
    sys.exit(1 if loaded.errors or missed or not tested.passed else 0)


def _tested(loaded: Loaded, catalog: Catalog) -> Tested:
    """All tests of the playbooks, each with what the site keeps, as it was checked."""
    folder, coverage = load_settings().playbooks, Coverage(loaded.playbooks.values())
    reference, reports = load_reference(folder), []
    for name, playbook in loaded.playbooks.items():
        file = Path(loaded.documents[name].file)
        site = _site_of(file, folder, reference) or reference.data
        samples = beside if (beside := file.parent / "samples").is_dir() else folder / "samples"
        reports += simulate_all(playbook, catalog.capabilities, samples, decode_sample, coverage=coverage, site=site)
    return Tested(reports, coverage, loaded.documents)


def _load(files: tuple[Path, ...], catalog: Catalog) -> tuple[Loaded, list[Finding]]:
    """The playbooks; and what is wrong with the policy, lists and calendars, where the whole folder was asked for."""
    settings = load_settings()
    folder = settings.playbooks
    reference = load_reference(folder)
    if not files:
        loaded = load_playbooks(folder, catalog.capabilities, reference.data)
        return loaded, [*_of_policy(folder, settings, catalog, loaded), *reference.findings]
    playbooks, findings, documents = {}, [], {}
    policies = [file for file in files if file.resolve() == policy_path(file.parent.parent).resolve()]
    of_policies = [one for file in policies for one in _of_policy(file.parent.parent, settings, catalog, None)]
    for file in files:
        if file in policies:
            continue
        playbook, found = load_playbook(file, catalog.capabilities, _site_of(file, folder, reference))
        findings += found
        document = read_file(file).document
        if playbook is not None and document is not None:
            playbooks[playbook.name], documents[playbook.name] = playbook, document
    return Loaded(playbooks, tuple(findings), documents), of_policies


def _of_policy(folder: Path, settings: Settings, catalog: Catalog, loaded: Loaded | None) -> list[Finding]:
    """What is wrong with the policy of a folder of playbooks."""
    known = known_here(settings.model_copy(update={"playbooks": folder}), catalog)
    own = loaded.playbooks.values() if loaded else ()
    shadow = frozenset(one.name for one in own if one.model.mode == "shadow")
    return list(find_policy(folder).parsed(replace(known, shadow=shadow)).findings)


def _site_of(file: Path, folder: Path, reference: LoadedReference) -> ReferenceData | None:
    """The lists and calendars of a file: those beside it, or the site's; a draft elsewhere may name any."""
    beside = load_reference(file.parent)
    if beside.files or file.resolve().parent == folder.resolve():
        return beside.data
    return reference.data if reference.files else None
