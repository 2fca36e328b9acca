"""The 40 organizations of the demo, with credits for most of what they will use."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from meter.db.authorship import Author
from meter.db.credits import Credits
from meter.db.members import Members
from meter.db.organizations import Organizations
from meter.db.pool import open_pool
from meter.local.demo.trace import ORGANIZATIONS, USERS

if TYPE_CHECKING:
    import asyncpg

#: The trace is worth some 57,000 credits. The busiest organization uses more than this, so that the demo
#: shows unfunded usage as well.
POOL_CREDITS = Decimal(6_000)
ALLOCATED_CREDITS = POOL_CREDITS / len(USERS)
#: USD, at the list price of 0.001 a credit.
_PAID = POOL_CREDITS / 1_000
_ACTOR = "meter up --demo"
_CONNECTIONS = 4


async def seed_customers(dsn: str) -> None:
    """Make sure the organizations, their users, credits and allocations are there.

    Args:
        dsn: a migrated database, as ``meter_admin`` or a member of it.
    """
    pool = await open_pool(dsn, "meter_admin", max_connections=_CONNECTIONS)
    try:
        async with asyncio.TaskGroup() as seeding:
            for org_id in ORGANIZATIONS:
                seeding.create_task(_seed_customer(pool, org_id))
    finally:
        await pool.close()


async def _seed_customer(pool: asyncpg.Pool, org_id: str) -> None:
    organizations, members, credits = Organizations(pool), Members(pool), Credits(pool)
    await organizations.add(org_id, name=None, display_name=None, max_seats=None, author=Author(_ACTOR))
    # The keys make sure that each happens once, however often the demo is replayed.
    await credits.add(
        org_id,
        POOL_CREDITS,
        purchase_amount=_PAID,
        reason="purchase",
        actor=_ACTOR,
        idempotency_key="demo-pool",
    )
    for user_id in USERS:
        await members.add(org_id, user_id, "member", author=Author(_ACTOR))
        await credits.allocate(
            org_id,
            user_id,
            ALLOCATED_CREDITS,
            reset_period=None,
            actor=_ACTOR,
            idempotency_key=f"demo-allocation-{user_id}",
        )
