"""A playbook ready to run: its document by content, its expressions compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from orchestrator.errors import TocsinError
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import Expression, compile_condition, compile_value
from orchestrator.language.expressions.compiled import compile_template, compile_tree
from orchestrator.language.model import (
    ActionStep,
    ApprovalStep,
    DoStep,
    ParallelStep,
    PlaybookDocument,
    Step,
)

RULES = 1
"""The number of the language rules: what an expression computes. A run keeps the rules that it started with."""


class DigestMismatch(TocsinError):
    """A document is not the one that its digest names."""


class Playbook:
    """One version of a playbook. `document` is plain JSON and travels with the run; `digest` is over it."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self.name = name
        self.document = document
        self.digest = digest_of(document)
        self.model = PlaybookDocument.model_validate(document)
        trigger = self.model.trigger
        self.match: Expression = compile_condition(trigger.match)
        self.key: Expression | None = compile_value(trigger.key) if trigger.key else None
        self.join: float = parse_duration(trigger.join).total_seconds() if trigger.join else 0.0

    @property
    def title(self) -> str:
        """Its title."""
        return self.model.title

    @property
    def raw_paths(self) -> frozenset[tuple[str, ...]]:
        """The paths below `alert.raw` that it names: a run carries only these."""
        return frozenset(path[2:] for path in self.paths() if path[:2] == ("alert", "raw"))

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Every path that its trigger and steps name."""
        yield from self.match.paths
        if self.key:
            yield from self.key.paths
        for step in every_step((*self.model.steps, *self.model.on_failure)):
            yield from paths_of_step(step)


def paths_of_step(step: Step) -> Iterator[tuple[str, ...]]:
    """The paths that a step names itself, those of the steps inside it aside."""
    for condition in (step.when, step.unless):
        if condition:
            yield from compile_condition(condition).paths
    if isinstance(step, ActionStep):
        yield from compile_tree(step.with_).paths
    if isinstance(step, ApprovalStep):
        yield from compile_template(step.approval.ask).paths
        if step.approval.auto:
            yield from compile_condition(step.approval.auto).paths


def every_step(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Each step and each inside it, in the order of the file."""
    for step in steps:
        yield step
        for inner in inside(step):
            yield from every_step(inner)


def inside(step: Step) -> Iterator[tuple[Step, ...]]:
    """The lists of steps that a step holds."""
    if isinstance(step, ParallelStep):
        yield step.parallel
    if isinstance(step, DoStep):
        yield step.do
    if not isinstance(step.on_error, str):
        yield step.on_error


def digest_of(document: dict[str, Any]) -> str:
    """SHA-256 over the document's canonical JSON and the number of the language rules."""
    canonical = orjson.dumps([RULES, document], option=orjson.OPT_SORT_KEYS)
    return "sha256:" + hashlib.sha256(canonical).hexdigest()


@lru_cache(maxsize=1_000)
def _load(name: str, digest: str, canonical: bytes) -> Playbook:
    playbook = Playbook(name, orjson.loads(canonical))
    if playbook.digest != digest:
        raise DigestMismatch(f"the document of {name} is not the one of digest {digest}")
    return playbook


def load_compiled(name: str, document: dict[str, Any], digest: str) -> Playbook:
    """The playbook of a run from what its start carries; kept by content, refused if it is not what the digest says."""
    return _load(name, digest, orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
