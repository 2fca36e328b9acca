"""What falls due by itself: workers look for it again and again, and several may at once."""

from __future__ import annotations

import asyncpg

from meter.db.no_answer import NO_ANSWER
from meter.db.outcomes import DatabaseUnavailable
from meter.db.statements import statement

#: The first sum of an organization reads all of its ledger: some ten million entries a minute.
_ROLL_UP_TIMEOUT_S = 3_600.0


class Clockwork:
    """Steps of work that is due; each is a short transaction of its own.

    Every method raises ``DatabaseUnavailable`` where the step can be tried again later.

    Args:
        pool: connections acting as ``meter_worker``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def fund_waiting(self) -> int | None:
        """Go on settling unfunded events of one organization whose credits came in.

        Returns:
            How many events were settled; None when no organization waits.
        """
        return await self._step("fund_waiting_organizations")

    async def reset_allocations(self) -> int | None:
        """Begin the new period of allocations whose time has come.

        Returns:
            How many allocations; None when none is due.
        """
        return await self._step("reset_allocations") or None

    async def advance_subscriptions(self) -> int | None:
        """End trials and canceled subscriptions whose time has come, and begin new periods.

        Returns:
            How many subscriptions changed; None when none is due.
        """
        return await self._step("advance_subscriptions") or None

    async def roll_up_usage(self) -> int | None:
        """Add what settlement queued to the sums of usage.

        Returns:
            How many ledger rows; None when nothing is due or another worker does it.
        """
        return await self._step("roll_up_usage", timeout_s=_ROLL_UP_TIMEOUT_S)

    async def _step(self, name: str, *, timeout_s: float | None = None) -> int | None:
        try:
            done: int | None = await self._pool.fetchval(statement(name), timeout=timeout_s)
        except (asyncpg.PostgresError, *NO_ANSWER) as error:
            raise DatabaseUnavailable(f"what is due waits ({type(error).__name__})") from error
        return done
