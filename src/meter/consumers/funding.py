"""Unfunded events whose organization got credits: the worker goes on where the control plane left off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meter.db.outcomes import DatabaseUnavailable
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from meter.db.settlement import Settlement

#: Credits that come in are rare, and looking costs one indexed read.
_INTERVAL_S = 2.0

log = get_logger(__name__)


async def keep_funding(settlement: Settlement) -> None:
    """Fund waiting organizations, one step at a time, until cancelled.

    Args:
        settlement: acts on the database.
    """
    while True:
        try:
            while (funded := await settlement.fund_waiting()) is not None:
                log.debug("unfunded events settled", events=funded)
        except DatabaseUnavailable:
            # Settlement reports outages; here there is only the next round to wait for.
            log.debug("unfunded events wait for the database")
        await asyncio.sleep(_INTERVAL_S)
