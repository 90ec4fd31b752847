"""The mistakes that authors make, each made mechanically somewhere in a playbook."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random

from bench.mutants.mutation import Change, Mutation, Mutator, applied, change, choose
from bench.mutants.slips import misspelt
from bench.mutants.source import Part, Role, Source, Span
from bench.mutants.tokens import Kind, Region, Token, all_tokens, paths_in, regions

Wanted = Callable[[Part], bool]


def _part(rng: Random, source: Source, wanted: Wanted) -> Part | None:
    return choose(rng, (part for part in source.parts if wanted(part)), lambda part: part)


def _slip(span_of: Callable[[Part], Span | None], wanted: Wanted) -> Mutator:
    """A slip in a key, or in a value."""

    def mutate(source: Source, rng: Random) -> Change | None:
        part = _part(rng, source, lambda one: span_of(one) is not None and wanted(one))
        span = span_of(part) if part is not None else None
        if span is None:
            return None
        inner = _unquoted(source, span)
        word = source.said(inner)
        wrong = misspelt(word, rng)
        return change(source, inner, wrong, {word, wrong, *word.split("."), *wrong.split(".")})

    return mutate


def _unquoted(source: Source, span: Span) -> Span:
    text = source.said(span)
    return Span(span.start + 1, span.end - 1) if text[:1] in ("'", '"') and len(text) > 2 else span


def _key_of(part: Part) -> Span | None:
    return part.key


def _value_of(part: Part) -> Span | None:
    return part.at if part.scalar and part.at.end > part.at.start else None


def _keys(role: Role) -> Mutator:
    return _slip(_key_of, lambda part: part.key_role is role)


def _values(role: Role) -> Mutator:
    return _slip(_value_of, lambda part: part.role is role)


def _either(*mutators: Mutator) -> Mutator:
    """One of these, whichever finds a place first."""

    def mutate(source: Source, rng: Random) -> Change | None:
        order = list(mutators)
        rng.shuffle(order)
        return next((made for one in order if (made := one(source, rng)) is not None), None)

    return mutate


def _word(kind: Kind) -> Mutator:
    """A slip in a word of an expression."""

    def mutate(source: Source, rng: Random) -> Change | None:
        found = _token(source, rng, lambda token: token.kind is kind and bool(token.text))
        if found is None:
            return None
        wrong = misspelt(found.text, rng)
        return change(source, found.at, wrong, {found.text, wrong, found.path})

    return mutate


def _token(source: Source, rng: Random, wanted: Callable[[Token], bool]) -> Token | None:
    found = choose(rng, (one for one in all_tokens(source) if wanted(one[1])), lambda one: one[0].part)
    return found[1] if found is not None else None


# --- types


def _retyped(by: Callable[[str, Random], str], wanted: Wanted) -> Mutator:
    """Another type for a value; `by` makes it of the text that stands there."""

    def mutate(source: Source, rng: Random) -> Change | None:
        part = _part(rng, source, lambda one: _on_one_line(source, one) and wanted(one))
        if part is None:
            return None
        old = source.said(part.at)
        new = by(old, rng)
        return change(source, part.at, new, {part.name, old.strip("'\""), new.strip("'\"[]{}"), *_own_words(part)})

    return mutate


def _own_words(part: Part) -> set[str]:
    """What a message may call a value: by the keys that lead to it."""
    return {one for one in part.path[-3:] if isinstance(one, str)}


def _on_one_line(source: Source, part: Part) -> bool:
    text = source.said(part.at)
    return bool(text) and "\n" not in text and text[0] not in "|>"


def _is_text(part: Part) -> bool:
    return part.scalar is not None and not _is_number(part) and not _is_truth(part)


def _is_number(part: Part) -> bool:
    return part.scalar is not None and re.fullmatch(r"-?\d+(\.\d+)?", part.scalar) is not None


def _is_truth(part: Part) -> bool:
    return part.scalar in ("true", "false")


def _is_flow_list(source: Source, part: Part) -> bool:
    return part.scalar is None and source.said(part.at).startswith("[")


def _number_in_quotes(source: Source, rng: Random) -> Change | None:
    """A number in an expression as text."""
    found = _token(source, rng, lambda token: token.kind is Kind.NUMBER)
    if found is None:
        return None
    return change(source, found.at, _quoted(source, found.at, found.text), {found.text, "text", found.path})


def _quoted(source: Source, at: Span, text: str) -> str:
    """A text in quotes that do not end the value of the file around it."""
    line = source.text[source.text.rfind("\n", 0, at.start) + 1 : at.start]
    return f"'{text}'" if re.search(r'(?:^|[\s\[{,:-])"[^"]*$', line) else f'"{text}"'


def _string_as_number(source: Source, rng: Random) -> Change | None:
    """A text in an expression as a number."""
    found = _token(source, rng, lambda token: token.kind is Kind.STRING)
    if found is None:
        return None
    quote = 2 if source.text[found.at.start - 2 : found.at.start] == '\\"' else 1
    return change(source, Span(found.at.start - quote, found.at.end + quote), "7", {found.text, "7", found.path})


def _scalar_for_list(source: Source, rng: Random) -> Change | None:
    """The first item of a list in brackets instead of the list."""
    part = _part(rng, source, lambda one: _is_flow_list(source, one) and "," not in one.path)
    if part is None:
        return None
    items = [one for one in source.parts if one.path[:-1] == part.path]
    if not items or any(char in source.said(items[0].at) for char in "{["):
        return None
    new = source.said(items[0].at)
    return change(source, part.at, new, {part.name, new.strip("'\""), *_own_words(part)})


def _unit(by: Callable[[str, str, Random], str]) -> Mutator:
    """Another unit for a duration."""

    def mutate(source: Source, rng: Random) -> Change | None:
        wanted = re.compile(r"(\d+)([smhd])")
        part = _part(rng, source, lambda one: wanted.fullmatch(one.scalar or "") is not None)
        if part is None:
            return None
        found = wanted.fullmatch(part.scalar or "")
        assert found is not None
        new = by(found[1], found[2], rng)
        return change(source, _unquoted(source, part.at), new, {part.name, found[0], new})

    return mutate


# --- what is left out


def _dropped(wanted: Wanted) -> Mutator:
    """An entry that is not there."""

    def mutate(source: Source, rng: Random) -> Change | None:
        part = _part(rng, source, lambda one: len(one.path) > 1 and wanted(one))
        return _without(source, part) if part is not None else None

    return mutate


def _without(source: Source, part: Part) -> Change:
    holder = source.by_path.get(part.path[:-1])
    near = [] if holder is None else [holder.at.start if holder.key is None else holder.key.start]
    step = _step_of(source, part)
    if step is not None:
        near.append(step.at.start)
    holders = {one for one in part.path[-2:-1] if isinstance(one, str)}
    return change(source, part.whole, "", {part.name, *holders, *_said_in(source, part)}, near=near)


def _step_of(source: Source, part: Part) -> Part | None:
    """The step that a part stands in."""
    for length in range(len(part.path) - 1, 0, -1):
        found = source.by_path.get(part.path[:length])
        if found is not None and found.is_step:
            return found
    return None


def _said_in(source: Source, part: Part) -> set[str]:
    """What a message may name of an entry: its ids, names and paths."""
    text = source.said(part.at)
    words = {part.scalar} if part.scalar and len(part.scalar) < 60 else set()
    for inner in source.parts:
        if inner.path[: len(part.path)] != part.path:
            continue
        if inner.key_role in (Role.NAME, Role.FIELD, Role.PARAMETER, Role.REFERENCE):
            words.add(inner.name)
        if inner.role in (Role.ID, Role.ACTION, Role.PLAYBOOK, Role.REFERENCE) and inner.scalar:
            words.add(inner.scalar)
    step = _step_of(source, part)
    name = _id_of(source, step) if step is not None else None
    return {word for word in words if word} | paths_in(text) | ({name} if name else set())


def _id_of(source: Source, step: Part) -> str | None:
    found = source.by_path.get((*step.path, "id"))
    return found.scalar if found is not None else None


def _guard(source: Source, rng: Random) -> Change | None:
    """One side of an `and` that is not there."""
    found = choose(rng, ((one, at) for one in regions(source) for at in _joints(source, one)), lambda one: one[0].part)
    if found is None:
        return None
    region, (left, right) = found
    cut = rng.choice([Span(left.start, right.start), Span(left.end, right.end)])
    return change(source, cut, "", paths_in(source.said(cut)) | {region.part.name} | _roots(source.said(cut)))


def _roots(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w+", text)) - {"and", "not", "or", "is", "in"}


def _joints(source: Source, region: Region) -> list[tuple[Span, Span]]:
    """The two sides of each `and` that stands outside all brackets and beside no `or`."""
    text = source.said(region.at)
    depth, cuts = 0, []
    for found in re.finditer(r"""\\"(?:(?!\\").)*\\"|"[^"]*"|'[^']*'|[()\[\]{}]|\band\b|\bor\b|\bif\b""", text):
        word = found[0]
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(word, 0)
        if word in ("or", "if") and depth == 0:
            return []
        if word == "and" and depth == 0:
            cuts.append(found.span())
    edges = [(0, 0), *cuts, (len(text), len(text))]
    start = region.at.start
    sides = [Span(start + edges[i][1], start + edges[i + 1][0]) for i in range(len(edges) - 1)]
    trimmed = [_trimmed(source, side) for side in sides]
    return list(pairwise(trimmed))


