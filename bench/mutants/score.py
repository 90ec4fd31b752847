"""What the checker said of each mistake, beside what happened when nobody asked it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench.mutants.corpus import SAMPLES, Original
from bench.mutants.mutation import Mutation
from bench.mutants.mutators import MUTATORS, mutate
from bench.mutants.source import Source
from bench.mutants.truth import Failure, World, failures_of
from orchestrator.errors import Finding
from orchestrator.language.interpreter import Capabilities
from orchestrator.language.loader import check_all, read_text


@dataclass(frozen=True)
class Judged:
    """One mistake: what the checker said of it that it had not said before, and what went wrong without the checker."""

    original: Original
    mutation: Mutation
    findings: tuple[Finding, ...]
    failures: frozenset[Failure]

    @property
    def failed(self) -> bool:
        """Whether it would have failed at run time."""
        return bool(self.failures)

    @property
    def found(self) -> bool:
        """Whether a finding names the wrong word or the right one."""
        return any(self._names(one) for one in self.findings)

    @property
    def found_in_place(self) -> bool:
        """The same on the very line."""
        return any(self._names(one) and one.place.line in self.mutation.lines for one in self.findings)

    def _names(self, finding: Finding) -> bool:
        told = f"{finding.message} {finding.hint}"
        return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", told) for word in self.mutation.words)

    def __str__(self) -> str:
        lines = self.mutation.text.splitlines()
        said = [f"    said: {one.code}: {one}" for one in self.findings] or ["    said: nothing"]
        happened = [f"    happened: {one}" for one in sorted(self.failures, key=str)[:4]]
        number = min(self.mutation.lines)
        line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        head = f"  {self.original.name}:{number}: {self.mutation.mutator}: {self.mutation.told}\n    line: {line}"
        return "\n".join([head, *happened, *said])


@dataclass(frozen=True)
class Score:
    """The mistakes of one mutator, or of all."""

    name: str
    judged: Sequence[Judged]

    @property
    def failed(self) -> list[Judged]:
        """Those that would have failed at run time."""
        return [one for one in self.judged if one.failed]

    @property
    def found(self) -> list[Judged]:
        """Those of them that the checker names."""
        return [one for one in self.failed if one.found]

    @property
    def in_place(self) -> list[Judged]:
        """Those that it names on their line."""
        return [one for one in self.failed if one.found_in_place]

    @property
    def missed(self) -> list[Judged]:
        """Those of which it says nothing useful."""
        return [one for one in self.failed if not one.found]

    @property
    def share(self) -> float:
        """How much of what would have failed was found; 1 where nothing would have."""
        return len(self.found) / len(self.failed) if self.failed else 1.0

    @property
    def by_mutator(self) -> list[Score]:
        """The same of each mutator."""
        return [Score(name, [one for one in self.judged if one.mutation.mutator == name]) for name in MUTATORS]


def trial(originals: Sequence[Original], capabilities: Capabilities, seed: int, count: int) -> Score:
    """So many mistakes in these playbooks, each judged; the same for the same seed."""
    rng = Random(seed)
    sources = {one.file: Source(one.text) for one in originals}
    judge = Judge(capabilities)
    made = _mutations(originals, sources, rng, count)
    return Score("all", [judge.judged(original, mutation) for original, mutation in made])


def _mutations(
    originals: Sequence[Original], sources: dict[str, Source], rng: Random, count: int
) -> Iterator[tuple[Original, Mutation]]:
    """Every mutator as often as the others, each time in another playbook."""
    names = list(MUTATORS)
    for number in range(count):
        name = names[number % len(names)]
        for original in rng.sample(originals, len(originals)):
            mutation = mutate(name, sources[original.file], rng)
            if mutation is not None:
                yield original, mutation
                break


class Judge:
    """Looks at mistakes. What goes wrong in the originals is looked at once."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._before: dict[str, frozenset[Failure]] = {}
        self._known: dict[str, set[tuple[str, str]]] = {}

    def judged(self, original: Original, mutation: Mutation) -> Judged:
        """The checker's word and the truth."""
        if original.file not in self._before:
            self._before[original.file] = self._failures(original, original.text)
            self._known[original.file] = {(one.code, one.message) for one in self.findings(original, original.text)}
        known = self._known[original.file]
        new = tuple(one for one in self.findings(original, mutation.text) if (one.code, one.message) not in known)
        happened = self._failures(original, mutation.text) - self._before[original.file]
        return Judged(original, mutation, new, _that_count(original, mutation, happened))

    def findings(self, original: Original, text: str) -> Iterable[Finding]:
        """What the checker says of a text in the place of the original."""
        read = read_text(text, original.file, original.name)
        others = [one for one in original.folder.reads.values() if one.name != original.name and one.name in read.calls]
        loaded = check_all([read, *others], self._capabilities, original.folder.site, SAMPLES.folder)
        return (one for one in loaded.findings if one.place.file == original.file)

    def _failures(self, original: Original, text: str) -> frozenset[Failure]:
        folder = original.folder
        world = World(self._capabilities, SAMPLES, folder.site, folder.playbooks)
        return failures_of(text, original.name, world)


def _that_count(original: Original, mutation: Mutation, happened: frozenset[Failure]) -> frozenset[Failure]:
    """A test that does not fit the playbook any more is no failure of the playbook; one that was mutated itself is."""
    first = mutation.text.split("\ntests:")[0].count("\n") + 2
    in_tests = min(mutation.lines) > first
    return happened if in_tests else frozenset(one for one in happened if one.kind != "test")
