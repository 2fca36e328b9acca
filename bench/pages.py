"""Pages of the usage history at any depth, and whether a page leaves nothing out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from bench.databases import SQL
from bench.one_organization import ORG_ID, SERVICES
from bench.summaries import PAST
from bench.workload import USERS_EACH, user_id

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bench.api import Client

_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A page that begins before a moment.

    Attributes:
        end: the moment.
        filter: what else is asked for, by parameter.
    """

    end: datetime
    filter: Mapping[str, str]

    async def ask(self, client: Client) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Ask for it, and for the page behind it by the cursor."""
        query = {"to": self.end.isoformat(), "limit": str(_LIMIT), **self.filter}
        first = await client.ask(f"/credits/{ORG_ID}/events", **query)
        return first, await client.ask(f"/credits/{ORG_ID}/events", cursor=first["next_cursor"], **query)


def pages(count: int, loaded_at: datetime, chance: random.Random) -> list[Page]:
    """Draw pages at every depth, with and without filters.

    Args:
        count: how many.
        loaded_at: when the usage was loaded that covers :data:`bench.summaries.PAST` before.
        chance: where the numbers come from.
    """
    filters: list[Mapping[str, str]] = [
        {},
        {"user_id": user_id(USERS_EACH // 2)},
        {"service_type": list(SERVICES)[1]},
        {"outcome": "unfunded"},
        {"user_id": user_id(1), "outcome": "charged"},
    ]
    # The last tenth of the past is left, so that there is a page behind every page.
    return [
        Page(loaded_at - PAST * 0.9 * chance.random(), filters[number % len(filters)])
        for number in range(count)
    ]


async def check(dsn: str, wanted: Sequence[Page], client: Client) -> None:
    """Hold pages to the ledger: full, and as many entries as lie between the first and the last of them.

    Args:
        dsn: the database, as superuser.
        wanted: which.
        client: whom to ask.

    Raises:
        RuntimeError: a page leaves something out, or has something twice.
    """
    connection = await asyncpg.connect(dsn)
    try:
        for page in wanted:
            items = [item for answer in await page.ask(client) for item in answer["items"]]
            keys = [UUID(item["event_key"]) for item in items]
            between = await connection.fetchval(
                (SQL / "page_length.sql").read_text(),
                *(ORG_ID, keys[0], keys[-1]),
                *(page.filter.get(name) for name in ("user_id", "service_type", "outcome")),
            )
            if not len(set(keys)) == len(keys) == between == 2 * _LIMIT:
                raise RuntimeError(f"{page}: {len(keys)} entries, {between} in the ledger between them")
    finally:
        await connection.close()
