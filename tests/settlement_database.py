"""The database side of the comparison with the model: steps one by one, or several at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import asyncpg
from tests.settlement_batches import Client
from tests.settlement_model import FUNDING_STEP
from tests.settlement_state import STATE

from meter.db.pool import open_pool
from meter.db.settlement import Settlement

if TYPE_CHECKING:
    from tests.settlement_batches import Step

#: More than the steps that are done at once.
_CONNECTIONS = 5
#: Of one step, which takes milliseconds, or seconds on a busy machine; what waits so long waits for ever.
_TIMEOUT_S = 60

_WAITING = """
select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""


@dataclass
class SettlingDatabase:
    """A database of its own, with connections enough for steps at the same time."""

    watcher: asyncpg.Connection
    worker: Settlement
    pool: asyncpg.Pool
    connections: list[asyncpg.Connection]

    @classmethod
    async def open(cls, dsn: str) -> SettlingDatabase:
        # Nobody pulls the plug here, and waiting for the disk would be most of the time.
        opened = [
            await asyncpg.connect(dsn, server_settings={"synchronous_commit": "off"})
            for _ in range(_CONNECTIONS)
        ]
        await _shorten_funding(opened[0])
        await opened[0].execute(
            """
            insert into service_prices (service_type, service_name, unit, credits_per_unit)
            select 'costs-' || credits, null, 'quantity', credits * 0.000001
            from unnest(array[0, 1, 1000000, 2500000, 7000000]) as credits
            """
        )
        pool = await open_pool(dsn, "meter_worker", max_connections=_CONNECTIONS)
        return cls(opened[0], Settlement(pool), pool, opened[1:])

    async def close(self) -> None:
        for connection in [self.watcher, *self.connections]:
            await connection.close()
        await self.pool.close()

    async def do(self, step: Step, org_ids: list[str]) -> tuple[object, str]:
        """Do one step.

        Returns:
            Its answer, and the state of the organizations after it.
        """
        return await _answer(step, Client(self.watcher, self.worker)), await self.watcher.fetchval(
            STATE, org_ids
        )

    async def do_at_the_same_time(self, steps: list[Step], org_ids: list[str]) -> tuple[list[object], str]:
        """Do steps in transactions that overlap: the first commits once the others wait or are done.

        Returns:
            Their answers, and the state of the organizations after them.
        """
        first, *others = self.connections
        running: list[asyncio.Task[object]] = []
        try:
            async with first.transaction():
                answers = [await _answer(steps[0], Client(first, self.worker))]
                for step, connection in zip(steps[1:], others, strict=False):
                    running.append(asyncio.create_task(_answer(step, Client(connection, self.worker))))
                    await self._until_done_or_waiting(running)
            answers += await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
        return answers, await self.watcher.fetchval(STATE, org_ids)

    async def _until_done_or_waiting(self, running: list[asyncio.Task[object]]) -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            while sum(not task.done() for task in running) > await self.watcher.fetchval(_WAITING):
                pass


async def _answer(step: Step, client: Client) -> object:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await step.on_database(client)
    except asyncpg.PostgresError as error:
        if not (error.sqlstate or "").startswith("MT"):
            raise
        return error.sqlstate


async def _shorten_funding(connection: asyncpg.Connection) -> None:
    """Let a top-up examine so few events that small examples leave some to the workers."""
    function = (files("meter.db") / "sql" / "functions" / "fund_open_usage.sql").read_text("utf-8")
    usual = "p_limit integer default 1000"
    assert usual in function
    await connection.execute("set role meter_owner")
    await connection.execute(function.replace(usual, f"p_limit integer default {FUNDING_STEP}"))
    await connection.execute("reset role")
