"""How findings are printed: for people, as JSON, as SARIF 2.1.0, as annotations of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from orchestrator.cli.console import as_json, err, say
from orchestrator.errors import Finding, FindingLevel
from orchestrator.language.checking import CODES

Form = Literal["text", "json", "github", "sarif"]
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HERE = "%SRCROOT%"
"""SARIF's name for the folder that the files are below"""


def tell(findings: Sequence[Finding], form: Form) -> None:
    """Print them; for people on stderr, so that what the command gives stays readable."""
    if form == "json":
        as_json([_as_dict(finding) for finding in findings])
    elif form == "sarif":
        as_json(sarif(findings))
    else:
        for finding in findings:
            say(annotation(finding)) if form == "github" else complain_of(finding)


def complain_of(finding: Finding) -> None:
    """One finding for people."""
    err.print(str(finding), style="yellow" if finding.level is FindingLevel.WARNING else "red", markup=False)


def _as_dict(finding: Finding) -> dict[str, object]:
    place = finding.place
    return {
        "file": place.file, "line": place.line, "column": place.column, "code": finding.code,
        "message": finding.message, "hint": finding.hint, "level": finding.level,
    }  # fmt: skip


def annotation(finding: Finding) -> str:
    """One finding as a command of GitHub's workflows; nothing in it can be taken for another command."""
    place = finding.place
    where = f"file={_property(place.file)},line={place.line},col={place.column},title={_property(finding.code)}"
    return f"::{finding.level} {where}::{_data(_whole(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _whole(finding: Finding) -> str:
    return f"{finding.message}; {finding.hint}" if finding.hint else finding.message


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """A log in the Static Analysis Results Interchange Format, 2.1.0, which scanners' dashboards read."""
    listed = list(findings)
    codes = sorted({finding.code for finding in listed})
    driver = {
        "name": "tocsin",
        "version": version("tocsin"),
        "rules": [{"id": code, "shortDescription": {"text": CODES.get(code, code)}} for code in codes],
    }
    results = [_result(finding, codes.index(finding.code)) for finding in listed]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    region = {"startLine": finding.place.line, "startColumn": finding.place.column}
    place = {"artifactLocation": _file(finding.place.file), "region": region}
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": str(finding.level),
        "message": {"text": _whole(finding)},
        "locations": [{"physicalLocation": place}],
    }


def _file(name: str) -> dict[str, str]:
    """A file below the folder where the command runs by its path from there, any other by its whole address."""
    path = Path(name).absolute()
    if path.is_relative_to(Path.cwd()):
        return {"uri": quote(path.relative_to(Path.cwd()).as_posix()), "uriBaseId": HERE}
    return {"uri": path.as_uri()}
