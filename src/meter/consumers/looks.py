"""Looking at the queues again and again: how much waits in them, and whether the broker can be used at all.

A node that is cut off from its cluster keeps its connections until it has noticed, a minute unless it is told
otherwise, and answers whatever it knows by itself: how long a queue is, for instance. To consume it has to
reach most of the cluster. So where nothing came for a while, as in the usual quiet, that is asked for anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meter.consumers.answers import answered_in_time
from meter.consumers.deadline import Deadline
from meter.consumers.topology import DEAD_QUEUE, USAGE_QUEUE, queue_depth
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, AbstractConnection

    from meter.consumers.consumption import Consumption
    from meter.consumers.metrics import WorkerMetrics

#: Often enough to scale by, and to notice within seconds; seldom enough to cost nothing.
_INTERVAL_S = 2.0
#: A broker that is well answers in milliseconds, one that elects a leader within a second or two.
_OVERDUE_S = 4.0
#: After so long another connection, to another node where there are several, is tried.
_GIVE_UP_S = 30.0

log = get_logger(__name__)


class Looks:
    """Looks at the queues for as long as the connections last."""

    def __init__(
        self,
        connection: AbstractConnection,
        channel: AbstractChannel,
        consumption: Consumption,
        metrics: WorkerMetrics,
    ) -> None:
        """Prepare; nothing is looked at yet.

        Args:
            connection: the channel's.
            channel: on which nothing else is asked.
            consumption: of usage.
            metrics: where it is shown how much waits.
        """
        self._connection = connection
        self._channel = channel
        self._consumption = consumption
        self._metrics = metrics
        #: Why the broker cannot be used; None while it can.
        self.trouble: str | None = None

    async def keep(self) -> None:
        """Look again and again, until cancelled.

        Raises:
            TimeoutError: there was no answer for long.
            BrokerLost: the channel was closed.
            AMQPError: what the broker said instead.
        """
        while True:
            with Deadline(_OVERDUE_S, self._overdue) as deadline:
                for queue in (USAGE_QUEUE, DEAD_QUEUE):
                    asking = queue_depth(self._channel, queue, seconds=None)
                    # Blocked only where dead letters are published, which say so.
                    depth = await answered_in_time(self._connection, asking, _GIVE_UP_S, deadline.begin_anew)
                    self._metrics.show_depth(queue, depth)
                async with asyncio.timeout(_GIVE_UP_S):
                    await self._consumption.prove()
            self._answered()
            await asyncio.sleep(_INTERVAL_S)

    def _overdue(self, _since: float) -> None:
        if self.trouble is None:
            log.error("the broker does not answer, waiting for it")
        self.trouble = (
            "the broker does not answer though it is connected to, as a node does that was cut off from its "
            "cluster and has not noticed"
        )

    def _answered(self) -> None:
        if self.trouble is not None:
            log.info("the broker answers again")
        self.trouble = None
