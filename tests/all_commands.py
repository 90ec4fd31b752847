"""All that any command needs, read once by the server of `tests/command.py`."""

from orchestrator.actions.catalog import scan
from orchestrator.cli.main import app

for name in app:
    app[name]
scan()
