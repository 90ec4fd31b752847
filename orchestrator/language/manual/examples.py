"""The examples of the page: small playbooks that are checked, tested and drawn like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.alerts.alert import Alert
from orchestrator.errors import TocsinError
from orchestrator.language.drawing import draw
from orchestrator.language.loader import check_all, read_text
from orchestrator.language.manual.lists import Capabilities
from orchestrator.language.program import Playbook
from orchestrator.language.simulator import Coverage, simulate_all

PICTURES = "pictures/playbooks"
"""where the pictures of the examples stand, seen from the page"""
FILES = "examples"
"""where the examples stand, seen from the page"""


class ExampleRefused(TocsinError):
    """An example is not a good playbook, or is not there."""


@dataclass(frozen=True)
class Example:
    """A playbook and the text of its file."""

    name: str
    text: str
    playbook: Playbook

    @property
    def body(self) -> str:
        """The file without the line for editors."""
        return self.text.partition("\n")[2]

    @property
    def without_tests(self) -> str:
        """What it does, without the tests that show it."""
        return self.body.partition("\ntests:\n")[0]


def read_examples(texts: Mapping[str, str], capabilities: Capabilities) -> dict[str, Example]:
    """The examples by name; raises `ExampleRefused` with all that is wrong with them."""
    loaded = check_all([read_text(text, f"{name}.yaml", name) for name, text in texts.items()], capabilities)
    if loaded.errors:
        raise ExampleRefused("\n".join(map(str, loaded.errors)))
    return {name: Example(name, texts[name], loaded.playbooks[name]) for name in sorted(texts)}


def shown(example: Example) -> str:
    """An example as the page shows it: why, what, and its picture."""
    model = example.playbook.model
    tests = f"{len(model.tests)} tests" if len(model.tests) != 1 else "test"
    link = f"[`{example.name}.yaml`]({FILES}/{example.name}.yaml), with its {tests}"
    body = f"```yaml\n{example.without_tests.rstrip()}\n```"
    return f"**{model.title}.** {link}:\n\n{body}\n\n{folded(example)}"


def folded(example: Example) -> str:
    """The picture of an example, folded away."""
    return f"<details><summary>its picture</summary>\n\n{picture(example)}\n\n</details>"


def picture(example: Example) -> str:
    """The picture of an example."""
    return f"![{example.playbook.model.title}]({PICTURES}/{example.name}.svg)"


def drawn(example: Example, capabilities: Capabilities) -> str:
    """The example as SVG."""
    return draw(example.name, example.playbook.model, capabilities, "svg")


def tested(example: Example, capabilities: Capabilities) -> str:
    """What `tocsin test` says of it."""
    coverage = Coverage([example.playbook])
    reports = simulate_all(example.playbook, capabilities, Path(), _no_sample, coverage)
    lines = [f"{'passed' if one.passed else '; '.join(one.problems):8}{one.name}" for one in reports]
    missed = [one.branch.told for one in coverage.outermost]
    reached = f"{coverage.reached} of {len(coverage.branches)} steps and branches reached"
    passed = sum(one.passed for one in reports)
    end = f"{passed} passed, {len(reports) - passed} failed"
    return "```text\n" + "\n".join([*lines, "", *missed, reached, end]) + "\n```"


def _no_sample(raw: bytes) -> Alert:
    raise ExampleRefused("the tests of this example may not read a sample")
