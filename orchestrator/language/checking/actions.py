"""Actions: known, their parameters there and of the right type, their effect bounded, approved or taken on oneself."""

from __future__ import annotations

from collections.abc import Mapping
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
from orchestrator.language.outputs import all_routes_of
from orchestrator.language.wording import said as said_of_value
from orchestrator.language.wording import told
from orchestrator.language.yaml_reader import Path

if TYPE_CHECKING:
    from orchestrator.language.checking.walk import Checker


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
            literal(check, (*path, name), value, annotated(fields[name]))
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
        return
    mismatch = unfit(wanted, check.tree(path, value, around), rendered=True)
    if mismatch is not None:
        check.say(path, "type", f"`{path[-1]}`: {mismatch.reason}", mismatch.hint)


def literal(check: Checker, path: Path, value: Any, annotation: Any, code: str = "parameter") -> None:
    """A literal fits the type that is wanted."""
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        for where, message, hint in told(error, value, path):
            check.say(where, code, message, hint)


def annotated(info: FieldInfo) -> Any:
    """The annotation of a field with what narrows it."""
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


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
        literal(check, path, value, annotated(annotation))
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