def _trimmed(source: Source, span: Span) -> Span:
    text = source.said(span)
    return Span(span.start + len(text) - len(text.lstrip()), span.end - len(text) + len(text.rstrip()))


def _default_filter(source: Source, rng: Random) -> Change | None:
    """A `| default(...)` that is not there."""
    places = []
    for region in regions(source):
        for found in re.finditer(r"\s*\| default\([^()]*\)", source.said(region.at)):
            start = region.at.start
            places.append((region, Span(start + found.start(), start + found.end())))
    chosen = choose(rng, places, lambda one: one[0].part)
    if chosen is None:
        return None
    region, span = chosen
    before = source.text[region.at.start : span.start]
    return change(source, span, "", {"default", region.part.name} | paths_in(before))


# --- what is there twice, or elsewhere


def _doubled_key(source: Source, rng: Random) -> Change | None:
    """A key that is there twice."""
    part = _part(rng, source, lambda one: one.key is not None and (one.flow or _has_own_lines(source, one)))
    if part is None or part.key is None:
        return None
    if part.flow:
        entry = source.text[part.key.start : part.at.end]
        return change(source, Span(part.at.end, part.at.end), f", {entry}", {part.name})
    return _twice(source, part, {part.name})


def _has_own_lines(source: Source, part: Part) -> bool:
    whole = source.said(part.whole)
    return whole.endswith("\n") and not whole.lstrip().startswith("- ")


