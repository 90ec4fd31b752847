"""Containers: what their steps see, and what is seen of them afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.contract.values import NormalisedText, Severity
from orchestrator.language.checking.around import Around, LoopNames
from orchestrator.language.checking.checker import did_you_mean, is_literal, type_of_literal
from orchestrator.language.expressions.kinds import (
    NONE,
    UNKNOWN,
    Const,
    Scalar,
    Type,
    as_type,
    list_of,
    said,
    union,
    words_of,
)
from orchestrator.language.model import DoStep, ForEachStep, IfStep, ParallelStep, RepeatStep, Step, SwitchStep
from orchestrator.language.outputs import Counts
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker

RESERVED = frozenset({
    "alert", "joined", "joined_count", "inputs", "vars", "steps", "run", "lists", "calendars", "now", "loop",
})  # fmt: skip
"""names that the item of a loop cannot have"""


def do(check: Checker, step: DoStep, path: Path, around: Around) -> None:
    """A group shows all that it holds."""
    check.steps(step.do, (*path, "do"), around)


def parallel(check: Checker, step: ParallelStep, path: Path, around: Around) -> None:
    """Branches do not see each other; afterwards all of them are seen."""
    before, views = around.copy(), []
    for index, branch in enumerate(step.parallel):
        view = before.copy()
        check.step(branch, (*path, "parallel", index), view)
        views.append(view)
    given = Counter(name for view in views for name in _given(before, view))
    for name, count in sorted(given.items()):
        if count > 1:
            message = f"`vars.{name}` is given a value in {count} branches at the same time"
            check.say((*path, "parallel"), "vars", message, "give it a name of its own in each branch")
    for view in views:
        _take(around, view, before)


def _given(before: Around, after: Around) -> list[str]:
    return [name for name, kind in after.vars.items() if before.vars.get(name) is not kind]


def _take(around: Around, view: Around, before: Around) -> None:
    around.known |= {name: known for name, known in view.known.items() if name not in before.known}
    given = _given(before, view)
    around.vars |= {name: view.vars[name] for name in given}
    around.maybe_vars = (around.maybe_vars - frozenset(given)) | view.maybe_vars & frozenset(given)


def if_(check: Checker, step: IfStep, path: Path, around: Around) -> None:
    """One of two branches runs: what both bring is sure."""
    holds = check.condition((*path, "if"), step.if_, around)
    fails = around.guarded(check.where_not(step.if_))
    before = around.copy()
    check.steps(step.then, (*path, "then"), holds)
    check.steps(step.else_, (*path, "else"), fails)
    _one_of(check, around, before, [(step.then, holds), (step.else_, fails)])


def _one_of(check: Checker, around: Around, before: Around, branches: list[tuple[tuple[Step, ...], Around]]) -> None:
    """What is known after exactly one of these branches; those that stop the run do not count."""
    views = [view for steps, view in branches if not check.stops(steps)]
    for _, view in branches:
        around.known |= {name: known.perhaps() for name, known in view.known.items() if name not in before.known}
    names = dict.fromkeys(name for view in views for name in _given(before, view))
    for name in names:
        given = [view for view in views if name in _given(before, view)]
        kinds = [as_type(view.vars[name]) for view in given]
        existed = name in before.vars
        if len(given) < len(views) and existed:
            kinds.append(as_type(before.vars[name]))
        around.vars[name] = _union(kinds)
        maybe = any(name in view.maybe_vars or name not in view.vars for view in views)
        around.maybe_vars = around.maybe_vars | {name} if maybe else around.maybe_vars - {name}


def _union(kinds: list[Type]) -> Type:
    made = kinds[0]
    for kind in kinds[1:]:
        made = made | kind
    return made


def switch(check: Checker, step: SwitchStep, path: Path, around: Around) -> None:
    """The case that fits runs; of a choice or a severity, every value has one."""
    kind = check.value((*path, "switch"), step.switch, around)
    before, branches = around.copy(), []
    for literal, steps in step.cases.items():
        view = before.guarded(check.where_is(step.switch, literal))
        check.steps(steps, (*path, "cases", literal), view)
        branches.append((steps, view))
    whole = _cases(check, step, path, kind)
    view = before.copy()
    if step.default is not None:
        check.steps(step.default, (*path, "default"), view)
    if step.default is not None or not whole:
        branches.append((step.default or (), view))
    _one_of(check, around, before, branches)


def _cases(check: Checker, step: SwitchStep, path: Path, kind: Type) -> bool:
    """Whether every value has a case; says of cases that can never fit, and of those that are missing."""
    if kind.unknown:
        return False
    words = _words(kind)
    for literal in step.cases:
        reason = _never(kind, literal, words)
        if reason:
            hint = did_you_mean(literal, words) if words else ""
            check.say((*path, "cases", literal, "@key"), "cases", f"the value can never be `{literal}`: {reason}", hint)
    if words is None:
        return False
    seen = {literal.lower() for literal in step.cases}
    missing = [word for word in words if word.lower() not in seen]
    if missing and step.default is None:
        message = f"no case for {', '.join(f'`{word}`' for word in missing)}"
        check.say((*path, "cases"), "cases", message, "add them, or a `default:`")
    return not missing


def _words(kind: Type) -> list[str] | None:
    """All values, where they are few and known."""
    found: list[str] = []
    for one in kind.there.kinds:
        if isinstance(one, Scalar) and issubclass(one.cls, Severity):
            found += [str(severity) for severity in Severity]
        elif isinstance(one, Scalar | Const) and words_of(one) is not None:
            found += [str(word) for word in words_of(one) or ()]
        elif isinstance(one, Scalar) and one.cls is bool:
            found += ["true", "false"]
        else:
            return None
    return list(dict.fromkeys(found)) or None


def _never(kind: Type, literal: str, words: list[str] | None) -> str:
    """Why a literal can never be the value; nothing where it can."""
    if words is not None:
        return "" if literal.lower() in {word.lower() for word in words} else f"it is one of {', '.join(words)}"
    reasons = []
    for one in kind.there.kinds:
        if not isinstance(one, Scalar):
            return ""
        reason = _unfit(one.cls, literal)
        if not reason:
            return ""
        reasons.append(reason)
    return reasons[0] if reasons else ""


def _unfit(cls: type[Any], literal: str) -> str:
    if issubclass(cls, NormalisedText):
        try:
            cls.parse(literal)
        except ValueError as error:
            return str(error)
        return ""
    if issubclass(cls, int | float):
        try:
            float(literal)
        except ValueError:
            return "it is a number"
    return ""


def for_each(check: Checker, step: ForEachStep, path: Path, around: Around) -> dict[str, Any]:
    """Each item has its own; outside only `collect` and `counts` are seen."""
    inner = item_of(check, step, path, around)
    check.steps(step.for_each.steps, (*path, "for_each", "steps"), inner)
    collected = NONE
    if step.for_each.collect is not None:
        collected = check.tree((*path, "for_each", "collect"), step.for_each.collect, inner)
    # what was collected of an item that failed is none
    return {"collect": list_of(collected.there | NONE), "counts": Counts}


def item_of(check: Checker, step: ForEachStep, path: Path, around: Around) -> Around:
    """What is known where the steps of a loop stand."""
    here = (*path, "for_each")
    name = step.for_each.as_
    if name in RESERVED:
        check.say((*here, "as"), "value", f"`{name}` is a name of the language", "choose another one for the item")
    if name in around.own and name != "item":
        check.say((*here, "as"), "value", f"`{name}` is the item of a loop around this one", "choose another one")
    return around.with_own(**{name: _item(check, step, here, around), "loop": LoopNames})


def _item(check: Checker, step: ForEachStep, here: Path, around: Around) -> Type:
    """The type of an item."""
    if isinstance(step.for_each.items, str):
        kind = check.value((*here, "items"), step.for_each.items, around)
    else:
        kind = list_of(union(_items(check, (*here, "items"), step.for_each.items, around)))
    if kind.unknown:
        return UNKNOWN
    item = kind.item
    if not item.kinds and kind.there.kinds and not any(hasattr(one, "item") for one in kind.there.kinds):
        what = ", ".join(said(one) for one in kind.there.kinds)
        check.say((*here, "items"), "type", f"`items`: a loop goes over a list, and this is {what}")
        return UNKNOWN
    return item


def _items(check: Checker, path: Path, items: list[Any], around: Around) -> Iterator[Type]:
    """The types of items that are written out; those without a template are just what they are."""
    for index, item in enumerate(items):
        found = check.tree((*path, index), item, around)
        yield type_of_literal(item) if is_literal(item) else found


def repeat(check: Checker, step: RepeatStep, path: Path, around: Around) -> None:
    """At least one turn runs, and `until` sees it; further turns see the variables as the one before left them."""
    inner = _turn(check, step, path, around)
    later = around.copy()
    later.vars |= {name: as_type(kind) | as_type(inner.vars[name]) for name, kind in around.vars.items()}
    if any(set(as_type(later.vars[name]).kinds) - set(as_type(kind).kinds) for name, kind in around.vars.items()):
        with check.telling_nothing_twice():
            inner = _turn(check, step, path, later)
    around.known |= {name: known for name, known in inner.known.items() if name not in around.known}
    around.vars |= inner.vars
    around.maybe_vars = inner.maybe_vars


def _turn(check: Checker, step: RepeatStep, path: Path, around: Around) -> Around:
    """What is known after one turn."""
    inner = around.with_own(loop=LoopNames)
    check.steps(step.repeat.steps, (*path, "repeat", "steps"), inner)
    check.condition((*path, "repeat", "until"), step.repeat.until, inner)
    return inner
