"""Real worker processes, and what their counters say."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.polling import polled
from meter.local.child import Child, Command
from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.stack import Stack

_ROOT = Path(__file__).resolve().parents[1]
_METER_WORKER = ("-m", "meter", "worker")
#: How often a starting process is asked whether it is ready.
_READY_POLL_SECONDS = 0.05
_READY_DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that was started.

    Attributes:
        pid: of the process itself.
        url: of its health and metrics.
    """

    pid: int
    url: str


@asynccontextmanager
async def running_workers(
    stack: Stack, dsn: str, count: int = 1, arguments: Sequence[str] = _METER_WORKER
) -> AsyncIterator[list[Worker]]:
    """Run workers, at the same time, with the settings they have by themselves.

    Args:
        stack: the servers.
        dsn: the database to settle into.
        count: how many.
        arguments: of Python.

    Raises:
        TimeoutError: as raised inside, with what the workers said.
    """
    names = [f"worker-{number}" for number in range(1, count + 1)]
    port_book = PortBook(stack.folder / "worker-ports.json")
    ports = port_book.assign(names)
    children = [_child(stack, dsn, name, ports[name], arguments) for name in names]
    try:
        await asyncio.gather(*(child.start() for child in children))
        yield [
            Worker(child.pid or 0, f"http://{LOOPBACK}:{ports[name]}")
            for child, name in zip(children, names, strict=True)
        ]
    except TimeoutError as error:
        said = "; ".join(filter(None, (child.complaint() for child in children)))
        raise TimeoutError(f"the worker did not do it in time; it said: {said}") from error
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def ready(url: str) -> None:
    """Wait until a process says that it is ready.

    Raises:
        TimeoutError: it took longer than any start may.
    """
    async with asyncio.timeout(_READY_DEADLINE_SECONDS), httpx.AsyncClient() as client:

        async def status() -> int:
            try:
                return (await client.get(f"{url}/readyz")).status_code
            except httpx.TransportError:
                return 0

        await polled(status, lambda code: code == httpx.codes.OK, _READY_POLL_SECONDS)


async def outcomes_of(client: httpx.AsyncClient, worker: Worker) -> dict[str, int]:
    """Ask a worker how many events it settled, by outcome."""
    text = (await client.get(f"{worker.url}/metrics")).raise_for_status().text
    return {
        sample.labels["outcome"]: int(sample.value)
        for family in text_string_to_metric_families(text)
        if family.name == "meter_events"
        for sample in family.samples
        if sample.name == "meter_events_total"
    }


def meter_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a process of meter: ours, without settings of whoever measures."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("METER_")}
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return inherited | {"PYTHONPATH": path, "METER_LOG_LEVEL": "warning"} | settings


def _child(stack: Stack, dsn: str, name: str, port: int, arguments: Sequence[str]) -> Child:
    environment = meter_environment(
        METER_DATABASE_URL=dsn, METER_AMQP_URL=stack.amqp_url, METER_WORKER_PORT=str(port)
    )
    return Child(
        Command(
            name=name,
            folder=stack.folder,
            arguments=[sys.executable, *arguments],
            environment=environment,
        )
    )
