"""The time from one connection to the broker to its loss: everything that lives and dies with it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from meter.amqp import CONNECT_SECONDS, BrokerLost, broker_connection
from meter.consumers.consumption import Consumption, closing_reason
from meter.consumers.dead_letters import DeadLetters
from meter.consumers.looks import Looks
from meter.consumers.settler import Settler
from meter.consumers.tap import Tap, TappedTransport
from meter.consumers.topology import declare_topology
from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import AbstractChannel, AbstractConnection

    from meter.consumers.database_state import DatabaseState
    from meter.consumers.metrics import WorkerMetrics
    from meter.consumers.poison import Settling
    from meter.nodes import Node
    from meter.settings import Settings


class HeldForTooLong(MeterError):
    """The database does not settle what is held, and others may be able to, or the broker loses patience."""

    retryable = True


class Session:
    """Two connections: one only delivers, since reading from it can be held back; one does the rest."""

    def __init__(
        self,
        connections: tuple[AbstractConnection, AbstractConnection],
        channels: tuple[AbstractChannel, AbstractChannel],
        tap: Tap,
        settings: Settings,
        settlement: Settling,
        database: DatabaseState,
        metrics: WorkerMetrics,
    ) -> None:
        self._connections = connections
        letters_channel, looking_channel = channels
        self._settings = settings
        self._database = database
        self.consumption = Consumption(settings, tap)
        self.looks = Looks(connections[1], looking_channel, self.consumption, metrics)
        self.dead_letters = DeadLetters(connections[1], letters_channel, metrics)
        self.settler = Settler(
            self.consumption.batcher, settlement, self.dead_letters, self.consumption, metrics
        )

    @property
    def trouble(self) -> str | None:
        """Why the broker cannot be used, though it is connected to; None while it can."""
        return self.looks.trouble or self.dead_letters.trouble

    async def start(self) -> None:
        """Begin to consume; what comes waits for ``run``.

        Raises:
            AMQPError: the broker refused or is gone.
        """
        await self.consumption.start(self._connections[0])

    async def run(self, stop: asyncio.Event) -> None:
        """Settle what comes until told to stop, then what is held.

        Args:
            stop: set when nothing more is to be consumed.

        Raises:
            ExceptionGroup: the broker is lost, the database is away for too long, or something else failed;
                everything has been cancelled.
        """
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(self.consumption.watch()),
                tasks.create_task(self.consumption.adapt()),
                tasks.create_task(self.looks.keep()),
                tasks.create_task(self._stop_when(stop)),
                tasks.create_task(self._give_back()),
                *(tasks.create_task(_watch(connection)) for connection in self._connections),
            ]
            # One more than settle at once: it forms the next batch meanwhile.
            lanes = [
                tasks.create_task(self.settler.run()) for _ in range(self._settings.settle_connections + 1)
            ]
            # They end when stopped and drained; a failure cancels this wait.
            await asyncio.wait(lanes)
            for task in beside:
                task.cancel()

    async def _stop_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self.consumption.stop()

    async def _give_back(self) -> None:
        seconds = self._settings.give_back_after_s
        await self._database.away_for(seconds)
        raise HeldForTooLong(f"the database has not settled for {seconds:g} s")


@contextlib.asynccontextmanager
async def open_session(
    node: Node, settings: Settings, settlement: Settling, database: DatabaseState, metrics: WorkerMetrics
) -> AsyncIterator[Session]:
    """Connect, make sure the topology is there, and close everything in the end.

    Args:
        node: of the broker.
        settings: bounds and sizes.
        settlement: settles batches, patiently, and suspects alone.
        database: whether it settles.
        metrics: of the worker.

    Yields:
        The session, not consuming yet.

    Raises:
        BrokerLost: the broker cannot be reached or refuses us.
        AMQPError: it went away meanwhile.
        ConfigurationError: topology is missing and this broker user may not declare it.
    """
    tap = Tap()
    async with (
        broker_connection(
            node.url,
            name="meter worker",
            connect_seconds=node.connect_seconds,
            transport_factory=TappedTransport(tap),
        ) as delivering,
        broker_connection(
            node.url, name="meter worker control", connect_seconds=node.connect_seconds
        ) as control,
    ):
        await declare_topology(control)
        letters_channel = await control.channel(publisher_confirms=True, timeout=CONNECT_SECONDS)
        looking_channel = await control.channel(publisher_confirms=False, timeout=CONNECT_SECONDS)
        channels = (letters_channel, looking_channel)
        yield Session((delivering, control), channels, tap, settings, settlement, database, metrics)


async def _watch(connection: AbstractConnection) -> None:
    closing = connection.closing
    await asyncio.wait((closing,))
    raise BrokerLost("the connection was lost") from closing_reason(closing)