def _twice(source: Source, part: Part, words: set[str]) -> Change:
    end = part.whole.end
    return change(source, Span(end, end), source.said(part.whole), words, near=[part.at.start])


def _doubled_id(source: Source, rng: Random) -> Change | None:
    """The id of another step."""
    ids = [part for part in source.parts if part.role is Role.ID and part.scalar]
    if len(ids) < 2:
        return None
    first, second = rng.sample(ids, 2)
    return change(source, first.at, str(second.scalar), {str(first.scalar), str(second.scalar)})


def _doubled_step(source: Source, rng: Random) -> Change | None:
    """A step that is there twice."""
    part = _part(rng, source, lambda one: one.is_step and _is_block(source, one))
    return _twice(source, part, _said_in(source, part) | {"id"}) if part is not None else None


def _is_block(source: Source, step: Part) -> bool:
    """Whether a step has lines of its own, so that it can be moved."""
    return (
        not step.flow and source.said(step.whole).lstrip().startswith("- ") and source.said(step.whole).endswith("\n")
    )


def _swapped(source: Source, rng: Random) -> Change | None:
    """Two neighbours, the second before the first."""
    pairs = []
    for step in source.steps():
        after = source.by_path.get((*step.path[:-1], int(step.path[-1]) + 1))
        if after is not None and after.is_step and _is_block(source, step) and _is_block(source, after):
            pairs.append((step, after))
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    both = Span(first.whole.start, second.whole.end)
    between = source.text[first.whole.end : second.whole.start]
    swapped = source.said(second.whole) + between + source.said(first.whole)
    words = _said_in(source, first) | _said_in(source, second)
    return Change(((both, swapped),), frozenset(words), f"swapped {_named(source, first)} and {_named(source, second)}")


def _named(source: Source, step: Part) -> str:
    return f"`{_id_of(source, step) or source.said(step.at).split(chr(10))[0]}`"


