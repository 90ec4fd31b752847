"""Playbooks written in a few lines and checked, for tests of what is found in them before they run."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent, indent

from orchestrator.actions.catalog import scan
from orchestrator.errors import Finding, FindingLevel
from orchestrator.language.loader import Loaded, check_all, read_text
from orchestrator.language.reference import ListType, ReferenceData, ReferenceList

CAPABILITIES = scan().capabilities
HEAD = """\
title: A playbook
trigger:
  match: alert.source.ip and alert.user and alert.severity >= "low"
  key: alert.source.ip
"""
TESTS = """\
tests:
  - {name: starts, alert: {source: {ip: 203.0.113.7}, user: {name: alice}}, expect: {starts: true}}
  - {name: does not, alert: {severity: informational}, expect: {starts: false}}
"""


def steps(text: str, *, head: str = HEAD, tests: str = TESTS) -> str:
    """A playbook of these steps, started by alerts that surely have an address and a user."""
    return f"{head}steps:\n{indent(dedent(text).strip(chr(10)), '  ')}\n{tests}"


def sub(text: str, head: str = "title: Called by others\n") -> str:
    """A playbook of these steps that only others call."""
    return steps(text, head=head, tests="")


def inside(text: str, by: int = 4) -> str:
    """Steps further inside."""
    return "".join(f"{' ' * by}{line}" for line in text.splitlines(keepends=True))


def all_of(files: Mapping[str, str], site: ReferenceData | None = None) -> Loaded:
    """What is found in these playbooks, by their names."""
    reads = [read_text(text, f"{name}.yaml", name) for name, text in files.items()]
    return check_all(reads, CAPABILITIES, site)


def found(text: str, site: ReferenceData | None = None) -> list[Finding]:
    """What is found in one playbook."""
    return list(all_of({"p": text}, site).findings)


def codes(text: str, site: ReferenceData | None = None) -> list[str]:
    """The codes of what is found, in the order of the file."""
    return [one.code for one in found(text, site)]


def only(text: str, site: ReferenceData | None = None) -> Finding:
    """The one finding that there is."""
    (one,) = found(text, site)
    return one


def told(finding: Finding) -> str:
    """What a finding says, with the likely fix."""
    return f"{finding.message}; {finding.hint}"


def errors(text: str, site: ReferenceData | None = None) -> list[str]:
    """The codes of what keeps the playbook from running."""
    return [one.code for one in found(text, site) if one.level is FindingLevel.ERROR]


def site(**lists: tuple[str, list[str]]) -> ReferenceData:
    """A site with these lists: each its type and its entries."""
    made = {
        name: ReferenceList(ListType(kind), tuple(map(ListType(kind).entry, entries)))
        for name, (kind, entries) in lists.items()
    }
    return ReferenceData(made)
