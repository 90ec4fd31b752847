"""Actions: known, their parameters there and of the right type, their effect bounded, approved or taken on oneself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from orchestrator.contract import Capability, Effect
from orchestrator.language.checking.around import Around
from orchestrator.language.checking.checker import did_you_mean, is_literal, type_of_literal
from orchestrator.language.expressions.fitting import unfit
from orchestrator.language.expressions.kinds import ABSENT, NONE, Model, Record, Type, as_type
from orchestrator.language.model import ActionStep, Until
from orchestrator.language.never_touch import Named, is_guarded, names_in_parameters, touched
from orchestrator.language.outputs import all_routes_of
from orchestrator.language.wording import said as said_of_value
from orchestrator.language.wording import told
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker

OF_LISTS = frozenset({"list.contains", "list.add", "list.remove"})
"""what asks and writes the site's own lists"""


def action(check: Checker, step: ActionStep, path: Path, around: Around) -> Any:
    """The step, and the type of its output."""
    capability = check.capabilities.get(step.action)
    if capability is None:
        hint = did_you_mean(step.action, check.capabilities)
        check.say((*path, "action"), "unknown_action", f"no action is named `{step.action}`", hint)
        check.tree((*path, "with"), step.with_, around)
        return Any
    _effect(check, step, path, capability)
    _keys(check, step, path, capability)
    parameters(check, (*path, "with"), step.with_, capability.takes.model_fields, around, of=step.action, step=path)
    _targets(check, (*path, "with"), step, capability)
    if step.action in OF_LISTS:
        _site_list(check, (*path, "with"), step, capability)
    if step.action == "history.effects":
        _past(check, (*path, "with", "capability"), step.with_.get("capability"))
    any_of = capability.takes.ANY_OF
    if any_of and not set(any_of) & set(step.with_):
        message = f"`{step.action}` needs at least one of {', '.join(f'`{one}`' for one in any_of)}"
        check.say(path, "missing_parameter", message, "add it below `with:`")
    if isinstance(step.for_, Until):
        check.value((*path, "for", "value"), step.for_.value, around, timedelta)
    return all_routes_of(capability) if step.all_routes else capability.gives


def _effect(check: Checker, step: ActionStep, path: Path, capability: Capability[Any, Any]) -> None:
    ends = step.for_ is not None or step.keep
    if capability.effect is Effect.REVERSIBLE and not ends:
        message = f"`{step.action}` can be undone, and nothing says when"
        check.say((*path, "action"), "no_end", message, "add `for: 24h`, or `keep: true` to leave it")
    if step.for_ is not None and step.keep:
        check.say((*path, "keep"), "needless", "`for` ends the effect and `keep` leaves it", "keep one of them")
    if capability.effect is not Effect.REVERSIBLE and ends:
        word = "for" if step.for_ is not None else "keep"
        check.say((*path, word), "needless", f"`{step.action}` leaves nothing that could be undone", f"remove `{word}`")
    covered = step.id in check.covered
    if capability.effect is Effect.IRREVERSIBLE and not covered and not step.unattended:
        message = f"`{step.action}` cannot be undone and nobody approves it"
        check.say((*path, "action"), "unattended", message, "cover it with an approval, or write `unattended: true`")
    if step.unattended and (covered or capability.effect is not Effect.IRREVERSIBLE):
        why = "an approval covers it" if covered else f"`{step.action}` can be sent without anybody anyhow"
        check.say((*path, "unattended"), "needless", f"`unattended` means nothing here: {why}", "remove it")


def _targets(check: Checker, path: Path, step: ActionStep, capability: Capability[Any, Any]) -> None:
    """No literal names what must never be touched; what is rendered is refused when it is sent."""
    if not is_guarded(capability.effect):
        return
    for name, value in step.with_.items():
        if name in capability.takes.model_fields and is_literal(value):
            found = touched(_named(name, value, capability.takes.model_fields[name]), check.library.never_touch)
            if found is not None:
                check.say((*path, name), "never_touch", str(found), "it is refused at sending too, whoever approves it")


def _site_list(check: Checker, path: Path, step: ActionStep, capability: Capability[Any, Any]) -> None:
    """The list is one of the site's, runs may write it where they want to, and a literal is a value of its type."""
    name, value, site = step.with_.get("list"), step.with_.get("value"), check.library.site
    if site is None or not isinstance(name, str) or not is_literal(name):
        return
    known = site.lists.get(name)
    if known is None:
        message, hint = site.trouble(f"lists.{name}") or ("", "")
        check.say((*path, "list"), "site", message, hint)
        return
    if capability.effect.mutates and not known.writable:
        message = f"`lists.{name}` is not for runs to write"
        check.say((*path, "list"), "site", message, "write `writable: true` in its file, where that is meant")
    if isinstance(value, str) and is_literal(value):
        try:
            known.type.entry(value)
        except ValueError as error:
            check.say((*path, "value"), "parameter", f"`value`: `lists.{name}`: {error}")


