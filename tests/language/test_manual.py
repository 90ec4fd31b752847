"""The page of the language: made of the models, true, whole, and with examples that run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.actions.catalog import scan
from orchestrator.alerts.alert import Alert
from orchestrator.alerts.decode import decode_sample
from orchestrator.cli.author import manual
from orchestrator.errors import FailureKind, FilesRefused, FindingLevel
from orchestrator.language.checking import CODES
from orchestrator.language.checking.around import LoopNames, RunNames
from orchestrator.language.expressions import compile_value
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS, load
from orchestrator.language.host import StepStatus
from orchestrator.language.loader import load_playbooks, read_playbook
from orchestrator.language.manual import Manual
from orchestrator.language.manual.page import begun
from orchestrator.language.model import STEPS, StepKeys
from orchestrator.language.simulator import simulate_all
from orchestrator.language.simulator.coverage import Coverage
from tests.conftest import ROOT

DOCS = ROOT / "docs"
CAPABILITIES = scan().capabilities
EXAMPLES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "examples").glob("*.yaml"))}
PAGE = (DOCS / "language.md").read_text(encoding="utf-8")
MADE = Manual(CAPABILITIES, EXAMPLES)
LOADED = load_playbooks(DOCS / "examples", CAPABILITIES)
load()


def test_the_page_and_its_pictures_are_those_of_the_models() -> None:
    """Written anew by `make docs`; a picture of an example that is gone goes, too."""
    assert MADE.text() == PAGE, "run: tocsin manual --output docs/language.md"
    pictures = MADE.pictures()
    for place, drawing in pictures.items():
        assert (DOCS / place).read_text(encoding="utf-8") == drawing, f"{place}: run make docs"
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "pictures" / "playbooks").iterdir()}
    assert there == set(pictures)


def test_every_example_is_checked_without_a_finding() -> None:
    """Not even a warning: people copy them."""
    assert [str(finding) for finding in LOADED.findings] == []
    assert len(LOADED.playbooks) == len(EXAMPLES) >= 25


@pytest.mark.parametrize("name", sorted(LOADED.playbooks))
def test_every_example_passes_its_tests_which_reach_all_of_it(name: str) -> None:
    """Every step, both outcomes of each condition, each case, the silence of people."""
    playbook = LOADED.playbooks[name]
    coverage = Coverage([playbook])
    samples = ROOT / "playbooks" / "samples"
    reports = simulate_all(playbook, CAPABILITIES, samples, decode_sample, coverage)
    assert [(one.name, one.problems) for one in reports if not one.passed] == []
    assert [missed.branch.told for missed in coverage.outermost] == []


@pytest.mark.parametrize("kind", STEPS)
def test_every_kind_of_step_has_an_example_and_its_keys_on_the_page(kind: str) -> None:
    """In the section of its name."""
    section = PAGE.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
    assert "```yaml" in section
    for name, field in STEPS[kind].model_fields.items():
        if name not in StepKeys.model_fields:
            assert f"`{field.alias or name}`" in section


def test_every_key_of_the_language_is_used_by_an_example() -> None:
    """So that each has been seen to work."""
    text = "\n".join(EXAMPLES.values())
    keys = set(re.findall(r"^\| \*{0,2}`([a-z_]+)`\*{0,2} \|", PAGE.partition("## Values")[0], re.MULTILINE))
    words = {*map(str, FailureKind), *map(str, StepStatus), "signed", "principal", "unverified", "silence"}
    assert sorted(key for key in keys - words if not re.search(rf"\b{key}:", text)) == []


def test_every_word_of_the_language_is_on_the_page() -> None:
    """Statuses, failures, findings, filters, tests, names, capabilities with all that they take and give."""
    words = [
        *StepStatus, *FailureKind, *CODES, *FILTERS, *TESTS, *CAPABILITIES,
        *(f"run.{name}" for name in RunNames.model_fields), *(f"loop.{name}" for name in LoopNames.model_fields),
        *(f"alert.{name}" for name in Alert.model_fields),
    ]  # fmt: skip
    assert [word for word in words if f"`{word}`" not in PAGE] == []
    for capability in CAPABILITIES.values():
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{capability.name}` |"))
        fields = (*capability.takes.model_fields, *capability.gives.model_fields)
        assert [name for name in fields if f"{name}**:" not in line and f"{name}:" not in line] == []


def test_every_filter_and_test_has_an_example_that_can_be_read() -> None:
    """On the page, and by the parser of expressions."""
    section = PAGE.partition("### Filters")[2].partition("### Bounds")[0].splitlines()
    for name in (*FILTERS, *TESTS):
        rows = [line for line in section if line.startswith(f"| `{name}` |") and line.count("| ") >= 3]
        examples = [re.split(r"(?<!\\)\|", line)[3].strip().strip("`").replace("\\|", "|") for line in rows]
        assert any(examples), name
        for example in filter(None, examples):
            compile_value(example)


def test_every_link_on_the_page_leads_somewhere() -> None:
    """To a heading of the page, or to a file beside it."""
    anchors = {
        re.sub(r"[^a-z0-9_ -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#{1,4} (.+)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (DOCS / target).is_file(), target


def test_the_reader_of_the_tutorial_has_no_mistake_but_that_tests_are_missing() -> None:
    """After its first two parts, as the page says."""
    _, found = read_playbook(begun(PAGE), "block-guessing.yaml", "block-guessing", CAPABILITIES)
    assert {one.code for one in found if one.level is FindingLevel.ERROR} <= {"untested"}
    assert {one.code for one in found} == {"untested"}


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no file is named."""
    manual(examples=DOCS / "examples")
    assert capsys.readouterr().out == PAGE


def test_the_command_says_where_it_finds_no_examples(tmp_path: Path) -> None:
    """They are part of the page."""
    with pytest.raises(FilesRefused, match="no example playbooks"):
        manual(examples=tmp_path)
