"""What a test may call a step: by its id, an item of the loops around it, the step that calls its playbook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orchestrator.language.model import (
    MOST_DEPTH,
    ForEachStep,
    PlaybookDocument,
    PlaybookStep,
    RepeatStep,
    Step,
    inside,
    named,
)
from orchestrator.language.paths import prefixes_below, step_names

_PLACE = re.compile(r"\[[0-9]+\]")


class StepNames:
    """The steps of a playbook and of all that it calls, by their names: `sure`, `people[0].asked`, `contain.sure`.

    `every` lists them without their names.
    """

    def __init__(self, model: PlaybookDocument, playbooks: Mapping[str, PlaybookDocument]) -> None:
        self._steps: dict[str, Step] = {}
        self._unread: list[str] = []
        self.every: list[Step] = []
        self._add(model, playbooks, (), ())

    def find(self, name: str) -> Step | None:
        """The step that a test means; items and turns are told by any number."""
        return self._steps.get(_PLACE.sub("[]", name))

    def is_unread(self, name: str) -> bool:
        """Whether it may be a step of a playbook that cannot be read, of which nobody knows the steps."""
        return name.startswith(tuple(self._unread))

    @property
    def has_unread(self) -> bool:
        """Whether a playbook that is called cannot be read."""
        return bool(self._unread)

    def of(self, *kinds: type[Step]) -> list[str]:
        """Every name of a step of these kinds, of items and turns that of the first."""
        return [name.replace("[]", "[0]") for name, step in self._steps.items() if isinstance(step, kinds)]

    def _add(
        self,
        model: PlaybookDocument,
        playbooks: Mapping[str, PlaybookDocument],
        prefixes: tuple[str, ...],
        callers: tuple[str, ...],
    ) -> None:
        """What stands nearer goes before what is called by the same name further away."""
        listed = [*_shown(model.steps), *_shown(model.on_failure)]
        for name, shown, step in listed:
            self.every.append(step)
            for one in step_names(prefixes, shown, name) if step.id else ():
                self._steps.setdefault(one, step)
        for name, shown, step in listed:
            if not isinstance(step, PlaybookStep) or step.playbook in callers or len(callers) >= MOST_DEPTH:
                continue  # of playbooks that call themselves it is said elsewhere
            sub, below = playbooks.get(step.playbook), prefixes_below(prefixes, shown, name)
            if sub is None:
                self._unread += below
            else:
                self._add(sub, playbooks, below, (*callers, step.playbook))


def _shown(steps: tuple[Step, ...], loops: str = "") -> Iterator[tuple[str, str, Step]]:
    """Each step with its name, and with that as a run shows it, without the numbers of items and turns."""
    for name, step in named(steps):
        yield name, f"{loops}{name}", step
        for below, inner in inside(step):
            each = isinstance(step, ForEachStep) or (isinstance(step, RepeatStep) and below != ("on_error",))
            yield from _shown(inner, f"{loops}{name}[]." if each else loops)
