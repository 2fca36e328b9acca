"""Organizations in one database that is emptied for each test, and how their subscriptions are looked at."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg

from meter.db.authorship import Author
from meter.db.clockwork import Clockwork
from meter.db.members import Members
from meter.db.pool import open_pool
from meter.db.settlement import Settlement
from meter.db.subscriptions import Subscriptions
from meter.events import Usage, UsageEvent, new_event_id, usage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from tests.private_servers import PostgresServers

    from meter.db.subscriptions import Subscription

#: The owner of acme, and somebody who needs nobody's right.
OLGA = Author("olga", "request-1", "olga")
OPERATOR = Author("cli:operator")

_EMPTY = """
select purge_organization(id) from organizations;
delete from purged_organizations;
select create_organization('acme', p_owner => 'olga');
select add_organization_member('acme', 'ann');
select add_credits_to_pool('acme', 1000);
select set_pool_terms('acme', p_allocation_required => false);
"""


@dataclass(frozen=True)
class Subscribers:
    """One database from all sides; ``owner`` is its superuser."""

    owner: asyncpg.Connection
    admin: asyncpg.Pool
    worker: asyncpg.Pool

    @property
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(self.admin)

    @property
    def members(self) -> Members:
        return Members(self.admin)

    @property
    def clockwork(self) -> Clockwork:
        return Clockwork(self.worker)

    async def empty(self) -> None:
        """Leave acme, which belongs to olga, has ann as a member and may spend freely."""
        await self.owner.execute(_EMPTY)

    async def history(self) -> list[str]:
        """What happened since to subscriptions and members, in order."""
        return [
            row["event_type"]
            for row in await self.owner.fetch(
                """
                select event_type from org_billing_history
                where event_type ~ '^(subscription|member|allocation_de)' order by id
                """
            )
        ][2:]

    async def shift(self, subscription: Subscription, **columns: datetime) -> None:
        """Set some columns of a subscription, as if it were older."""
        for column, moment in columns.items():
            await self.owner.execute(
                f"update organization_subscriptions set {column} = $2 where id = $1", subscription.id, moment
            )

    async def now(self) -> datetime:
        moment: datetime = await self.owner.fetchval("select clock_timestamp()")
        return moment

    async def credits_at(self, *times: datetime) -> list[int]:
        """What usage on the plan's default key costs: 50 credits on platform, nothing on byok."""
        settled = await Settlement(self.worker).settle([_usage(time) for time in times])
        return [int(Decimal(each.credits).scaleb(-6)) for each in settled]


@asynccontextmanager
async def subscribers(servers: PostgresServers) -> AsyncIterator[Subscribers]:
    """A fresh database."""
    async with servers.database() as fresh:
        owner = await asyncpg.connect(fresh.dsn)
        # Nobody pulls the plug here.
        await owner.execute(f"alter database {fresh.name} set synchronous_commit = off")
        admin = await open_pool(fresh.dsn, "meter_admin", max_connections=3)
        worker = await open_pool(fresh.dsn, "meter_worker", max_connections=2)
        yield Subscribers(owner, admin, worker)
        for opened in (owner, admin, worker):
            await opened.close()


def _usage(time: datetime) -> Usage:
    envelope = {
        "specversion": "1.0",
        "type": "meter.usage.v1",
        "id": new_event_id(),
        "source": "tests",
        "subject": "acme",
        "time": time.isoformat(),
    }
    data = {"user_id": "ann", "service_type": "company_enrichment"}
    return usage_of(UsageEvent.model_validate(envelope | {"data": data}))
