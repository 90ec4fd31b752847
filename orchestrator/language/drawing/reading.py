"""A playbook's model as a picture: which blocks follow which, and what stands on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.contract import Capability, Effect
from orchestrator.language.drawing import words
from orchestrator.language.drawing.picture import (
    Block,
    Branch,
    Card,
    Choice,
    Fact,
    Frame,
    Guarded,
    Kind,
    Picture,
    Rescued,
    Sequence,
    Single,
    Together,
    Tone,
)
from orchestrator.language.model import (
    ActionStep,
    ApprovalStep,
    AskStep,
    DoStep,
    ForEachStep,
    IfStep,
    ParallelStep,
    PlaybookDocument,
    PlaybookStep,
    RepeatStep,
    SetStep,
    Step,
    StopStep,
    SwitchStep,
    UndoStep,
    WaitStep,
)

Capabilities = Mapping[str, Capability[Any, Any]]
EFFECTS: Mapping[Effect, Kind] = {
    Effect.READ: Kind.READ,
    Effect.ADDITIVE: Kind.ADDITIVE,
    Effect.REVERSIBLE: Kind.REVERSIBLE,
    Effect.IRREVERSIBLE: Kind.IRREVERSIBLE,
}


def read_picture(name: str, model: PlaybookDocument, capabilities: Capabilities) -> Picture:
    """The picture of a playbook; an action that nobody knows is drawn too."""
    reader = _Reader(capabilities)
    return Picture(
        name=name,
        title=model.title,
        why=model.why or "",
        marks=tuple(_marks(model)),
        starts=tuple(_starts(model)),
        body=reader.steps(model.steps),
        end=Card(Kind.SUCCESS, (Fact("success", Tone.TITLE), *words.of_outputs(model.outputs))),
        failure=reader.failure(model),
    )


def _marks(model: PlaybookDocument) -> Iterator[str]:
    """What else is said of the whole."""
    if model.mode == "shadow":
        yield "shadow: nothing is sent"
    yield from model.attack
    if model.owner:
        yield f"owner {model.owner}"
    if model.priority != "normal":
        yield f"{model.priority} priority"
    if model.concurrency:
        yield f"{model.concurrency} open runs at most"


def _starts(model: PlaybookDocument) -> Iterator[Card]:
    trigger = model.trigger
    inputs = tuple(words.of_inputs(model.inputs))
    if trigger.match:
        yield Card(Kind.START, tuple(words.of_alert(trigger)))
    if trigger.schedule:
        yield Card(Kind.START, (*words.of_schedule(trigger.schedule), *inputs))
    if trigger.manual:
        yield Card(Kind.START, (*words.of_manual(trigger.manual), *inputs))
    if not (trigger.match or trigger.schedule or trigger.manual):
        yield Card(Kind.START, (Fact("another playbook calls it", Tone.TITLE), *inputs))


class _Reader:
    """Reads steps, and knows what each action leaves behind."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities

    def steps(self, steps: tuple[Step, ...]) -> Sequence:
        """One after the other."""
        return Sequence(tuple(self.step(step) for step in steps))

    def step(self, step: Step) -> Block:
        """A step with what stands around it: its handler, its condition."""
        block = self._own(step)
        if not isinstance(step.on_error, str):
            when = "if an item fails" if isinstance(step, ForEachStep) else "if it fails"
            block = Rescued(block, self.steps(step.on_error), when)
        condition = _condition(step)
        if condition:
            block = Guarded(Card(Kind.DECISION, (Fact(condition, Tone.CODE),)), block)
        return block

    def failure(self, model: PlaybookDocument) -> Sequence:
        """What is done after a failure of the run."""
        undo = Single(Card(Kind.UNDO, (Fact("undo all that the run did", Tone.TITLE), Fact("in reverse"))))
        before = (undo,) if model.undo_on_failure else ()
        return Sequence((*before, *self.steps(model.on_failure).blocks))

    def _own(self, step: Step) -> Block:
        for kind, read in self._readers():
            if isinstance(step, kind):
                return read(step)
        raise AssertionError(step)  # every kind has its reader

    def _readers(self) -> Iterator[tuple[type[Any], Callable[[Any], Block]]]:
        yield ActionStep, self._action
        yield IfStep, self._if
        yield SwitchStep, self._switch
        yield ParallelStep, self._parallel
        yield ForEachStep, self._for_each
        yield RepeatStep, self._repeat
        yield DoStep, self._do
        yield StopStep, _stop
        for kind, drawn, what, facts in _PLAIN:
            yield kind, _single(drawn, what, facts)

    def _action(self, step: ActionStep) -> Block:
        capability = self._capabilities.get(step.action)
        kind = EFFECTS[capability.effect] if capability else Kind.UNKNOWN
        return Single(_card(kind, step, step.action, words.of_action(step, capability)))

    def _if(self, step: IfStep) -> Block:
        card = _decision(step, f"if {step.if_}")
        return Choice(card, (Branch("yes", self.steps(step.then)), Branch("no", self.steps(step.else_))))

    def _switch(self, step: SwitchStep) -> Block:
        branches = [Branch(literal, self.steps(steps)) for literal, steps in step.cases.items()]
        rest = Branch("otherwise", self.steps(step.default or ()))
        return Choice(_decision(step, f"switch {step.switch}"), (*branches, rest))

    def _parallel(self, step: ParallelStep) -> Block:
        together = "at the same time; the first failure ends the others" if step.fail_fast else "at the same time"
        name = [Fact(step.name, Tone.TITLE)] if step.name else []
        card = Card(Kind.PARALLEL, (*name, Fact(together), *words.of_any(step)), step.id)
        return Together(card, tuple(Sequence((self.step(branch),)) for branch in step.parallel))

    def _for_each(self, step: ForEachStep) -> Block:
        card = _card(Kind.FOR_EACH, step, "", words.of_for_each(step.for_each))
        return Frame(card, self.steps(step.for_each.steps), loops=True)

    def _repeat(self, step: RepeatStep) -> Block:
        card = _card(Kind.REPEAT, step, "", words.of_repeat(step.repeat))
        return Frame(card, self.steps(step.repeat.steps), loops=True)

    def _do(self, step: DoStep) -> Block:
        return Frame(_card(Kind.GROUP, step, "", iter(())), self.steps(step.do))


