"""A real worker as a process of its own, and what tests do around it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import httpx
from aiormq import connect, spec

from meter.consumers import DEAD_QUEUE, USAGE_EXCHANGE, declare_topology
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from aiormq.abc import AbstractChannel, DeliveredMessage

T = TypeVar("T")

#: Whatever is waited for happens within this, in seconds, on the slowest machine we know.
DEADLINE_S = 60.0
_ASK_AGAIN_S = 0.05
#: What a worker process runs.
MAIN = "from meter.cli import main; main()"


class RunningWorker:
    """A worker process, its log lines as they come, and its HTTP side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []
        self.unreadable: list[str] = []
        self._said = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())
        self._client: httpx.AsyncClient | None = None

    async def says(self, event: str, times: int = 1) -> dict[str, object]:
        """Wait for a log line; return it."""

        def found() -> list[dict[str, object]]:
            return [line for line in self.lines if line["event"] == event]

        async with asyncio.timeout(DEADLINE_S), self._said:
            await self._said.wait_for(lambda: len(found()) >= times or self._reading.done())
        assert len(found()) >= times, (
            f"the worker ended without saying {event!r}: {self.lines} {self.unreadable}"
        )
        return found()[times - 1]

    async def get(self, path: str) -> httpx.Response:
        """Ask its HTTP side."""
        if self._client is None:
            port = (await self.says("worker started"))["port"]
            self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")
        return await self._client.get(path)

    async def is_ready(self) -> bool:
        return (await self.get("/readyz")).status_code == 200

    async def metric(self, sample: str) -> float:
        """Read one sample, for instance ``meter_events_total{outcome="charged"}``."""
        for line in (await self.get("/metrics")).text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        raise AssertionError(f"no metric {sample}")

    async def stop(self) -> float:
        """Stop it as an orchestrator does; return how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await self._ended()
        return time.monotonic() - began

    async def kill(self) -> None:
        """Kill it without a warning."""
        self.process.kill()
        await self._ended()

    async def close(self) -> None:
        """Make sure that nothing is left of it."""
        if self.process.returncode is None:
            await self.kill()
        if self._client is not None:
            await self._client.aclose()
        await self._reading

    async def _ended(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._said:
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    self.unreadable.append(line.decode())
                self._said.notify_all()
        async with self._said:
            self._said.notify_all()


@asynccontextmanager
async def running_worker(
    dsn: str,
    amqp_url: str,
    *,
    main: str = MAIN,
    environment: Mapping[str, str] | None = None,
    **settings: object,
) -> AsyncIterator[RunningWorker]:
    """Start a worker; stop it without mercy at the end.

    Args:
        dsn: of a migrated database.
        amqp_url: of a broker whose topology is declared, or whose user may declare it.
        main: the code it runs, where something in it is to be broken first.
        environment: what else it finds there.
        settings: of ``meter.settings``, by name.
    """
    chosen = {"database_url": dsn, "amqp_url": amqp_url, "worker_port": 0, "log_format": "json", **settings}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("METER_")}
    told = {f"METER_{name.upper()}": str(value) for name, value in chosen.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        main,
        "worker",
        env=inherited | dict(environment or {}) | told,
        stderr=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )
    worker = RunningWorker(process)
    try:
        yield worker
    finally:
        await worker.close()


class UsageSide:
    """Publishes raw messages as a service in any language does, and reads the dead letters."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def publish(self, bodies: Iterable[tuple[bytes, str | None]]) -> None:
        """Publish messages with their content types; return when the broker has confirmed all."""
        slots = asyncio.Semaphore(100)

        async def send(body: bytes, content_type: str | None) -> None:
            async with slots:
                await self._channel.basic_publish(
                    body,
                    exchange=USAGE_EXCHANGE,
                    routing_key="acme",
                    properties=spec.Basic.Properties(
                        delivery_mode=2,
                        content_type=content_type,
                        headers={"meter-published-at": time.time_ns() // 1_000},
                    ),
                )

        async with asyncio.TaskGroup() as tasks:
            for body, content_type in bodies:
                tasks.create_task(send(body, content_type))

    async def publish_with(self, properties: spec.Basic.Properties, body: bytes) -> None:
        """Publish one message with properties of the test's own."""
        await self._channel.basic_publish(
            body, exchange=USAGE_EXCHANGE, routing_key="acme", properties=properties
        )

    async def publish_events(self, events: Iterable[bytes]) -> None:
        """Publish events one a message."""
        await self.publish((event, CONTENT_TYPE_EVENT) for event in events)

    async def publish_batch(self, events: Iterable[bytes]) -> None:
        """Publish events in one message."""
        await self.publish([(b"[" + b",".join(events) + b"]", CONTENT_TYPE_BATCH)])

    async def dead_letters(self, count: int) -> list[DeliveredMessage]:
        """Wait for dead letters and take them; there must be no more than so many."""
        await until(lambda: self.ready(DEAD_QUEUE), lambda ready: ready >= count)
        taken = [await self._channel.basic_get(DEAD_QUEUE, no_ack=True) for _ in range(count)]
        assert await self.ready(DEAD_QUEUE) == 0
        return taken

    async def ready(self, queue: str) -> int:
        return (await self._channel.queue_declare(queue, passive=True)).message_count or 0


@asynccontextmanager
async def usage_side(operator_url: str) -> AsyncIterator[UsageSide]:
    """Declare the topology as an operator would, and open the publishing side."""
    async with connect(operator_url) as connection:
        await declare_topology(connection)
        yield UsageSide(await connection.channel())


class Ledger:
    """The database as a test looks at it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def add_organization(self, org_id: str = "acme", credits: int = 1_000_000_000) -> None:
        """An organization with a pool that requires no allocation."""
        await self.connection.execute("select create_organization($1)", org_id)
        await self.connection.execute("select set_pool_terms($1, p_allocation_required => false)", org_id)
        await self.connection.execute("select add_credits_to_pool($1, $2)", org_id, credits)

    async def outcomes(self) -> dict[str, int]:
        """How many events there are, by outcome."""
        rows = await self.connection.fetch(
            "select outcome, count(*) from credit_usage_attribution where entry = 0 group by outcome"
        )
        return {row["outcome"]: row["count"] for row in rows}

    async def settled(self, events: int) -> dict[str, int]:
        """Wait until so many events are in the ledger; there must be no more."""
        outcomes = await until(self.outcomes, lambda outcomes: sum(outcomes.values()) >= events)
        assert sum(outcomes.values()) == events
        return outcomes


@asynccontextmanager
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    """Open the ledger."""
    connection = await asyncpg.connect(dsn)
    try:
        yield Ledger(connection)
    finally:
        await connection.close()


async def until(ask: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
    """Ask again and again until the answer is enough; return it.

    Args:
        ask: looks at what cannot call us: a database, a queue, a metric.
        enough: says whether to stop asking.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not enough(answer := await ask()):
        assert loop.time() < deadline, f"still {answer!r} after {DEADLINE_S:g} s"
        tick = loop.create_future()
        loop.call_later(_ASK_AGAIN_S, tick.set_result, None)
        await tick
    return answer
