"""A playbook ready to run: its document by content, its expressions compiled, its sub-playbooks with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from orchestrator.errors import ExpressionError, TocsinError
from orchestrator.language.durations import parse_duration
from orchestrator.language.expressions import Expression, compile_condition, compile_value, plain
from orchestrator.language.expressions.compiled import Tree, compile_tree
from orchestrator.language.expressions.values import text_of
from orchestrator.language.model import (
    ActionStep,
    ApprovalStep,
    AskStep,
    ForEachStep,
    IfStep,
    PlaybookDocument,
    PlaybookStep,
    RepeatStep,
    SetStep,
    Step,
    StopStep,
    SwitchStep,
    Until,
    WaitStep,
    every_step,
)

RULES = 1
"""The number of the language rules: what an expression computes. A run keeps the rules that it started with."""
LONGEST_KEY = 1_024
"""characters of what groups alerts"""
ALERTS = frozenset({"alert", "joining"})
"""the names of alerts whose original a run carries as far as it is named"""


class DigestMismatch(TocsinError):
    """A document is not the one that its digest names."""


class Playbook:
    """One version of a playbook. `document` is plain JSON and travels with the run; `digest` is over it and `uses`.

    `uses` holds the sub-playbooks that it calls, by name, in the versions that a run of this one stays on.
    """

    def __init__(self, name: str, document: dict[str, Any], uses: Mapping[str, Playbook] | None = None) -> None:
        self.name = name
        self.document = document
        self.uses = dict(uses or {})
        self.digest = digest_of(document, self.uses)
        self.model = PlaybookDocument.model_validate(document)
        trigger = self.model.trigger
        self.match: Expression | None = compile_condition(trigger.match) if trigger.match else None
        self.joins: Expression | None = compile_condition(trigger.joins) if trigger.joins else None
        self.key: Expression | None = compile_value(trigger.key) if trigger.key else None
        self.join: float = parse_duration(trigger.join).total_seconds() if trigger.join else 0.0
        self._trees: dict[bytes, Tree] = {}

    @property
    def title(self) -> str:
        """Its title."""
        return self.model.title

    @property
    def bundle(self) -> dict[str, Any]:
        """The sub-playbooks as they travel with a run: by name, each with its document and what it uses itself."""
        return {name: {"document": sub.document, "uses": sub.bundle} for name, sub in sorted(self.uses.items())}

    @property
    def raw_paths(self) -> frozenset[tuple[str, ...]]:
        """The paths below `alert.raw` that it names: a run carries only these."""
        return frozenset(path[2:] for path in self.paths() if path[0] in ALERTS and path[1:2] == ("raw",))

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Every path that its trigger, steps and outputs name."""
        for expression in (self.match, self.joins, self.key):
            if expression is not None:
                yield from expression.paths
        for step in every_step((*self.model.steps, *self.model.on_failure)):
            yield from paths_of_step(step)
        yield from self.tree(self.model.outputs).paths

    def group_of(self, names: Mapping[str, Any]) -> str | None:
        """What groups alerts; none where the playbook names no key, or these names have no value for it."""
        if self.key is None:
            return None
        try:
            return text_of(plain(self.key.value(names)))[:LONGEST_KEY]
        except ExpressionError:
            return None

    def tree(self, source: Any) -> Tree:
        """Parameters of its model, compiled once."""
        key = orjson.dumps(source)
        found = self._trees.get(key)
        if found is None:
            found = self._trees[key] = compile_tree(source)
        return found


def paths_of_step(step: Step) -> Iterator[tuple[str, ...]]:
    """The paths that a step names itself, those of the steps inside it aside."""
    for condition in (step.when, step.unless, *conditions_of(step)):
        if condition:
            yield from compile_condition(condition).paths
    for value in values_of(step):
        yield from compile_value(value).paths
    for tree in trees_of(step):
        yield from compile_tree(tree).paths


def conditions_of(step: Step) -> Iterator[str | None]:
    """The conditions that a step of this kind has."""
    match step:
        case ApprovalStep():
            yield step.approval.auto
        case IfStep():
            yield step.if_
        case RepeatStep():
            yield step.repeat.until
        case WaitStep():
            yield step.wait.alert
        case _:
            pass


def values_of(step: Step) -> Iterator[str]:
    """The bare expressions that a step of this kind has."""
    match step:
        case ActionStep(for_=Until() as until):
            yield until.value
        case SwitchStep():
            yield step.switch
        case ForEachStep() if isinstance(step.for_each.items, str):
            yield step.for_each.items
        case WaitStep() if step.wait.until:
            yield step.wait.until
        case _:
            pass


def trees_of(step: Step) -> Iterator[Any]:
    """The templates, and trees of them, that a step of this kind has."""
    match step:
        case ActionStep() | PlaybookStep():
            yield step.with_
        case ApprovalStep():
            yield step.approval.ask
            yield step.approval.by.user
        case AskStep():
            yield step.ask.text
            yield step.ask.by.user if step.ask.by else None
            yield step.ask.to.mail if step.ask.to else None
        case ForEachStep():
            yield step.for_each.collect
            yield step.for_each.items if not isinstance(step.for_each.items, str) else None
        case SetStep():
            yield step.set
        case StopStep():
            yield step.message
        case _:
            pass


def digest_of(document: dict[str, Any], uses: Mapping[str, Playbook] | None = None) -> str:
    """SHA-256 over the document's canonical JSON, the number of the language rules, and the versions that it uses."""
    used = {name: sub.digest for name, sub in (uses or {}).items()}
    canonical = orjson.dumps([RULES, document, used] if used else [RULES, document], option=orjson.OPT_SORT_KEYS)
    return "sha256:" + hashlib.sha256(canonical).hexdigest()


@lru_cache(maxsize=1_000)
def _load(name: str, digest: str, canonical: bytes) -> Playbook:
    document, bundle = orjson.loads(canonical)
    playbook = Playbook(name, document, _unpacked(bundle))
    if playbook.digest != digest:
        raise DigestMismatch(f"the document of {name} is not the one of digest {digest}")
    return playbook


def _unpacked(bundle: Mapping[str, Any]) -> dict[str, Playbook]:
    return {name: Playbook(name, one["document"], _unpacked(one["uses"])) for name, one in bundle.items()}


def load_compiled(
    name: str, document: dict[str, Any], digest: str, bundle: Mapping[str, Any] | None = None
) -> Playbook:
    """The playbook of a run from what its start carries; kept by content, refused if it is not what the digest says."""
    return _load(name, digest, orjson.dumps([document, bundle or {}], option=orjson.OPT_SORT_KEYS))
