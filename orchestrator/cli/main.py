"""The command `tocsin`."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import version

from cyclopts import App
from rich.text import Text

from orchestrator.cli.console import complain, err
from orchestrator.errors import TocsinError

HELP = """Security alerts in, playbooks run, people asked where people are needed, everything recorded.

Start with `tocsin demo`, which shows the whole of it on this machine. For a site of your own: `tocsin up` starts what
is missing of Kafka, Temporal and Postgres, `tocsin check` reads your playbooks, `tocsin serve` does the work.

Settings come from `tocsin.yaml` (or the file that TOCSIN_SETTINGS names) and from TOCSIN_SECTION__NAME.
"""

COMMANDS = {
    "demo": {"demo": "demo"},
    "stack": {"up": "up", "status": "status", "down": "down"},
    "serve": {"serve": "serve", "intake": "intake", "worker": "worker", "keeper": "keeper"},
    "playbooks": {"check": "check", "test": "run_tests"},
    "author": {"schema": "schema", "graph": "graph", "manual": "manual"},
    "pages": {"pages": "pages"},
    "versions": {"playbooks": "playbooks"},
    "lists": {"lists": "lists"},
    "alerts": {"send": "send", "run": "run", "explain": "explain"},
    "approvals": {"approvals": "approvals", "approve": "approve", "deny": "deny", "answer": "answer"},
    "cancel": {"cancel": "cancel"},
    "containments": {"containments": "containments"},
    "kill": {"kill": "kill"},
    "breakers": {"breakers": "breakers"},
    "policy": {"policy": "policy"},
    "budgets": {"budgets": "budgets"},
    "shadow": {"shadow": "shadow"},
    "audit": {"audit": "audit"},
}
"""what each module holds; it is read when one of its commands is asked for, since all together take seconds"""

app = App(
    name="tocsin",
    help=HELP,
    version=lambda: version("tocsin"),
    version_flags=["--version"],
    error_console=err,
    error_formatter=lambda error: Text(f"{error} See --help.", style="red"),
)
for module, commands in COMMANDS.items():
    for name, function in commands.items():
        app.command(f"orchestrator.cli.{module}:{function}", name=name)


def main() -> None:
    """Run the command; a mistake is one clear message and exit code 2."""
    try:
        _import_commands(sys.argv[1:2])
        app(sys.argv[1:])
    except TocsinError as error:
        complain(str(error))
        sys.exit(2)
    except BrokenPipeError:  # whoever read our output, such as `head`, has read enough
        os._exit(141)
    except OSError as error:
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _import_commands(asked: list[str]) -> None:
    """What the commands need takes a second to import: a Ctrl-C meanwhile ends us at once, without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # who starts us may have it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    every = asked in ([], ["--help"], ["-h"])  # the list says what each command is for
    for name in app if every else asked:
        if name in app:
            app[name]
    signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    main()
