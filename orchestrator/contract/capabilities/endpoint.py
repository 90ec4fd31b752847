"""Keep a machine from talking, see what runs on it, end a process, take a file away or a copy of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import AccountName, FileHash, FileRef, HostName

Path = Annotated[str, Field(min_length=1, max_length=4_096)]
Pid = Annotated[int, Field(ge=0)]


class Isolation(Parameters):
    """Which machine, and the words that the product keeps beside it."""

    host: HostName
    reason: str = ""


class Machine(Parameters):
    """Which machine."""

    host: HostName


class RunningProcess(Parameters):
    """Which process. A number is given again to another one: say when it started, and no other is hit."""

    host: HostName
    pid: Pid
    started: datetime | None = None


class Memory(Parameters):
    """Whose memory: of one process, or of the whole machine."""

    host: HostName
    pid: Pid | None = None


class FileOnMachine(Parameters):
    """Which file."""

    host: HostName
    path: Path


class IsolationState(Result):
    """Whether the machine is cut off from all but its console; `id` is the product's own name of the machine."""

    host: HostName
    isolated: bool
    id: str | None = None


class Process(Result):
    """A process. `sha256` is of the file that it runs."""

    pid: Pid
    name: str
    started: datetime | None = None
    parent: Pid | None = None
    path: str | None = None
    command_line: Annotated[str, Field(max_length=2_048)] | None = None
    user: AccountName | None = None
    sha256: FileHash | None = None


class ProcessList(Result):
    """What runs; `truncated` where there was more."""

    host: HostName
    processes: Annotated[tuple[Process, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


class ProcessEnded(Result):
    """The process ended."""

    host: HostName
    pid: Pid


class Collected(Result):
    """A copy, kept where the product keeps such things."""

    host: HostName
    file: FileRef


class FileState(Result):
    """Whether the file was put where nothing can run or read it."""

    host: HostName
    path: Path
    quarantined: bool
    sha256: FileHash | None = None


isolate = Capability(
    "endpoint.isolate", Isolation, IsolationState, Effect.REVERSIBLE, "Cut a machine off from all but its console.",
    target="host", inverse="endpoint.release", state="endpoint.isolation_state", d3fend="D3-NI",
)  # fmt: skip
release = Capability(
    "endpoint.release", Machine, IsolationState, Effect.REVERSIBLE, "Let a machine talk again.",
    target="host", inverse="endpoint.isolate", state="endpoint.isolation_state", d3fend="D3-RNA",
)  # fmt: skip
isolation_state = Capability(
    "endpoint.isolation_state", Machine, IsolationState, Effect.READ, "Whether a machine is cut off now.",
    target="host",
)  # fmt: skip
list_processes = Capability(
    "endpoint.list_processes", Machine, ProcessList, Effect.READ, "What runs on a machine.", target="host"
)
kill_process = Capability(
    "endpoint.kill_process", RunningProcess, ProcessEnded, Effect.IRREVERSIBLE, "End a process.",
    target="host", parts=("pid", "started"), d3fend="D3-PT",
)  # fmt: skip
# additive: a copy is made, and nothing is taken from anybody
collect_memory = Capability(
    "endpoint.collect_memory", Memory, Collected, Effect.ADDITIVE, "Take a copy of the memory of a machine or process.",
    target="host", parts=("pid",),
)  # fmt: skip
collect_file = Capability(
    "endpoint.collect_file", FileOnMachine, Collected, Effect.ADDITIVE, "Take a copy of a file.",
    target="host", parts=("path",),
)  # fmt: skip
quarantine_file = Capability(
    "endpoint.quarantine_file", FileOnMachine, FileState, Effect.REVERSIBLE, "Put a file where nothing can run it.",
    target="host", parts=("path",), inverse="endpoint.restore_file", state="endpoint.file_state", d3fend="D3-CQ",
)  # fmt: skip
restore_file = Capability(
    "endpoint.restore_file", FileOnMachine, FileState, Effect.REVERSIBLE, "Put a file back where it was.",
    target="host", parts=("path",), inverse="endpoint.quarantine_file", state="endpoint.file_state", d3fend="D3-RF",
)  # fmt: skip
file_state = Capability(
    "endpoint.file_state", FileOnMachine, FileState, Effect.READ, "Whether a file is in quarantine.",
    target="host", parts=("path",),
)  # fmt: skip
