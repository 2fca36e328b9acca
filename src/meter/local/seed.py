"""What a new stack begins with: one organization with credits and one user who may spend some."""

from __future__ import annotations

from decimal import Decimal

from meter.db.authorship import Author
from meter.db.credits import Credits
from meter.db.members import Members
from meter.db.organizations import Organizations
from meter.db.pool import open_pool

ORGANIZATION = "acme"
USER = "alice"
POOL_CREDITS = Decimal(1_000_000)
ALLOCATED_CREDITS = Decimal(250_000)
_ACTOR = "meter up"


async def seed(dsn: str) -> None:
    """Make sure organization, user, credits and allocation are there; nothing that is there is changed.

    Args:
        dsn: a migrated database, as ``meter_admin`` or a member of it.
    """
    pool = await open_pool(dsn, "meter_admin", max_connections=1)
    try:
        organizations = Organizations(pool)
        await organizations.add(
            ORGANIZATION, name=None, display_name="Acme", max_seats=None, author=Author(_ACTOR)
        )
        members = Members(pool)
        if not await members.all(ORGANIZATION):
            await members.add(ORGANIZATION, USER, "owner", author=Author(_ACTOR))
        credit = Credits(pool)
        # The keys make sure that each happens once, however often the stack is started.
        await credit.add(
            ORGANIZATION,
            POOL_CREDITS,
            purchase_amount=Decimal(0),
            reason="bonus",
            actor=_ACTOR,
            idempotency_key="meter-up-pool",
        )
        await credit.allocate(
            ORGANIZATION,
            USER,
            ALLOCATED_CREDITS,
            reset_period=None,
            actor=_ACTOR,
            idempotency_key="meter-up-allocation",
        )
    finally:
        await pool.close()
