"""What a drawing of a playbook says, before anybody decides where it stands: cards, and how one follows another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """What a card stands for; each has a shape and a colour of its own."""

    START = "start"
    READ = "read"
    ADDITIVE = "additive"
    REVERSIBLE = "reversible"
    IRREVERSIBLE = "irreversible"
    UNKNOWN = "unknown"
    APPROVAL = "approval"
    ASK = "ask"
    PLAYBOOK = "playbook"
    PARALLEL = "parallel"
    GROUP = "group"
    FOR_EACH = "for_each"
    REPEAT = "repeat"
    DECISION = "decision"
    WAIT = "wait"
    SET = "set"
    UNDO = "undo"
    SUCCESS = "success"
    FAILURE = "failure"


class Tone(StrEnum):
    """How a line of a card is set."""

    TITLE = "title"
    CODE = "code"
    PLAIN = "plain"
    QUIET = "quiet"
    PEOPLE = "people"
    WARN = "warn"


@dataclass(frozen=True)
class Fact:
    """A line of a card, as long as it is."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Card:
    """One thing that is drawn. `id` is the step's, where it has one; `covers` are the ids that an approval covers."""

    kind: Kind
    facts: tuple[Fact, ...]
    id: str | None = None
    covers: tuple[str, ...] = ()

    def with_facts(self, *facts: Fact) -> Card:
        """The same with more lines."""
        return replace(self, facts=(*self.facts, *facts))


@dataclass(frozen=True)
class Single:
    """A step that holds no others; `ends` where nothing follows it."""

    card: Card
    ends: bool = False


@dataclass(frozen=True)
class Branch:
    """One way out of a choice."""

    label: str
    body: Sequence


@dataclass(frozen=True)
class Choice:
    """A decision and its branches. One of them may be empty: the way past the others."""

    card: Card
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Together:
    """Branches that run at the same time."""

    card: Card
    branches: tuple[Sequence, ...]


@dataclass(frozen=True)
class Frame:
    """A loop or a group around its steps; `loops` where the end leads back to the beginning."""

    card: Card
    body: Sequence
    loops: bool = False


@dataclass(frozen=True)
class Guarded:
    """A step that is gone past unless a condition holds."""

    card: Card
    body: Block


@dataclass(frozen=True)
class Rescued:
    """A step, and what is done when it fails."""

    body: Block
    handler: Sequence
    when: str = "if it fails"


Block = Single | Choice | Together | Frame | Guarded | Rescued


@dataclass(frozen=True)
class Sequence:
    """One after the other; may be empty."""

    blocks: tuple[Block, ...] = ()

    @property
    def ends(self) -> bool:
        """Whether nothing can follow it."""
        return any(ends(block) for block in self.blocks)


@dataclass(frozen=True)
class Picture:
    """A whole playbook. `failure` is what is done when the run failed."""

    name: str
    title: str
    why: str
    marks: tuple[str, ...]
    starts: tuple[Card, ...]
    body: Sequence
    end: Card
    failure: Sequence = field(default_factory=Sequence)


def ends(block: Block) -> bool:
    """Whether nothing can follow the block."""
    match block:
        case Single():
            return block.ends
        case Choice():
            return all(branch.body.ends for branch in block.branches)
        case Together():
            return any(branch.ends for branch in block.branches)
        case Frame():
            return block.body.ends and not block.loops
        case Rescued():
            return ends(block.body) and block.handler.ends
        case Guarded():
            return False
