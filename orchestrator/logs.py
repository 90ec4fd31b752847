"""Structured logs: one event a line, its fields beside it, no control characters, no secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from orchestrator.settings import LogSettings

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(0x80, 0xA0), 0x2028, 0x2029)}


def set_up_logs(settings: LogSettings) -> None:
    """Send the logs of this process to stderr: JSON where a machine reads, text where a person does."""
    machine = settings.form == "json" or (settings.form == "auto" and not sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _one_line,
            structlog.processors.JSONRenderer() if machine else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()])
    # an activity that waits for a server is tried again, and says so in a line of ours instead of a traceback each time
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)


class _Libraries(logging.Handler):
    """What libraries say, in the form of our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line: the library's name is the event."""
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        structlog.get_logger().log(record.levelno, record.name, message=record.getMessage(), **fields)


def _one_line(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Text from outside cannot begin a line of its own or move the cursor of whoever reads the log."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = value.translate(_CONTROL)
    return event