def _past(check: Checker, path: Path, verb: Any) -> None:
    """Of a verb that there is not nothing was ever done, and nothing would say so when it runs."""
    if isinstance(verb, str) and is_literal(verb) and verb not in check.capabilities:
        check.say(path, "parameter", f"no action is named `{verb}`", did_you_mean(verb, check.capabilities))


def _named(name: str, value: Any, field: FieldInfo) -> Iterable[Named]:
    try:
        return names_in_parameters({name: _adapter(field).validate_python(value)})
    except ValidationError:
        return ()  # said already


def _keys(check: Checker, step: ActionStep, path: Path, capability: Capability[Any, Any]) -> None:
    if step.verify and (capability.state is None or not capability.effect.mutates):
        message = f"nothing shows the effect of `{step.action}`, so it cannot be verified"
        check.say((*path, "verify"), "needless", message, "remove it")
    if step.all_routes and capability.effect.mutates:
        message = f"`{step.action}` goes to every integration of its route anyhow; `all_routes` is for reads"
        check.say((*path, "all_routes"), "needless", message, "remove it")
    for index, kind in enumerate(step.retry.on if step.retry and step.retry.on else ()):
        if kind.never_retried:
            check.say(
                (*path, "retry", "on", index), "value", f"`{kind}` is never retried: another attempt cannot mend it"
            )


def parameters(
    check: Checker,
    path: Path,
    given: Mapping[str, Any],
    fields: Mapping[str, FieldInfo],
    around: Around,
    *,
    of: str,
    step: Path,
) -> None:
    """Names are known, what is needed is there, and everything is of the right type."""
    for name, value in given.items():
        if name not in fields:
            check.say(
                (*path, name, "@key"), "unknown_parameter", f"`{of}` takes no `{name}`", did_you_mean(name, fields)
            )
            check.tree((*path, name), value, around)
        elif is_literal(value):
            literal(check, (*path, name), value, fields[name])
            check.only_text((*path, name), value, around)
        else:
            _rendered(check, (*path, name), value, fields[name], around)
    for name, info in fields.items():
        if info.is_required() and name not in given:
            check.say(step, "missing_parameter", f"`{of}` needs `{name}`", "add it below `with:`")


def _rendered(check: Checker, path: Path, value: Any, info: FieldInfo, around: Around) -> None:
    """A parameter with templates in it."""
    wanted = as_type(info) if info.is_required() else as_type(info) | NONE
    if isinstance(value, str):
        check.template(path, value, around, wanted)
        if any(getattr(rule, "min_length", 0) for rule in info.metadata):
            check.never_empty(path, value, around)
        return
    mismatch = unfit(wanted, check.tree(path, value, around), rendered=True)
    if mismatch is not None:
        check.say(path, "type", f"`{path[-1]}`: {mismatch.reason}", mismatch.hint)


def literal(check: Checker, path: Path, value: Any, wanted: FieldInfo, code: str = "parameter") -> None:
    """A literal fits the field that it is for."""
    try:
        _adapter(wanted).validate_python(value)
    except ValidationError as error:
        for where, message, hint in told(error, value, path):
            check.say(where, code, message, hint)


_ADAPTERS: dict[int, tuple[FieldInfo, TypeAdapter[Any]]] = {}
"""By field, each kept beside its own: the fields of models are made once, and can be no keys themselves"""


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    known = _ADAPTERS.get(id(field))
    if known is None:
        annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        known = _ADAPTERS[id(field)] = field, TypeAdapter(annotation)
    return known[1]


def with_default(check: Checker, path: Path, output: Any, default: Any) -> Type:
    """The type of an output that may be the author's: fields that the default leaves out may be absent."""
    kind = as_type(output)
    fields = next((_fields(one) for one in kind.kinds if isinstance(one, Model | Record)), None)
    if fields is None:
        return kind | type_of_literal(default)
    if not isinstance(default, dict):
        check.say(path, "parameter", f"the output is an object, and `default:` gives {said_of_value(default)}")
        return kind
    for name, value in default.items():
        if name not in fields:
            hint = did_you_mean(name, fields)
            check.say((*path, name, "@key"), "unknown_parameter", f"the output has no `{name}`", hint)
        else:
            _default(check, (*path, name), value, fields[name])
    return as_type({name: _field_or_default(name, annotation, default) for name, annotation in fields.items()})


def _fields(kind: Model | Record) -> Mapping[str, Any]:
    return kind.cls.model_fields if isinstance(kind, Model) else kind.fields


def _default(check: Checker, path: Path, value: Any, annotation: Any) -> None:
    """A value of a default fits the field that it stands for."""
    if isinstance(annotation, FieldInfo):
        literal(check, path, value, annotation)
        return
    mismatch = unfit(as_type(annotation), type_of_literal(value), rendered=True)
    if mismatch is not None:
        check.say(path, "parameter", f"`{path[-1]}`: {mismatch.reason}", mismatch.hint)


def _field_or_default(name: str, annotation: Any, default: Mapping[str, Any]) -> Type:
    """The type of a field where the output may be the author's."""
    kind = as_type(annotation)
    if isinstance(annotation, FieldInfo):
        return kind if name in default or not annotation.is_required() else kind | ABSENT
    return kind | type_of_literal(default[name]) if name in default else kind | ABSENT
