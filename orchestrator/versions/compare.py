"""What changed from one version of a playbook to the next: step by step, key by key. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any, Literal

DATA = frozenset(
    {"with", "given", "alert", "expect", "answers", "inputs", "outputs", "set", "fields", "lists", "joins"}
)
"""keys below which nothing is a step, whatever it looks like"""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was. `part` is the step or test it belongs to, or a sub-playbook; empty for
    the playbook itself.

    `key` is the path inside the part, empty where the whole part came, went or moved; `place` says where one that came
    stands.
    """

    kind: Literal["added", "removed", "changed", "moved"]
    part: str
    key: str = ""
    old: Any = None
    new: Any = None
    place: str = ""


@dataclass(frozen=True)
class Named:
    """Stands for a step or test in the list that holds it, and is its name as text."""

    part: str

    def __str__(self) -> str:
        return self.part.partition(" ")[2]


def spelled(value: Any) -> Any:
    """A value with the steps in it by their names."""
    if isinstance(value, dict):
        return {key: spelled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [spelled(one) for one in value]
    return str(value) if isinstance(value, Named) else value


@dataclass
class _Parts:
    """A document taken apart: each step and test by its name, without those inside it, and the order of each list."""

    own: dict[str, Any] = field(default_factory=dict)
    home: dict[str, tuple[str, str]] = field(default_factory=dict)
    lists: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def after(self, part: str) -> str:
        """Where a part stands in its list, in words."""
        home = self.home[part]
        order = self.lists[home]
        place = order.index(part)
        where = f"after `{Named(order[place - 1])}`" if place else "first"
        inside = ".".join(str(one) for one in (Named(home[0]), home[1]) if str(one))
        return where if inside in ("steps", "tests") else f"{where} in {inside}"


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """Every difference: of the playbook itself, of steps and tests in both, then what went, came and moved."""
    before, after = _taken_apart(old), _taken_apart(new)
    common = [part for part in before.own if part in after.own]
    found = [one for part in common for one in _compared(part, "", before.own[part], after.own[part])]
    found += [Difference("removed", part, old=own) for part, own in before.own.items() if part not in after.own]
    found += [
        Difference("added", part, new=own, place=after.after(part))
        for part, own in after.own.items()
        if part not in before.own
    ]
    found += [
        Difference("moved", part, old=before.after(part), new=after.after(part)) for part in _moved(before, after)
    ]
    return [replace(one, old=spelled(one.old), new=spelled(one.new)) for one in found]


def compare_called(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """The sub-playbooks of which both call another version: that alone makes another version of the caller."""
    common = [name for name in old if name in new and old[name] != new[name]]
    return [Difference("changed", f"playbook {name}") for name in sorted(common)]


def _taken_apart(document: dict[str, Any]) -> _Parts:
    parts = _Parts()

    def strip(value: Any, part: str, path: str, *, data: bool) -> Any:
        if isinstance(value, dict):
            return {
                key: strip(inner, part, f"{path}.{key}".lstrip("."), data=data or _is_data(key, inner))
                for key, inner in value.items()
            }
        if isinstance(value, list) and not data:
            return [take(one, part, path) for one in value]
        return value

    def take(one: Any, part: str, path: str) -> Any:
        name = _name_of(one, path)
        if name is None or name in parts.own:
            return strip(one, part, path, data=False)
        parts.own[name] = {}  # its place comes before the places of what is inside it
        parts.home[name] = (part, path)
        parts.lists.setdefault((part, path), []).append(name)
        parts.own[name] = strip(one, name, "", data=name.startswith("test "))
        return Named(name)

    parts.own[""] = {}
    parts.own[""] = strip(document, "", "", data=False)
    return parts


def _is_data(key: str, value: Any) -> bool:
    # `default` is a step's output, or the steps of a `switch`
    return key in DATA or (key == "default" and isinstance(value, dict))


def _name_of(one: Any, path: str) -> str | None:
    if not isinstance(one, dict):
        return None
    if path == "tests":
        return f"test {one['name']}" if isinstance(one.get("name"), str) else None
    return f"step {one['id']}" if isinstance(one.get("id"), str) else None


def _compared(part: str, key: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (*old, *(one for one in new if one not in old)):
            inner = f"{key}.{name}".lstrip(".")
            if name not in new:
                yield from _gone(part, inner, old[name])
            elif name not in old:
                yield from _come(part, inner, new[name])
            else:
                yield from _compared(part, inner, old[name], new[name])
    elif _holds_parts(old) and _holds_parts(new):
        yield from _compared_lists(part, key, old, new)
    elif old != new:
        yield Difference("changed", part, key, old, new)


def _gone(part: str, key: str, old: Any) -> Iterator[Difference]:
    if not _only_named(old):
        yield Difference("removed", part, key, old=old)


def _come(part: str, key: str, new: Any) -> Iterator[Difference]:
    if not _only_named(new):
        yield Difference("added", part, key, new=new)


def _compared_lists(part: str, key: str, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    """Steps without an id, by their place; those with one are compared by it wherever they stand."""
    was_all, now_all = ([one for one in items if not isinstance(one, Named)] for items in (old, new))
    matcher = SequenceMatcher(None, [repr(one) for one in was_all], [repr(one) for one in now_all], autojunk=False)
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        was, now = was_all[a:a_end], now_all[b:b_end]
        both = min(len(was), len(now))
        for mine, other in zip(was[:both], now[:both], strict=True):
            yield from _compared(part, f"{key}[{new.index(other)}]", mine, other)
        for one in was[both:]:
            yield from _gone(part, f"{key}[{old.index(one)}]", one)
        for one in now[both:]:
            yield from _come(part, f"{key}[{new.index(one)}]", one)


def _holds_parts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict | Named) for one in value)


def _only_named(value: Any) -> bool:
    """Whether there is nothing to say of it but of the steps in it, each of which is told by itself."""
    if isinstance(value, dict):
        return bool(value) and all(_only_named(one) for one in value.values())
    return isinstance(value, Named) or (isinstance(value, list) and bool(value) and all(map(_only_named, value)))


def _moved(before: _Parts, after: _Parts) -> list[str]:
    """Parts that stand in another list, or in another order beside those that are in both."""
    moved = [part for part, home in after.home.items() if part in before.home and before.home[part] != home]
    for home, order in after.lists.items():
        stayed = [one for one in before.lists.get(home, ()) if after.home.get(one) == home]
        now = [one for one in order if before.home.get(one) == home]
        blocks = SequenceMatcher(None, stayed, now, autojunk=False).get_matching_blocks()
        still = {one for block in blocks for one in now[block.b : block.b + block.size]}
        moved += [one for one in now if one not in still]
    return moved
