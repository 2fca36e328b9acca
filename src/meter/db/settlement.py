"""Where a batch is settled: rated here, then one call of ``settle_usage``, which is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import msgspec

from meter.db.outcomes import DatabaseUnavailable, EventNotSettleable, Outcome, SettledEvent
from meter.db.rating_data import RatingData
from meter.db.statements import statement
from meter.errors import AmountOverflow, OrganizationVanished, StaleRating
from meter.events import RefusalReason
from meter.rating import Rating, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.events import UsageEvent

#: Tries with fresh prices, or without an organization that vanished. Each failure needs someone to change
#: prices, plans or organizations at that very moment; after so many the caller's backoff takes over.
_ATTEMPTS = 5

#: "Data exception": a value that a column or function cannot take.
_DATA_EXCEPTION_CLASS = "22"

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Settlement:
    """Settles usage events against pools and allocations.

    Args:
        pool: connections acting as ``meter_worker``; several batches may be settled at once.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._rating_data: RatingData | None = None

    async def settle(self, events: Sequence[UsageEvent]) -> list[SettledEvent]:
        """Settle a batch in one transaction: all of it or, on an error, nothing.

        Args:
            events: in the order in which they are to be settled.

        Returns:
            One outcome an event, in the same order.

        Raises:
            EventNotSettleable: an event is a data error; settle them apart to find which.
            DatabaseUnavailable: anything else; the same events can be settled later. Settling again what was
                settled without our hearing of it changes nothing.
        """
        if not events:
            return []
        try:
            async with self._pool.acquire() as connection:
                return await self._settle(connection, events)
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "").startswith(_DATA_EXCEPTION_CLASS):
                raise EventNotSettleable(
                    f"the database cannot take a value (SQLSTATE {error.sqlstate})"
                ) from error
            raise DatabaseUnavailable(
                f"the database refused the batch (SQLSTATE {error.sqlstate})"
            ) from error
        except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable(f"the database does not answer ({type(error).__name__})") from error

    async def fund_waiting(self) -> int | None:
        """Go on settling unfunded events of one organization whose credits came in.

        Returns:
            How many events were settled; None when no organization waits.

        Raises:
            DatabaseUnavailable: try again later.
        """
        try:
            row = await self._pool.fetchrow(statement("fund_waiting_organizations"))
        except (asyncpg.PostgresError, OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable(f"unfunded events wait ({type(error).__name__})") from error
        return None if row is None else row["funded"]

    async def _settle(
        self, connection: asyncpg.Connection, events: Sequence[UsageEvent]
    ) -> list[SettledEvent]:
        for _ in range(_ATTEMPTS):
            data = self._rating_data
            if data is None:
                data = self._rating_data = await RatingData.load(connection)
            await data.learn_plans(connection, (event.org_id for event in events))
            batch = _encode([_rated(event, data) for event in events]).decode()
            try:
                answers = await connection.fetch(statement("settle_usage"), batch, data.epoch)
            except asyncpg.PostgresError as error:
                if error.sqlstate == StaleRating.sqlstate:
                    self._rating_data = None
                elif error.sqlstate != OrganizationVanished.sqlstate:
                    raise
                continue
            return [SettledEvent(Outcome(row["outcome"]), row["reason"], row["credits"]) for row in answers]
        raise DatabaseUnavailable(
            "prices, plans or organizations change faster than the batch can be settled"
        )


def _rated(event: UsageEvent, data: RatingData) -> dict[str, object]:
    """Rate an event and write it as ``settle_usage`` reads it."""
    usage = event.data
    plan = data.plan(event.org_id, event.time)
    refusal = None
    try:
        rating = rate(event, data.prices, plan)
    except AmountOverflow:
        # Whether it is a duplicate of something that fitted once is for the database to say.
        refusal = RefusalReason.AMOUNT_OVERFLOW.value
        rating = Rating(None, usage.key_source or plan.default_key_source)
    return {
        "org_id": event.org_id,
        "event_key": event.key,
        "event_id": None if event.keyed_by_id else event.id,
        "source": event.source,
        "user_id": usage.user_id,
        "service_type": usage.service_type,
        "service_name": usage.service_name,
        "quantity": usage.quantity,
        "credits": rating.credits,
        "credits_given": usage.credits is not None,
        "key_source": rating.key_source.value,
        "key_source_given": usage.key_source is not None,
        "api_cost": usage.api_cost,
        "markup": rating.markup,
        "request_id": usage.request_id,
        "metadata": usage.metadata,
        "folded": event.folded or None,
        "occurred_at": event.time,
        "refusal": refusal,
    }