def _moved(source: Source, rng: Random) -> Change | None:
    """A step that stands in another list: out of its branch, or into one."""
    steps = [step for step in source.steps() if _is_block(source, step)]
    pairs = [
        (step, other)
        for step in steps
        for other in steps
        if step.path[:-1] != other.path[:-1] and other.path[: len(step.path)] != step.path
    ]
    if not pairs:
        return None
    step, other = rng.choice(pairs)
    text = _indented(source.said(step.whole), _column(source, other) - _column(source, step))
    target = (
        Span(other.whole.end, other.whole.end) if rng.random() < 0.5 else Span(other.whole.start, other.whole.start)
    )
    if step.whole.start < target.start < step.whole.end or _is_only(source, step):
        return None
    told = f"moved {_named(source, step)} beside {_named(source, other)}"
    return Change(((step.whole, ""), (target, text)), frozenset(_said_in(source, step)), told)


def _is_only(source: Source, step: Part) -> bool:
    return source.by_path.get((*step.path[:-1], 1)) is None


def _column(source: Source, part: Part) -> int:
    return part.at.start - source.text.rfind("\n", 0, part.at.start)


def _indented(text: str, by: int) -> str:
    lines = text.splitlines(keepends=True)
    if by >= 0:
        return "".join(" " * by + line if line.strip() else line for line in lines)
    return "".join(line[-by:] if not line[:-by].strip() else line for line in lines)


MUTATORS: Mapping[str, Mutator] = {
    "misspell a key": _keys(Role.KEY),
    "misspell a parameter": _keys(Role.PARAMETER),
    "misspell a name": _either(_keys(Role.NAME), _keys(Role.FIELD)),
    "misspell an action": _either(_values(Role.ACTION), _keys(Role.ACTION)),
    "misspell a playbook": _values(Role.PLAYBOOK),
    "misspell a reference": _either(_values(Role.REFERENCE), _keys(Role.REFERENCE)),
    "misspell an id": _values(Role.ID),
    "misspell a word": _either(_values(Role.WORD), _keys(Role.WORD)),
    "misspell a value": _values(Role.OTHER),
    "misspell a step in an expression": _word(Kind.STEP),
    "misspell a field": _word(Kind.FIELD),
    "misspell the first name of a path": _word(Kind.ROOT),
    "misspell a variable or input": _either(_word(Kind.VARIABLE), _word(Kind.INPUT)),
    "misspell a list": _word(Kind.LIST),
    "misspell a filter": _word(Kind.FILTER),
    "misspell a test": _word(Kind.TEST),
    "misspell a text in an expression": _word(Kind.STRING),
    "number for text": _retyped(lambda old, rng: str(rng.choice([0, 7, 1.5, 100])), _is_text),
    "text for number": _retyped(lambda old, rng: rng.choice([f'"{old}"', "many"]), _is_number),
    "text for boolean": _retyped(lambda old, rng: rng.choice(['"true"', "yes", "no", '"false"']), _is_truth),
    "list for scalar": _retyped(lambda old, rng: f"[{old}]", lambda part: part.scalar is not None),
    "mapping for scalar": _retyped(lambda old, rng: f"{{value: {old}}}", lambda part: part.scalar is not None),
    "nothing for a value": _retyped(lambda old, rng: "null", lambda part: True),
    "scalar for list": _scalar_for_list,
    "number in quotes in an expression": _number_in_quotes,
    "text as number in an expression": _string_as_number,
    "a duration without unit": _unit(lambda count, unit, rng: count),
    "a duration with an unknown unit": _unit(lambda count, unit, rng: count + rng.choice(["x", "hr", "min", "w", "M"])),
    "a duration with another unit": _unit(lambda count, unit, rng: count + rng.choice("smhd".replace(unit, ""))),
    "drop a key": _dropped(lambda part: part.key is not None and part.key_role is Role.KEY),
    "drop a name": _dropped(lambda part: part.key_role in (Role.NAME, Role.FIELD, Role.REFERENCE)),
    "drop a parameter": _dropped(lambda part: part.key_role is Role.PARAMETER),
    "drop a default": _dropped(lambda part: part.name == "default"),
    "drop a condition": _dropped(lambda part: part.path[-1] in ("when", "unless", "match", "auto")),
    "drop a step": _dropped(lambda part: part.is_step),
    "drop a guard in an expression": _guard,
    "drop a default in an expression": _default_filter,
    "double a key": _doubled_key,
    "double an id": _doubled_id,
    "double a step": _doubled_step,
    "swap two steps": _swapped,
    "move a step": _moved,
}


def mutate(name: str, source: Source, rng: Random) -> Mutation | None:
    """The playbook with a mistake of this kind; nothing where it has no place for one."""
    made = MUTATORS[name](source, rng)
    if made is None:
        return None
    mutation = applied(name, source, made)
    return mutation if mutation.text != source.text else None
