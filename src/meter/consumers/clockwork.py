"""What is due beside settlement: funding, resets, and the sums of usage."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meter.db.outcomes import DatabaseUnavailable
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meter.db.clockwork import Clockwork

#: Credits that come in are rare, resets too, and looking costs one indexed read each. The sums of usage say
#: themselves when it is time; what they do not hold yet is added up by whoever reads.
_INTERVAL_S = 2.0

log = get_logger(__name__)


async def keep_time(clockwork: Clockwork) -> None:
    """Do what is due, one step at a time, until cancelled.

    Args:
        clockwork: acts on the database.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_repeat("unfunded events settled", clockwork.fund_waiting))
        tasks.create_task(_repeat("allocations reset", clockwork.reset_allocations))
        tasks.create_task(_repeat("subscriptions advanced", clockwork.advance_subscriptions))
        tasks.create_task(_repeat("usage added up", clockwork.roll_up_usage))


async def _repeat(what: str, step: Callable[[], Awaitable[int | None]]) -> None:
    while True:
        try:
            while (count := await step()) is not None:
                log.debug(what, count=count)
        except DatabaseUnavailable:
            # Settlement reports outages; here there is only the next round to wait for.
            log.debug("what is due waits for the database")
        await asyncio.sleep(_INTERVAL_S)
