"""Every error that Tocsin raises on purpose, in one tree; the type says whether trying again is sensible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class TocsinError(Exception):
    """Something that a person can understand and mend; its text names place, cause and likely fix."""

    retry: bool = False


class SettingsError(TocsinError):
    """The settings or the site's files do not make sense; nothing was started."""


class StackError(TocsinError):
    """A part of the local stack did not come up, or the machine lacks what it needs."""


class Unavailable(TocsinError):
    """Postgres, Kafka or Temporal cannot be reached now; nothing was lost, and trying again is right."""

    retry = True


class Refused(SettingsError, Unavailable):
    """A server does not take us as the settings say; its text names the setting.

    A process that meets this as it starts ends with it. One that runs already waits, since somebody may mend it at the
    server: there it is `Unavailable`.
    """


@dataclass(frozen=True)
class Place:
    """Where in a file something stands; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class FindingLevel(StrEnum):
    """How bad a finding of the checker is: an error keeps the playbook from running, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One mistake in a file that a person wrote: where, which rule, what is wrong, and the likely fix."""

    place: Place
    code: str
    message: str
    hint: str = ""
    level: FindingLevel = FindingLevel.ERROR

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class FilesRefused(TocsinError):
    """Files that people wrote hold mistakes; all of them are listed at once."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(str(finding) for finding in findings))


class DeadLetter(TocsinError):
    """A record from Kafka that can never become an alert or a run; it goes to the dead-letter topic with these words.

    Args:
        reason: one of a small closed set of words, for counting (`not_json`, `too_large`, ...).
        message: what is wrong and where, for a person; carries no text of the record.
    """

    def __init__(self, reason: str, message: str, place: str = "") -> None:
        self.reason = reason
        self.message = message
        self.place = place
        super().__init__(f"{reason} at {place}: {message}" if place else f"{reason}: {message}")


class ExpressionError(TocsinError):
    """An expression could not be parsed, or could not be evaluated.

    Line and column count from 1 in its own text, and are there where they are known.
    """

    def __init__(self, message: str, *, column: int | None = None, line: int | None = None, hint: str = "") -> None:
        self.message = message
        self.column = column
        self.line = line
        self.hint = hint
        super().__init__(message + (f"; {hint}" if hint else ""))


class WrongType(ExpressionError):
    """An expression named a field that does not exist, or gave something a value of a type that it does not take.

    What passed the checker never raises this.
    """


class ValueAbsent(ExpressionError):
    """An expression named a field that has no value; in a condition that is false, in a parameter it is an error."""


class LimitExceeded(ExpressionError):
    """An expression went past the fixed limits of steps, size or depth."""


class FailureKind(StrEnum):
    """Why a step failed; a closed list that `retry.on`, tests and every integration share."""

    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    UNKNOWN_OUTCOME = "unknown_outcome"
    REFUSED_BY_POLICY = "refused_by_policy"
    INVALID = "invalid"

    @property
    def never_retried(self) -> bool:
        """True for the kinds that another attempt cannot mend or could make worse."""
        return self in _NEVER_RETRIED


_NEVER_RETRIED = frozenset(
    {FailureKind.UNAUTHORIZED, FailureKind.UNKNOWN_OUTCOME, FailureKind.REFUSED_BY_POLICY, FailureKind.INVALID}
)


class ActionFailed(TocsinError):
    """An action did not do what it was asked; the class is the failure kind.

    `in_doubt` says whether the target may have done it all the same: only a failure that surely came before sending,
    or that the target itself answered, leaves no doubt.
    """

    kind: FailureKind = FailureKind.REJECTED
    in_doubt: bool = False

    def __init__(self, message: str, *, in_doubt: bool | None = None, retry_after: float | None = None) -> None:
        self.message = message
        self.retry_after = retry_after
        if in_doubt is not None:
            self.in_doubt = in_doubt
        super().__init__(message)


class TimedOut(ActionFailed):
    """No whole answer in time; what happened at the target is unknown."""

    kind = FailureKind.TIMEOUT
    retry = True
    in_doubt = True


class TargetUnavailable(ActionFailed):
    """The target could not be reached, or said that it cannot serve now."""

    kind = FailureKind.UNAVAILABLE
    retry = True


class RateLimited(ActionFailed):
    """The target asked us to slow down; `retry_after` is in seconds."""

    kind = FailureKind.RATE_LIMITED
    retry = True


class Conflict(ActionFailed):
    """The target's state changed under us (a stale version or lock token)."""

    kind = FailureKind.CONFLICT
    retry = True


class NotFound(ActionFailed):
    """The target has no such thing."""

    kind = FailureKind.NOT_FOUND


class Rejected(ActionFailed):
    """The target understood and refused."""

    kind = FailureKind.REJECTED


class Unauthorized(ActionFailed):
    """The target does not accept our credentials, or they lack a right."""

    kind = FailureKind.UNAUTHORIZED


class Forbidden(Unauthorized):
    """The target knows us, and we lack a right; other things it may let us do."""


class SentTooLate(TargetUnavailable):
    """The process was held up past the time that its intent allows for sending; nothing was sent."""


class UnknownOutcome(ActionFailed):
    """The action may or may not have happened, and the target cannot tell; a person decides."""

    kind = FailureKind.UNKNOWN_OUTCOME
    in_doubt = True


class RefusedByPolicy(ActionFailed):
    """A guard rail refused; nothing was sent. `facts` are what the audit keeps of its reason, for machines."""

    kind = FailureKind.REFUSED_BY_POLICY

    def __init__(self, message: str, *, facts: Mapping[str, object] = MappingProxyType({})) -> None:
        self.facts = facts
        super().__init__(message)


class InvalidCall(ActionFailed):
    """The parameters do not fit the capability; nothing was sent."""

    kind = FailureKind.INVALID


FAILURES: dict[FailureKind, type[ActionFailed]] = {
    cls.kind: cls
    for cls in (
        TimedOut, TargetUnavailable, RateLimited, Conflict, NotFound,
        Rejected, Unauthorized, UnknownOutcome, RefusedByPolicy, InvalidCall,
    )
}  # fmt: skip
