"""The database as the fault suite sets it up and looks at it, past every proxy."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
from tests.faults.usage import KNOWN, first_key, service_of

from meter.db.reconciliation import Reconciliation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from decimal import Decimal

    from meter.local.postgres import PostgresServer

PLENTY = 10**12
#: Pays for a few hundred events, then has no more.
FEW = 1_000
#: Every third user of "desk" has an allocation.
_ALLOCATED_USERS = range(0, 40, 3)
#: A page of the ledger; what ids are compared with comes in pages of it.
_PAGE_ROWS = 50_000
#: Keys of one moment are looked at up to so many: of a few of them every service has one.
_LOOKED_AT = 5_000

_SET_UP = {
    "acme": ["set_pool_terms($1, p_allocation_required => false)"],
    "globex": ["set_pool_terms($1, p_allocation_required => false)"],
    "initech": ["set_pool_terms($1, p_allocation_required => false)"],
    "short": ["set_pool_terms($1, p_allocation_required => false)"],
    "over": ["set_pool_terms($1, p_allocation_required => false, p_allow_overage => true)"],
    "desk": [f"allocate_credits_to_user($1, 'user-{user}', 100000)" for user in _ALLOCATED_USERS],
}
_CREDITS = {"short": FEW, "over": FEW}


class Books:
    """Asks the database; each time over a connection of its own, since the database comes and goes."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def look_at(self, server: PostgresServer) -> None:
        """Look at another server from now on."""
        self._server = server

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the superuser."""
        connection = await asyncpg.connect(self._server.dsn(), timeout=10)
        try:
            yield connection
        finally:
            connection.terminate()

    async def set_up(self) -> None:
        """Organizations that pay, that run short, that go into overage, and that need allocations."""
        async with self.connection() as connection:
            for org_id, statements in _SET_UP.items():
                await connection.execute("select create_organization($1)", org_id)
                credits = _CREDITS.get(org_id, PLENTY)
                await connection.execute("select add_credits_to_pool($1, $2)", org_id, credits)
                for statement in statements:
                    await connection.execute(f"select {statement}", org_id)

    @asynccontextmanager
    async def acme_locked(self) -> AsyncIterator[None]:
        """Hold the pool of an organization whose events are in every batch."""
        async with self.connection() as connection, connection.transaction():
            await connection.execute("select from organization_credit_pools where org_id = 'acme' for update")
            yield

    async def end_sessions_of_workers(self) -> None:
        """End what workers have open, and whatever is not committed with it."""
        async with self.connection() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'meter worker'"
            )

    async def waiting_settlements(self) -> int:
        """How many sessions of workers wait for a lock."""
        async with self.connection() as connection:
            count: int = await connection.fetchval(
                "select count(*) from pg_stat_activity"
                " where application_name = 'meter worker' and wait_event_type = 'Lock'"
            )
        return count

    async def services_since(self, milliseconds: int) -> set[int]:
        """Which services have events in the ledger that happened at or after a moment."""
        async with self.connection() as connection:
            rows = await connection.fetch(
                "select event_key from credit_usage_attribution"
                " where org_id = any ($1) and event_key >= $2 and entry = 0 limit $3",
                KNOWN[:3],
                first_key(milliseconds),
                _LOOKED_AT,
            )
        return {service_of(UUID(bytes=row["event_key"].bytes)) for row in rows}

    async def events(self) -> AsyncIterator[tuple[str, UUID]]:
        """Every event of the ledger, with the organization that has it."""
        async with self.connection() as connection, connection.transaction():
            cursor = connection.cursor(
                "select org_id, event_key from credit_usage_attribution where entry = 0", prefetch=_PAGE_ROWS
            )
            async for row in cursor:
                yield row["org_id"], UUID(bytes=row["event_key"].bytes)

    async def pending_voids(self) -> set[UUID]:
        """The voids that wait for what they take back."""
        async with self.connection() as connection:
            rows = await connection.fetch("select void_key from pending_voids")
        return {UUID(bytes=row["void_key"].bytes) for row in rows}

    async def twice(self) -> int:
        """How many events have more than one first entry."""
        async with self.connection() as connection:
            count: int = await connection.fetchval(
                "select count(*) from (select from credit_usage_attribution where entry = 0"
                " group by org_id, event_key having count(*) > 1) as twice"
            )
        return count

    async def taken(self) -> dict[str, Decimal]:
        """What every organization was charged in all, whether it could pay or not."""
        async with self.connection() as connection:
            rows = await connection.fetch(
                "select org_id, used_credits + overage_credits + unfunded_credits as taken"
                " from organization_credit_pools"
            )
        return {row["org_id"]: row["taken"] for row in rows}

    async def differences(self) -> int:
        """How many balances are not the sum of their rows, as ``meter reconcile`` finds them."""
        async with asyncpg.create_pool(self._server.dsn(), min_size=1, max_size=1) as pool:
            return len(await Reconciliation(pool).differences())
