"""The worker process: wiring, readiness, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from functools import partial
from typing import TYPE_CHECKING, Literal

import asyncpg

from meter.backoff import Backoff
from meter.consumers.clockwork import keep_time
from meter.consumers.copies import CoalescedSettlement
from meter.consumers.database_state import DatabaseState
from meter.consumers.metrics import WorkerMetrics
from meter.consumers.poison import CautiousSettlement
from meter.consumers.settling import PatientSettlement
from meter.consumers.supervisor import Supervisor
from meter.consumers.watchdog import watchdog
from meter.db.clockwork import Clockwork
from meter.db.migrate import schema_is_current
from meter.db.no_answer import NO_ANSWER
from meter.db.pool import open_pool
from meter.db.settlement import Settlement
from meter.db.suspects import Suspects
from meter.errors import ConfigurationError
from meter.nodes import Nodes
from meter.operations import operations_app, serving
from meter.telemetry import first_line, get_logger, process_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meter.operations import Check
    from meter.settings import Settings

#: Orchestrators kill after 10 s by our contract; the rest is for closing connections.
_DRAIN_S = 7.0
_CLOSE_S = 1.5
_LET_GO_S = 0.5
_LONGEST_WAIT_S = 5.0
#: Beside those that settle: one asks about them, one is asked for readiness, one notes suspects, and three do
#: what is due.
_SPARE_CONNECTIONS = 6

#: Objects made, less those gone again, before Python looks for cycles among the newest. Events by the ten
#: thousand are held, and none is part of a cycle: at Python's own 700 looking took a tenth of the CPU time.
_CYCLE_SEARCH_OBJECTS = 50_000

log = get_logger(__name__)


async def run_worker(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Consume and settle usage until told to stop.

    On SIGTERM or SIGINT nothing more is consumed, what is held is settled and acknowledged, and everything is
    closed, within 10 s; what could not be settled by then stays with the broker.

    Args:
        settings: database, broker, bounds and sizes.
        stop: set by the caller to stop; without it the worker listens for the signals itself.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    gc.set_threshold(_CYCLE_SEARCH_OBJECTS)
    dsn = _required(settings, "database_url")
    nodes = Nodes(_required(settings, "amqp_url"))
    registry = process_registry("worker")
    database = DatabaseState()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(watchdog(settings.hang_timeout_s))
        stopping = stop or stack.enter_context(_stop_on_signals())
        pool = await _open_pool(dsn, settings)
        stack.push_async_callback(_close_pool, pool)
        settlement = CoalescedSettlement(Settlement(pool))
        metrics = WorkerMetrics(registry)
        patient = PatientSettlement(settlement, database)
        cautious = CautiousSettlement(patient, Suspects(pool), database)
        supervisor = Supervisor(nodes, settings, cautious, database, metrics)
        app = operations_app(_checks(pool, database, supervisor), registry)
        port = await stack.enter_async_context(serving(app, settings.worker_host, settings.worker_port))
        log.info("worker started", host=settings.worker_host, port=port)
        await _wait_for_schema(pool, stopping)
        due = asyncio.create_task(keep_time(Clockwork(pool)))
        try:
            await _consume_until_stopped(supervisor, stopping)
        finally:
            due.cancel()
            # What waits for a database that is gone without a word ends with its connection, closed next.
            await asyncio.wait((due,), timeout=_LET_GO_S)
        log.info("worker stopped")


async def _consume_until_stopped(supervisor: Supervisor, stop: asyncio.Event) -> None:
    consuming = asyncio.ensure_future(supervisor.run(stop))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((consuming, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not consuming.done():
            log.info("stopping: settling what is held")
        await asyncio.wait_for(consuming, _DRAIN_S)
    except TimeoutError:
        log.warning("not everything held could be settled in time; the broker delivers it again")
    finally:
        stopped.cancel()
        consuming.cancel()
        await asyncio.gather(consuming, stopped, return_exceptions=True)


async def _wait_for_schema(pool: asyncpg.Pool, stop: asyncio.Event) -> None:
    """Wait until the database can be used: an old schema would refuse every batch."""
    backoff = Backoff(longest=_LONGEST_WAIT_S)
    said: str | None = None
    while not stop.is_set():
        trouble = await _schema_trouble(pool)
        if trouble is None:
            return
        if trouble != said:
            log.warning("waiting for the database", reason=trouble)
            said = trouble
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), backoff.next_seconds())


def _checks(pool: asyncpg.Pool, database: DatabaseState, supervisor: Supervisor) -> dict[str, Check]:
    async def consuming() -> str | None:
        return supervisor.trouble

    async def reachable() -> str | None:
        return database.trouble

    async def schema() -> str | None:
        return await _schema_trouble(pool)

    return {"consuming": consuming, "database": reachable, "schema": schema}


async def _schema_trouble(pool: asyncpg.Pool) -> str | None:
    try:
        current = await schema_is_current(pool)
    except asyncpg.InvalidParameterValueError:
        # The connection asks for meter's role, which the first migration makes.
        current = False
    except (asyncpg.PostgresError, *NO_ANSWER) as error:
        return f"the database does not answer: {type(error).__name__}: {first_line(error)}"
    return None if current else "the schema is not that of this version; run: meter migrate"


async def _open_pool(dsn: Callable[[], str], settings: Settings) -> asyncpg.Pool:
    try:
        return await open_pool(
            dsn,
            "meter_worker",
            max_connections=settings.settle_connections + _SPARE_CONNECTIONS,
            command_timeout_s=settings.settle_timeout_s,
        )
    except ValueError as error:
        raise ConfigurationError(f"METER_DATABASE_URL cannot be used: {first_line(error)}") from None


async def _close_pool(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _required(settings: Settings, name: Literal["database_url", "amqp_url"]) -> Callable[[], str]:
    """What tells an address anew for every connection."""
    if getattr(settings, name) is None:
        raise ConfigurationError(f"METER_{name.upper()} is not set; a worker needs it")
    return partial(settings.current, name)
