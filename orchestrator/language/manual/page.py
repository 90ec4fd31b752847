"""The page put together: prose with marks, each replaced by what the models say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources

from orchestrator.language.expressions import limits
from orchestrator.language.loader import read_playbook
from orchestrator.language.manual import lists, shapes
from orchestrator.language.manual.examples import (
    PICTURES,
    Example,
    drawn,
    picture,
    read_examples,
    shown,
    tested,
)
from orchestrator.language.model import STEPS

MARK = re.compile(r"\[\[([a-z ]+?)(?: ([A-Za-z_-]+))?\]\]")
INSIDE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "action": (("`for`, where it is computed", "Until"), ("`retry`", "Retry")),
    "approval": (("`approval`", "Approval"),),
    "ask": (("`ask`", "Ask"), ("`to`", "To")),
    "for_each": (("`for_each`", "ForEach"),),
    "repeat": (("`repeat`", "Repeat"),),
    "wait": (("`wait`", "Wait"),),
}
"""The models that stand inside a step's own key, and where."""
TOP = "<!-- Made by `tocsin manual` from the models of the language; a test holds it to them. -->\n\n"
SLIPS = (("firewall.block_ip", "firewall.blok_ip"), ('"{{ alert.source.ip', '"{{ alert.sorce.ip'))


def manual_text(capabilities: lists.Capabilities, examples: Mapping[str, str]) -> str:
    """The page as Markdown; `examples` are the texts of the example playbooks, by name."""
    return Manual(capabilities, examples).text()


class Manual:
    """One making of the page. Raises `ExampleRefused` where an example is no good playbook."""

    def __init__(self, capabilities: lists.Capabilities, examples: Mapping[str, str]) -> None:
        self._capabilities = capabilities
        self._examples = read_examples(examples, capabilities)
        self._prose = resources.files("orchestrator.language.manual").joinpath("page.md").read_text("utf-8")
        self._shown: set[str] = set()

    def text(self) -> str:
        """The page as Markdown."""
        page = MARK.sub(lambda found: self._mark(found.group(1), found.group(2) or ""), self._prose)
        left = sorted(self._examples.keys() - self._shown)
        if left:
            raise ValueError(f"no part of the page shows {', '.join(left)}: their names begin with no part's name")
        return TOP + page.replace(_CONTENTS, _contents(page))

    def pictures(self) -> dict[str, str]:
        """The picture of each example, by its place beside the page."""
        return {f"{PICTURES}/{name}.svg": drawn(one, self._capabilities) for name, one in self._examples.items()}

    def _mark(self, what: str, name: str) -> str:
        """What stands in the place of a mark."""
        plain: dict[str, Callable[[], str]] = {
            "contents": lambda: _CONTENTS, "slips": self._slips, "steps": lists.steps, "each step": self._each_step,
            "statuses": lists.statuses, "failures": lists.failures, "filters": lists.filters, "types": shapes.types,
            "value tests": lists.value_tests, "alert": shapes.alert, "codes": lists.codes,
            "capabilities": lambda: lists.capabilities(self._capabilities),
        }  # fmt: skip
        about: dict[str, Callable[[str], str]] = {
            "doc": shapes.doc, "keys": shapes.keys, "examples": self._part, "file": self._file,
            "picture": lambda one: picture(self._example(one)), "limit": _limit,
            "tested": lambda one: tested(self._example(one), self._capabilities),
        }  # fmt: skip
        whole = f"{what} {name}".strip()
        return plain[whole]() if whole in plain else about[what](name)

    def _example(self, name: str) -> Example:
        self._shown.add(name)
        return self._examples[name]

    def _part(self, part: str) -> str:
        """The examples whose names begin with the name of a part of the page."""
        names = [name for name in self._examples if name == part or name.startswith(f"{part}-")]
        if part == "do":
            names = ["do"]
        return "\n\n".join(shown(self._example(name)) for name in names)

    def _file(self, name: str) -> str:
        return f"```yaml\n{self._example(name).body.rstrip()}\n```"

    def _each_step(self) -> str:
        return "\n\n".join(self._step(kind) for kind in STEPS)

    def _step(self, kind: str) -> str:
        """All of one kind of step."""
        model = STEPS[kind].__name__
        parts = [f"### {kind}", shapes.doc(model), shapes.keys(model)]
        for place, inner in INSIDE.get(kind, ()):
            parts += [f"Inside {place}:", shapes.keys(inner)]
        if kind in lists.OUTPUTS:
            parts.append(f"Its output: {lists.OUTPUTS[kind]}.")
        return "\n\n".join([*parts, self._part(kind.replace("_", "-"))])

    def _slips(self) -> str:
        """What the checker says of the reader's file so far, with two slips of the keyboard."""
        file = begun(self._prose)
        for right, wrong in SLIPS:
            file = file.replace(right, wrong)
        name = "block-guessing"
        _, found = read_playbook(file, f"playbooks/{name}.yaml", name, self._capabilities)
        lines = [str(one) for one in found if one.code != "untested"]
        return "```text\n" + "\n".join(lines) + "\n```"


def begun(prose: str) -> str:
    """The file that the reader has after the first two parts of the tutorial."""
    first, second, *_ = re.findall(r"```yaml\n(.*?)```", prose, re.DOTALL)
    return f"{first}{second}"


_CONTENTS = "\0contents\0"


def _contents(page: str) -> str:
    """The headings, each a link."""
    heads = re.findall(r"^## (.+)$", page, re.MULTILINE)
    return "\n".join(f"- [{head}](#{_anchor(head)})" for head in heads)


def _anchor(head: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-")


def _limit(name: str) -> str:
    return f"{getattr(limits, name):,}"
