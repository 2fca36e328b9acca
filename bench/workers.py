"""Real worker processes, and what their counters say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.polling import polled
from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.programs import Program
    from bench.stack import Stack

_METER_WORKER = ("meter", "worker")
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
    stack: Stack, dsn: str, count: int = 1, module: Sequence[str] = _METER_WORKER
) -> AsyncIterator[list[Worker]]:
    """Run workers, at the same time, with the settings they have by themselves.

    Args:
        stack: the servers.
        dsn: the database to settle into.
        count: how many.
        module: what is run, and its arguments.

    Raises:
        TimeoutError: as raised inside, with what the workers said.
    """
    names = [f"worker-{number}" for number in range(1, count + 1)]
    port_book = PortBook(stack.folder / "worker-ports.json")
    ports = port_book.assign(names)
    programs = [_program(stack, dsn, name, ports[name], module) for name in names]
    try:
        await asyncio.gather(*(program.start() for program in programs))
        yield [
            Worker(program.pid or 0, f"http://{LOOPBACK}:{ports[name]}")
            for program, name in zip(programs, names, strict=True)
        ]
    except TimeoutError as error:
        said = "; ".join(filter(None, (program.complaint() for program in programs)))
        raise TimeoutError(f"the worker did not do it in time; it said: {said}") from error
    finally:
        await asyncio.gather(*(program.stop() for program in programs))


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


def _program(stack: Stack, dsn: str, name: str, port: int, module: Sequence[str]) -> Program:
    settings = {
        "METER_DATABASE_URL": dsn,
        "METER_AMQP_URL": stack.amqp_url,
        "METER_WORKER_PORT": str(port),
    }
    return stack.programs.program(name, module, settings)