def _condition(step: Step) -> str:
    """`when` and `unless` as one sentence."""
    parts = [f"when {step.when}"] if step.when else []
    parts += [f"unless {step.unless}"] if step.unless else []
    return " and ".join(parts)


def _card(kind: Kind, step: Step, otherwise: str, facts: Iterator[Fact]) -> Card:
    named = step.name or step.id or otherwise
    title = (words.title_of(step, otherwise),) if named else ()
    covers = step.approval.covers if isinstance(step, ApprovalStep) else ()
    return Card(kind, (*title, *facts, *words.of_any(step)), step.id, covers)


def _decision(step: Step, question: str) -> Card:
    name = [Fact(step.name, Tone.TITLE)] if step.name else []
    rest = words.of_any(step, guarded_default=not isinstance(step, SwitchStep))
    return Card(Kind.DECISION, (*name, Fact(question, Tone.CODE), *rest), step.id)


def _stop(step: StopStep) -> Block:
    kind = Kind.SUCCESS if step.stop == "success" else Kind.FAILURE
    message = [Fact(words.bare(step.message))] if step.message else []
    return Single(Card(kind, (Fact(step.name or f"stop: {step.stop}", Tone.TITLE), *message), step.id), ends=True)


def _single(kind: Kind, what: str, facts: Callable[[Any], Iterator[Fact]]) -> Callable[[Any], Block]:
    return lambda step: Single(_card(kind, step, what, facts(step)))


def _undone(step: UndoStep) -> Iterator[Fact]:
    yield Fact(f"undoes {', '.join(step.undo)}")


_PLAIN: tuple[tuple[type[Any], Kind, str, Callable[[Any], Iterator[Fact]]], ...] = (
    (ApprovalStep, Kind.APPROVAL, "approval", lambda step: words.of_approval(step.approval)),
    (AskStep, Kind.ASK, "question", lambda step: words.of_ask(step.ask)),
    (PlaybookStep, Kind.PLAYBOOK, "playbook", words.of_playbook),
    (WaitStep, Kind.WAIT, "wait", lambda step: words.of_wait(step.wait)),
    (SetStep, Kind.SET, "set", words.of_set),
    (UndoStep, Kind.UNDO, "undo", _undone),
)
"""Steps that hold no others: how each is drawn, what it is called without a name, and what stands on it."""
