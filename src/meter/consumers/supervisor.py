"""Keeps a session with the broker going: whatever breaks, all of it is dropped and built anew."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiormq.exceptions import AMQPError, ChannelInvalidStateError

from meter.amqp import BrokerLost
from meter.backoff import Backoff
from meter.consumers.session import HeldForTooLong, open_session
from meter.consumers.topology import USAGE_QUEUE
from meter.errors import MeterError
from meter.telemetry import first_line, get_logger

if TYPE_CHECKING:
    from meter.consumers.database_state import DatabaseState
    from meter.consumers.metrics import WorkerMetrics
    from meter.consumers.poison import Settling
    from meter.consumers.session import Session
    from meter.nodes import Nodes
    from meter.settings import Settings

#: A session that lasted so long, in seconds, was a good one: the next attempt follows at once. As long as the
#: longest wait, so that nobody connects more often for it.
_STEADY_S = 5.0

#: How a broker that goes away shows; anything else is a bug and deserves its traceback.
_EXPECTED = (MeterError, AMQPError, ChannelInvalidStateError, OSError, TimeoutError, asyncio.CancelledError)

log = get_logger(__name__)


class Supervisor:
    """Owns the session with the broker."""

    def __init__(
        self,
        nodes: Nodes,
        settings: Settings,
        settlement: Settling,
        database: DatabaseState,
        metrics: WorkerMetrics,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            nodes: of the broker.
            settings: bounds and sizes.
            settlement: settles batches, patiently, and suspects alone; it outlives sessions.
            database: whether it settles; while it does not, nothing new is consumed.
            metrics: of the worker.
        """
        self._nodes = nodes
        self._settings = settings
        self._settlement = settlement
        self._database = database
        self._metrics = metrics
        self._session: Session | None = None
        self._trouble: str | None = "not connected to the broker yet"
        #: What was logged since usage was consumed last: each node may fail in its own way, again and again.
        self._said: set[str] = set()
        metrics.watch_holdings(
            lambda: self._session.settler.held_events if self._session else 0,
            lambda: self._session.consumption.allowance.held_bytes if self._session else 0,
        )

    @property
    def trouble(self) -> str | None:
        """Why nothing is consumed, or dead letters are not written; None when all is well."""
        if self._session is not None and self._session.trouble is not None:
            return self._session.trouble
        return self._trouble

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until told to stop; returns when what was held is settled.

        Args:
            stop: set when nothing more is to be consumed.
        """
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        while not stop.is_set():
            await self._settlement.until_it_may_settle(stop)
            began = loop.time()
            try:
                await self._one_session(stop)
            except Exception as error:  # noqa: BLE001 - whatever breaks a session, the worker goes on
                self._lost(error)
            if loop.time() - began > _STEADY_S:
                backoff.reset()
                self._nodes.reached()
            self._nodes.failed()
            if not stop.is_set():
                # Another node may be well: it is only spared that everyone comes in one moment.
                waits = backoff if self._nodes.all_failed else Backoff()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), waits.next_seconds())

    async def _one_session(self, stop: asyncio.Event) -> None:
        node = self._nodes.next()
        async with open_session(
            node, self._settings, self._settlement, self._database, self._metrics
        ) as session:
            self._session = session
            try:
                await session.start()
                self._trouble = None
                self._said.clear()
                log.info("consuming", queue=USAGE_QUEUE, broker=node.place)
                await session.run(stop)
                self._trouble = "stopped"
            finally:
                self._session = None

    def _lost(self, error: Exception) -> None:
        cause = _first_cause(error)
        if isinstance(cause, HeldForTooLong):
            log.warning("gave back what was held, not consuming", reason=first_line(cause))
            self._trouble = f"not consuming: {first_line(cause)}"
            return
        trouble = f"not consuming: {type(cause).__name__}: {first_line(cause)}"
        if self._trouble is None:
            self._metrics.reconnects.inc()
        if trouble not in self._said:
            self._said.add(trouble)
            expected = isinstance(cause, _EXPECTED)
            log.warning(
                "not consuming, connecting anew",
                error=type(cause).__name__,
                error_text=first_line(cause),
                exc_info=None if expected else cause,
            )
        self._trouble = trouble


def _first_cause(error: BaseException) -> BaseException:
    """Of all that failed with a session, the one that says most: what the broker said, else the first."""
    while isinstance(error, BaseExceptionGroup):
        lost = [inner for inner in error.exceptions if isinstance(inner, BrokerLost)]
        error = (lost or error.exceptions)[0]
    return error.__cause__ if isinstance(error, BrokerLost) and error.__cause__ is not None else error
