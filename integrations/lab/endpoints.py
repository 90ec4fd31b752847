"""The lab's agents on machines."""

from __future__ import annotations

from typing import Any

from integrations.lab.product import SETTLES, LabCall, cut, get, lab, send
from orchestrator.contract import MANY, Idempotent, Readable
from orchestrator.contract.capabilities import endpoint

HOST = "/endpoints/{name}"


@lab.implements(endpoint.isolate, repeats=Idempotent())
async def isolate(call: LabCall, want: endpoint.Isolation) -> endpoint.IsolationState:
    """Cut the machine off."""
    return shown(await send(call, "PUT", HOST, {"isolated": True, "reason": want.reason}, name=want.host))


@lab.implements(endpoint.release, repeats=Idempotent())
async def release(call: LabCall, which: endpoint.Machine) -> endpoint.IsolationState:
    """Let the machine talk again."""
    return shown(await send(call, "PUT", HOST, {"isolated": False}, name=which.host))


@lab.reads(endpoint.isolation_state)
async def isolation_state(call: LabCall, which: endpoint.Machine) -> endpoint.IsolationState:
    """The machine as it is."""
    return shown(await get(call, HOST, name=which.host))


def shown(found: dict[str, Any]) -> endpoint.IsolationState:
    """What the agent says of its machine."""
    return endpoint.IsolationState(host=found["host"], isolated=found["isolated"], id=found["id"])


@lab.reads(endpoint.list_processes)
async def processes(call: LabCall, which: endpoint.Machine) -> endpoint.ProcessList:
    """What runs on the machine."""
    rows = await get(call, HOST + "/processes", name=which.host)
    return endpoint.ProcessList(host=which.host, processes=rows[:MANY], **cut(rows))


async def find_kill(call: LabCall, which: endpoint.RunningProcess) -> endpoint.ProcessEnded | None:
    """The end that this very call has made: its number may be another process's by now."""
    found = await get(call, HOST + "/kills", {"key": call.key}, name=which.host)
    return endpoint.ProcessEnded(host=which.host, pid=which.pid) if found else None


@lab.implements(endpoint.kill_process, repeats=Readable(find_kill, settles_within=SETTLES))
async def kill(call: LabCall, which: endpoint.RunningProcess) -> endpoint.ProcessEnded:
    """End the process."""
    body = {"pid": which.pid, "started": which.started.isoformat() if which.started else None}
    await send(call, "POST", HOST + "/kills", body, name=which.host)
    return endpoint.ProcessEnded(host=which.host, pid=which.pid)


async def find_copy(call: LabCall, want: endpoint.Memory | endpoint.FileOnMachine) -> endpoint.Collected | None:
    """The copy that this very call has made."""
    found = await get(call, HOST + "/collections", {"key": call.key}, name=want.host)
    return endpoint.Collected(host=want.host, file=found[0]["file"]) if found else None


@lab.implements(endpoint.collect_memory, repeats=Readable(find_copy, settles_within=SETTLES))
async def collect_memory(call: LabCall, want: endpoint.Memory) -> endpoint.Collected:
    """Copy the memory of one process, or of all."""
    made = await send(call, "POST", HOST + "/collections", {"pid": want.pid}, name=want.host)
    return endpoint.Collected(host=want.host, file=made["file"])


@lab.implements(endpoint.collect_file, repeats=Readable(find_copy, settles_within=SETTLES))
async def collect_file(call: LabCall, want: endpoint.FileOnMachine) -> endpoint.Collected:
    """Copy a file."""
    made = await send(call, "POST", HOST + "/collections", {"path": want.path}, name=want.host)
    return endpoint.Collected(host=want.host, file=made["file"])


@lab.implements(endpoint.quarantine_file, repeats=Idempotent())
async def quarantine(call: LabCall, which: endpoint.FileOnMachine) -> endpoint.FileState:
    """Put the file into quarantine."""
    body = {"path": which.path, "quarantined": True}
    return file_shown(which, await send(call, "PUT", HOST + "/files", body, name=which.host))


@lab.implements(endpoint.restore_file, repeats=Idempotent())
async def restore(call: LabCall, which: endpoint.FileOnMachine) -> endpoint.FileState:
    """Put the file back."""
    body = {"path": which.path, "quarantined": False}
    return file_shown(which, await send(call, "PUT", HOST + "/files", body, name=which.host))


@lab.reads(endpoint.file_state)
async def file_state(call: LabCall, which: endpoint.FileOnMachine) -> endpoint.FileState:
    """The file as it is."""
    return file_shown(which, await get(call, HOST + "/files", {"path": which.path}, name=which.host))


def file_shown(which: endpoint.FileOnMachine, found: dict[str, Any]) -> endpoint.FileState:
    """What the agent says of the file."""
    return endpoint.FileState(
        host=which.host, path=which.path, quarantined=found["quarantined"], sha256=found["sha256"]
    )
