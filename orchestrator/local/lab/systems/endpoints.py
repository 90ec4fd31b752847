"""The agents on machines: cut one off, see what runs, end it, take files away or copies of them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestrator.local.lab.systems.system import Answer, Request, Route, Row, World, having, nothing

WEB_SHELL = b"<?php /* harmless: it stands for a web shell */ echo 'lab'; ?>\n"
MALWARE = b"harmless: these bytes stand for malware of the lab\n"
SHELL_PATH = "/var/www/html/uploads/avatar.php"
MALWARE_PATH = r"C:\Users\bob\AppData\Roaming\updater.exe"
MACHINES = ("ws-1", "ws-2", "web-1", "db-1")


class Endpoints:
    """Machines with processes and files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.machines: dict[str, Row] = {
            name: {"id": f"agent-{number}", "host": name, "isolated": False, "reason": "", "processes": [], "files": {}}
            for number, name in enumerate(MACHINES, 1)
        }
        self.kills: list[Row] = []
        self.collections: list[Row] = []
        for host, fact in _running(world):
            self.machines[host]["processes"].append(fact)
        self._put("web-1", SHELL_PATH, WEB_SHELL)
        self._put("ws-2", MALWARE_PATH, MALWARE)

    def routes(self) -> Iterable[Route]:
        """A machine, its processes and files, and the copies that were taken."""
        one = "/endpoints/{id}"
        return (
            Route("GET", one, "endpoint", self.endpoint),
            Route("PUT", one, "set_endpoint", self.set_endpoint),
            Route("GET", one + "/processes", "processes", self.processes),
            Route("POST", one + "/kills", "kill", self.kill),
            Route("GET", one + "/kills", "kills", self.killed),
            Route("POST", one + "/collections", "collect", self.collect),
            Route("GET", one + "/collections", "collections", self.collected),
            Route("GET", one + "/files", "file", self.file),
            Route("PUT", one + "/files", "set_file", self.set_file),
            Route("GET", "/files/{id}", "bytes", self.content),
        )

    def shown(self) -> dict[str, list[Row]]:
        """The machines with what was done on them."""
        return {"endpoints": [self._shown(name) for name in self.machines]}

    def happens(self, kind: str, fact: Row) -> bool:
        """A machine is added, a process starts, a file is written."""
        host = fact.get("host", "")
        if kind == "endpoint":
            number = len(self.machines) + 1
            new = {"id": f"agent-{number}", "isolated": False, "reason": "", "processes": [], "files": {}, **fact}
            self.machines.setdefault(host, new)
        elif kind == "process":
            self.machines[host]["processes"].append({name: value for name, value in fact.items() if name != "host"})
        elif kind == "file":
            self._put(host, fact["path"], fact["content"].encode())
        return kind in ("endpoint", "process", "file")

    def endpoint(self, request: Request) -> Answer:
        """A machine as it is."""
        return (200, self._shown(request.id)) if request.id in self.machines else nothing("machine")

    def set_endpoint(self, request: Request) -> Answer:
        """Cut a machine off, or let it talk."""
        if request.id not in self.machines:
            return nothing("machine")
        self.machines[request.id].update(isolated=bool(request.body["isolated"]), reason=request.body.get("reason", ""))
        return 200, self._shown(request.id)

    def processes(self, request: Request) -> Answer:
        """What runs on a machine."""
        found = self.machines.get(request.id)
        return (200, found["processes"]) if found else nothing("machine")

    def kill(self, request: Request) -> Answer:
        """End the process with this number, if it is the one that started then."""
        running = self.machines.get(request.id, {}).get("processes", [])
        started = request.body.get("started")
        for process in running:
            if process["pid"] == request.body["pid"] and started in (None, process["started"]):
                running.remove(process)
                made = request.made("kill", host=request.id, pid=process["pid"], name=process["name"])
                self.kills.append(made)
                return 201, made
        return nothing("process")

    def killed(self, request: Request) -> Answer:
        """The processes that were ended."""
        return 200, having(self.kills, {"host": request.id, **request.query})

    def collect(self, request: Request) -> Answer:
        """Copy a file, or the memory of a process or of all of them."""
        machine = self.machines.get(request.id)
        if machine is None:
            return nothing("machine")
        copy = self._copy(request.id, machine, request.body)
        if copy is None:
            return nothing("file" if "path" in request.body else "process")
        made = request.made("collection", host=request.id, file=copy)
        self.collections.append(made)
        return 201, made

    def collected(self, request: Request) -> Answer:
        """The copies that were taken."""
        return 200, having(self.collections, {"host": request.id, **request.query})

    def file(self, request: Request) -> Answer:
        """Whether a file is in quarantine."""
        found = self.machines.get(request.id, {}).get("files", {}).get(request.query.get("path"))
        return (200, found) if found else nothing("file")

    def set_file(self, request: Request) -> Answer:
        """Put a file into quarantine, or back."""
        found = self.machines.get(request.id, {}).get("files", {}).get(request.body["path"])
        if found is None:
            return nothing("file")
        found["quarantined"] = bool(request.body["quarantined"])
        return 200, found

    def content(self, request: Request) -> Answer:
        """The bytes of a file that the lab gave out."""
        found = self._world.files.get(request.id)
        return (200, found) if found is not None else nothing("file")

    def _put(self, host: str, path: str, content: bytes) -> None:
        kept = self._world.keep(content, path.replace("\\", "/").rpartition("/")[2])
        self.machines[host]["files"][path] = {**kept, "path": path, "quarantined": False}

    def _copy(self, host: str, machine: Row, wanted: Row) -> Row | None:
        """What is said of the copy; the lab's picture of memory is the list of what runs."""
        if "path" in wanted:
            found = machine["files"].get(wanted["path"])
            return {name: found[name] for name in ("sha256", "name", "size", "media_type")} if found else None
        pid = wanted.get("pid")
        seen = [one for one in machine["processes"] if pid in (None, one["pid"])]
        if pid is not None and not seen:
            return None
        return self._world.keep(json.dumps(seen, sort_keys=True).encode(), f"{host}-memory.raw")

    def _shown(self, name: str) -> Row:
        machine = self.machines[name]
        return {
            "id": machine["id"], "host": name, "isolated": machine["isolated"], "reason": machine["reason"],
            "processes": len(machine["processes"]),
            "quarantined": [one["path"] for one in machine["files"].values() if one["quarantined"]],
            "killed": [one["name"] for one in self.kills if one["host"] == name],
            "collected": [one["file"]["name"] for one in self.collections if one["host"] == name],
        }  # fmt: skip


def _running(world: World) -> Iterable[tuple[str, Row]]:
    """Work as always; on ws-2 something deletes the copies of all files, on web-1 the web server starts a shell."""

    def one(host: str, pid: int, parent: int, user: str, line: str, minutes: float = 9_000) -> tuple[str, Row]:
        path = line.split(" ", maxsplit=1)[0]
        return host, {
            "pid": pid, "name": path.replace("\\", "/").rpartition("/")[2], "parent": parent, "path": path,
            "command_line": line, "user": user, "started": world.ago(minutes),
        }  # fmt: skip

    yield from (one(host, 4, 0, "system", r"C:\Windows\explorer.exe") for host in ("ws-1", "ws-2"))
    yield one("ws-2", 4711, 4, "bob", MALWARE_PATH, 12)
    yield one("ws-2", 4712, 4711, "bob", r"C:\Windows\System32\vssadmin.exe delete shadows /all /quiet", 11)
    yield one("web-1", 800, 1, "www-data", "/usr/sbin/apache2 -k start")
    yield one("web-1", 2301, 800, "www-data", "/bin/sh -c id", 6)
    yield one("db-1", 700, 1, "postgres", "/usr/lib/postgresql/bin/postgres")
