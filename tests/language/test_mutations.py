"""Proof of the checker: playbooks with one mistake each, made by a machine, with other mistakes at every run."""

from __future__ import annotations

import secrets
from functools import cache
from random import Random

import pytest

from bench.mutants.corpus import OWN, SHIPPED, Original, capabilities_of_all, corpus
from bench.mutants.mutators import MUTATORS, mutate
from bench.mutants.score import Score, trial, world_of
from bench.mutants.source import Role, Source
from bench.mutants.truth import failures_of
from orchestrator.language.model import STEPS, every_step

WANTED = 0.98
"""of what would have failed at run time"""
COUNT = 420
"""mistakes a run: ten of each kind"""


@cache
def originals() -> list[Original]:
    return corpus(capabilities_of_all())


@pytest.fixture(scope="module")
def score() -> Score:
    """A trial with a seed of its own, which a failure names."""
    seed = secrets.randbelow(1_000_000)
    made = trial(originals(), capabilities_of_all(), seed, COUNT)
    print(f"python -m bench.mutants --seed {seed} --count {COUNT}: {made.share:.1%} of {len(made.failed)} found")  # noqa: T201
    return made


def test_nearly_all_that_would_fail_at_run_time_is_found_before_and_named(score: Score) -> None:
    """With a message or a hint that has the wrong word or the right one."""
    assert score.share >= WANTED, f"seed {score.seed}: {score.share:.1%}\n" + "\n".join(map(str, score.missed))


def test_most_is_found_on_the_very_line(score: Score) -> None:
    """The rest where it matters: what was dropped, moved or renamed is missed where it is used."""
    assert len(score.in_place) >= 0.8 * len(score.failed), f"seed {score.seed}"


def test_the_checker_itself_never_fails(score: Score) -> None:
    """Whatever is in a file."""
    assert score.crashed == [], f"seed {score.seed}"


def test_a_trial_can_be_repeated() -> None:
    """The same seed makes the same mistakes."""
    first, second = (trial(originals(), capabilities_of_all(), 7, 20) for _ in range(2))
    assert [one.mutation for one in first.judged] == [one.mutation for one in second.judged]


def test_the_trial_knows_a_mistake_that_nobody_finds() -> None:
    """A text that is written wrong, and right for all that the checker can know, counts as missed."""
    original = next(one for one in originals() if one.name == "raw-fields")
    world = world_of(original, capabilities_of_all())
    text = original.text.replace('"events.0.ip") | default("unknown")', '"events.0.ip")')
    assert [one.kind for one in failures_of(text, original.name, world)][:1] == ["invalid"]
    assert failures_of(original.text, original.name, world) == frozenset()


def test_no_playbook_of_the_trial_has_a_finding() -> None:
    """Neither those that ship, nor the examples, nor those that were written for it: nothing annoys for nothing."""
    findings = {finding for one in originals() for finding in one.folder.loaded.findings}
    assert [str(one) for one in findings] == []
    assert len(originals()) >= 50


def test_the_playbooks_of_the_trial_use_every_kind_of_step_and_every_mutator_finds_a_place() -> None:
    """What is not there cannot be broken."""
    steps = [
        step
        for one in originals()
        for step in every_step(
            (*one.folder.playbooks[one.name].model.steps, *one.folder.playbooks[one.name].model.on_failure)
        )
    ]
    assert {step.KIND for step in steps} == set(STEPS)
    rng = Random(1)  # noqa: S311 - a test that repeats
    sources = [Source(one.text) for one in originals()]
    assert [name for name in MUTATORS if not any(mutate(name, source, rng) for source in sources)] == []


@pytest.mark.parametrize("folder", [SHIPPED, OWN], ids=lambda folder: folder.name)
def test_a_mutation_is_one_change_on_the_lines_that_it_names(folder: object) -> None:
    """All else is as it was."""
    for one in originals():
        if not one.file.startswith(str(folder)):
            continue
        source = Source(one.text)
        for name in ("misspell a key", "number for text", "a duration without unit"):
            made = mutate(name, source, Random(one.name))  # noqa: S311 - a test that repeats
            before, after = one.text.splitlines(), made.text.splitlines() if made else []
            changed = [number for number, (a, b) in enumerate(zip(before, after, strict=False), 1) if a != b]
            assert made is None or set(changed) <= made.lines


def test_every_value_of_a_playbook_is_found_at_its_place_in_the_text() -> None:
    """Its key, its value, and what it is to the language."""
    source = Source('steps:\n  - id: a  # first\n    with: {x: "{{ alert.title }}", y: [1, 2]}\n    when: alert.user\n')
    parts = {part.path[2:]: part for part in source.parts if part.path[:2] == ("steps", 0)}
    assert source.said(parts[("with", "x")].at) == '"{{ alert.title }}"'
    assert source.said(parts[("with", "y")].whole) == ", y: [1, 2]"
    assert source.said(parts[("when",)].whole) == "    when: alert.user\n"
    assert source.said(parts[("id",)].whole) == "id: a  # first\n    "
    roles = {path: part.role for path, part in parts.items()}
    assert roles[("id",)] is Role.ID
    assert roles[("when",)] is Role.CONDITION
    assert roles[("with", "x")] is Role.TEMPLATE
    assert parts[()].is_step
