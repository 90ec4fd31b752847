"""What the actions, sub-playbooks and people of a test answer, as it is written there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from orchestrator.contract import Capability
from orchestrator.contract.capability import completed
from orchestrator.errors import FailureKind, TocsinError
from orchestrator.language.host import ApprovalRequest, AskRequest
from orchestrator.language.outputs import Trust, all_routes_of
from orchestrator.language.program import Playbook
from orchestrator.language.typed import Spec, validate_all

Fits = Callable[[Mapping[str, Any]], bool]
"""Whether the parameters of a call are those that a `when` names"""
WORDS = ("approve", "deny", "expire")


class TestMistake(TocsinError):
    """A test cannot be carried out as it is written."""

    __test__ = False


class Unforeseen(TestMistake):
    """A run did what its test has no answer for."""


class Given:
    """The answers below `given`; those of a list are used up, call after call."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._used: dict[str, int] = {}

    def answer(self, names: Sequence[str], fits: Fits) -> dict[str, Any] | None:
        """The answer below the first of these names that is there; None where nothing is given."""
        name = next((name for name in names if name in self._given), None)
        if name is None:
            return None
        given = self._given[name]
        if not isinstance(given, list):
            given = [given] if _is_conditional(given) else given
        if isinstance(given, list):
            return self._of_list(name, given, fits)
        return _mapping(name, given)

    def _of_list(self, name: str, given: list[Any], fits: Fits) -> dict[str, Any] | None:
        conditional = [_is_conditional(one) for one in given]
        if given and all(conditional):
            return next((_mapping(name, one["then"]) for one in given if fits(one.get("when") or {})), None)
        if any(conditional):
            raise TestMistake(f"given {name}: either all of the list have `when` and `then`, or none has")
        place = self._used.get(name, 0)
        self._used[name] = place + 1
        if place >= len(given):
            times = "once" if len(given) == 1 else f"{len(given)} times"
            raise Unforeseen(
                f"given {name}: it is called more than {times}; give one answer more, or say it outside a list"
            )
        return _mapping(name, given[place])


def _is_conditional(given: Any) -> bool:
    return isinstance(given, dict) and "then" in given and set(given) <= {"when", "then"}


def _mapping(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise TestMistake(f"given {name}: an answer is a mapping of fields, or `fails:`; found {given!r}")
    return dict(given)


def failure_of(name: str, answer: Mapping[str, Any]) -> FailureKind | None:
    """The kind of failure that an answer is; none where it is a good one."""
    if "fails" not in answer:
        return None
    try:
        return FailureKind(answer["fails"])
    except ValueError:
        known = ", ".join(FailureKind)
        raise TestMistake(f"given {name}: {answer['fails']!r} is no kind of failure; known: {known}") from None


def fits(capability: Capability[Any, Any], wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether a call was sent with these parameters, each compared as its own type reads it."""
    try:
        return bool(capability.takes.model_validate({**sent, **wanted}).model_dump(mode="json") == sent)
    except ValidationError:
        return False


def output_of(
    capability: Capability[Any, Any], sent: Mapping[str, Any], answer: Mapping[str, Any], *, all_routes: bool
) -> dict[str, Any]:
    """An action's output: the fields that the answer names, and for the rest the least that the model allows."""
    parameters = capability.takes.model_validate(sent)
    if not all_routes:
        return _completed(capability, parameters, answer)
    if not set(answer) <= {"answers", "failed"}:
        answer = {"answers": [answer]}
    whole = {
        "answers": [_completed(capability, parameters, one) for one in answer.get("answers", [{}])],
        "failed": list(map(_refused, answer.get("failed", []))),
    }
    return _valid(capability.name, all_routes_of(capability), whole)


def _completed(capability: Capability[Any, Any], parameters: Any, answer: Mapping[str, Any]) -> dict[str, Any]:
    fields = capability.gives.model_fields
    given = {name: completed(fields[name], value) if name in fields else value for name, value in answer.items()}
    output = {**capability.imagine(parameters).model_dump(mode="json"), **given}
    return _valid(capability.name, capability.gives, output)


def _refused(given: Any) -> dict[str, Any]:
    """An integration that gave no answer; its kind alone is enough."""
    words = {"kind": given} if isinstance(given, str) else dict(given)
    return {"integration": "simulated", "kind": "unavailable", "message": "the test says so", **words}


def _valid(name: str, model: type[BaseModel], output: dict[str, Any]) -> dict[str, Any]:
    try:
        return model.model_validate(output).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields)
        raise TestMistake(f"given {name}: `{where}`: {first['msg']}; its output has {known}") from None


def outputs_of(playbook: Playbook, answer: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a sub-playbook that the test gives; raises `TestMistake` for one that it does not have."""
    for name in answer:
        if name not in playbook.model.outputs:
            known = ", ".join(playbook.model.outputs) or "none"
            raise TestMistake(f"given: {playbook.name} has no output `{name}`; its outputs: {known}")
    return answer


@dataclass(frozen=True)
class Reply:
    """What a person says: a word, or `answer` with its fields; `trust` is how far it is known who they are."""

    word: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    by: str | None = "somebody"
    trust: str = "unverified"


def reply_to(question: ApprovalRequest | AskRequest, names: Sequence[str], answers: Mapping[str, Any]) -> Reply:
    """The answer of the test to a question; raises `TestMistake` where there is none that fits it."""
    name = next((name for name in names if name in answers), None)
    if name is None:
        what = "approve, deny or expire" if isinstance(question, ApprovalRequest) else "its fields, or expire"
        raise Unforeseen(f"`{names[-1]}` asks, and the test has no answer for it; add it below `answers:` ({what})")
    answer = answers[name]
    if answer == "expire":
        return Reply("expire", by=None, trust="silence")
    if isinstance(question, ApprovalRequest):
        return _word(name, answer)
    return _fields(name, answer, _specs(question))


def _specs(question: AskRequest) -> dict[str, Spec]:
    return {name: Spec.model_validate(spec) for name, spec in question.fields.items()}


def imagined_answer(question: AskRequest) -> dict[str, Any]:
    """The least answer that fits."""
    return {name: spec.imagined() for name, spec in _specs(question).items() if spec.is_required}


def _word(name: str, answer: Any) -> Reply:
    if answer not in WORDS:
        raise TestMistake(f"answers {name}: {answer!r} is no answer to an approval; say {', '.join(WORDS)}")
    return Reply(answer)


def _fields(name: str, answer: Any, specs: Mapping[str, Spec]) -> Reply:
    if answer == "done" and not specs:
        answer = {}
    if not isinstance(answer, dict):
        known = ", ".join(specs) or "none, so say done"
        raise TestMistake(f"answers {name}: say the fields of the answer, or expire; its fields: {known}")
    about = {word: answer[word] for word in ("by", "trust") if word in answer and word not in specs}
    if not isinstance(about.get("by", ""), str) or about.get("trust", "silence") not in get_args(Trust):
        raise TestMistake(f"answers {name}: `by` is a text, and `trust` one of {', '.join(get_args(Trust))}")
    fields = {word: value for word, value in answer.items() if word not in about}
    try:
        validate_all(specs, fields)
    except ValueError as error:
        raise TestMistake(f"answers {name}: {error}") from None
    return Reply("answer", fields, **about)


def for_steps(names: Sequence[str]) -> Iterator[str]:
    """The names below `given` that mean a step."""
    for name in names:
        yield f"steps.{name}"
        yield name
