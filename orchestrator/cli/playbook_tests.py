"""What `tocsin test` shows: a table of the tests, what is wrong with those that failed, and what no test reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from rich.text import Text

from orchestrator.cli.console import as_json, say, table
from orchestrator.errors import Place
from orchestrator.language.simulator import Branch, Coverage, TestReport
from orchestrator.language.yaml_reader import Document


@dataclass(frozen=True)
class Tested:
    """The reports of all tests, what they reach, and the files by the names of their playbooks."""

    reports: Sequence[TestReport]
    coverage: Coverage
    documents: Mapping[str, Document]

    @property
    def passed(self) -> bool:
        """Whether every test did."""
        return all(one.passed for one in self.reports)

    def place(self, playbook: str, path: tuple[str | int, ...]) -> Place:
        """Where something stands: its key, where it has one."""
        document = self.documents[playbook]
        return document.places.get((*path, "@key")) or document.place(path)

    def show(self) -> None:
        """For people."""
        table(("playbook", "test", ""), [_row(one) for one in self.reports])
        for one in self.reports:
            if not one.passed:
                self._show_failed(one)
        self._show_missed()
        passed = sum(one.passed for one in self.reports)
        say(f"{passed} passed, {len(self.reports) - passed} failed", "green" if self.passed else "red")

    def _show_failed(self, report: TestReport) -> None:
        place = self.place(report.playbook, ("tests", report.number))
        say("")
        say(f"{place.file}:{place.line}: {report.name}", "bold red")
        for problem in report.problems:
            say(indent(problem, "  "))

    def _show_missed(self) -> None:
        missed = self.coverage.outermost
        say("")
        for one in missed:
            place = self.place(one.branch.playbook, one.branch.path)
            behind = f", and {one.behind} more behind it" if one.behind else ""
            say(f"{place.file}:{place.line}: {one.branch.told}{behind}", "yellow")
        reached, every = self.coverage.reached, len(self.coverage.branches)
        say(f"{reached} of {every} steps and branches reached", "yellow" if missed else "green")

    def as_json(self) -> None:
        """For machines."""
        as_json(
            {
                "tests": [self._test(one) for one in self.reports],
                "coverage": {
                    "reached": self.coverage.reached,
                    "of": len(self.coverage.branches),
                    "missed": [self._branch(one) for one in self.coverage.missed],
                },
            }
        )

    def _test(self, report: TestReport) -> dict[str, Any]:
        place = self.place(report.playbook, ("tests", report.number))
        return {
            "playbook": report.playbook, "test": report.name, "file": place.file, "line": place.line,
            "passed": report.passed, "problems": report.problems,
        }  # fmt: skip

    def _branch(self, branch: Branch) -> dict[str, Any]:
        place = self.place(branch.playbook, branch.path)
        return {
            "playbook": branch.playbook, "file": place.file, "line": place.line, "column": place.column,
            "path": ".".join(map(str, branch.path)), "kind": branch.word, "value": branch.value, "message": branch.told,
        }  # fmt: skip


def _row(report: TestReport) -> tuple[str, str, Text]:
    return report.playbook, report.name, Text("passed", "green") if report.passed else Text("failed", "bold red")
