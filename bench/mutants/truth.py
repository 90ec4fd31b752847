"""What a playbook does in simulation when nobody has checked it: whether it loads, and what goes wrong in its tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import ExpressionError, FailureKind, TocsinError, ValueAbsent
from orchestrator.language.interpreter import Capabilities
from orchestrator.language.model import PlaybookDocument, PlaybookStep, every_step
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ReferenceData
from orchestrator.language.simulator import Played, Samples, Start, TestMistake, Unforeseen, play, start_of
from orchestrator.language.tested import Test
from orchestrator.language.yaml_reader import read_yaml


@dataclass(frozen=True)
class Failure:
    """Something that no author meant: `kind` is load, invalid, expression, exception, stuck or test."""

    kind: str
    test: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}{f' in {self.test!r}' if self.test else ''}: {self.message}"


@dataclass(frozen=True)
class World:
    """What playbooks run in: the actions, the recorded alerts, the site, and the playbooks that others may call."""

    capabilities: Capabilities
    samples: Samples
    site: ReferenceData | None
    playbooks: Mapping[str, Playbook]


def failures_of(text: str, name: str, world: World) -> frozenset[Failure]:
    """All that goes wrong with a playbook that was not checked."""
    try:
        playbook = _loaded(text, name, world.playbooks)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from loading is what is asked for
        return frozenset({Failure("load", "", _said(error))})
    return frozenset(failure for test in playbook.model.tests for failure in _of_test(playbook, test, world))


def _loaded(text: str, name: str, others: Mapping[str, Playbook]) -> Playbook:
    """The playbook as a run would have it: every expression compiled, every sub-playbook there."""
    document = read_yaml(text, f"{name}.yaml").data
    model = PlaybookDocument.model_validate(document)
    steps = every_step((*model.steps, *model.on_failure))
    uses = {step.playbook: others[step.playbook] for step in steps if isinstance(step, PlaybookStep)}
    playbook = Playbook(name, document, uses)
    list(playbook.paths())
    return playbook


def _said(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"


def _of_test(playbook: Playbook, test: Test, world: World) -> Iterator[Failure]:
    try:
        start = start_of(playbook, test, world.samples)
        yield from (Failure("expression", test.name, told) for told in _of_start(playbook, start))
        if start.starts:
            played = play(playbook, test, start, world.capabilities, world.samples, site=world.site)
            yield from (Failure(kind, test.name, told) for kind, told in _of_run(played))
    except Unforeseen:
        return  # the test expects something else
    except TocsinError as mistake:
        yield Failure("test", test.name, str(mistake))
    except Exception as error:  # noqa: BLE001 - nothing but a TocsinError may ever come out
        yield Failure("exception", test.name, _said(error))


def _of_start(playbook: Playbook, start: Start) -> Iterator[str]:
    """What is wrong with the trigger: an error makes a condition false, and leaves an alert without a key."""
    names = {"alert": start.alert, "now": start.at}
    if start.error is not None:
        yield f"match: {start.error}"
    if start.alert is None:
        return
    if playbook.joins is not None and (error := playbook.joins.explain(names).error):
        yield f"joins: {error}"
    try:
        if playbook.key is not None:
            playbook.key.value(names)
    except ValueAbsent:
        return
    except ExpressionError as error:
        yield f"key: {error}"


def _of_run(played: Played) -> Iterator[tuple[str, str]]:
    for mistake in played.mistakes:
        if not isinstance(mistake, Unforeseen):
            yield "test" if isinstance(mistake, TestMistake) else "stuck", str(mistake)
    if played.result is not None and played.result.error is not None:
        yield from _invalid(played.result.error.model_dump(mode="json"))
    for trace in played.world.traces:
        yield from _invalid(trace.body.get("error"))


def _invalid(error: Any) -> Iterator[tuple[str, str]]:
    if isinstance(error, Mapping) and error.get("kind") == FailureKind.INVALID:
        yield "invalid", str(error["message"])
