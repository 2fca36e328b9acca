"""The ledger's entries, newest first, by pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from meter.db.reading import reading
from meter.db.statements import statement

if TYPE_CHECKING:
    from decimal import Decimal

    import asyncpg

#: Before and after everything: what a moment of Python can be.
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

_NO_KEY = UUID(int=0)
#: Below every entry number.
_NO_ENTRY = -1


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """One row of the ledger: entry 0 is the event with its first outcome, a later one moves it.

    Amounts have six decimals, ``total_cost`` (USD) nine; ``credits_used`` is signed. ``request_metadata`` is
    JSON text as stored, so that no number in it passes through a float.
    """

    event_key: UUID
    entry: int
    event_id: str
    source: str
    user_id: str
    service_type: str
    service_name: str | None
    quantity: Decimal
    credits_used: Decimal
    outcome: str
    reason: str | None
    key_source: str
    api_cost: Decimal | None
    markup_applied: Decimal | None
    total_cost: Decimal
    allocation_id: int | None
    period_no: int | None
    request_id: str | None
    request_metadata: msgspec.Raw
    occurred_at: datetime
    created_at: datetime

    @property
    def position(self) -> EntryPosition:
        """Where a page that begins after this entry begins."""
        return EntryPosition(self.occurred_at, self.event_key, self.entry)


@dataclass(frozen=True, slots=True, order=True)
class EntryPosition:
    """A place in the order of the history; a page holds what comes after it, which is older."""

    occurred_at: datetime
    event_key: UUID
    entry: int

    @classmethod
    def before(cls, moment: datetime) -> EntryPosition:
        """Return the place where everything earlier than a moment begins."""
        return cls(moment, _NO_KEY, _NO_ENTRY)


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which entries are wanted; None leaves a field open.

    ``start`` is included; where the period ends is a matter of the position a page begins at.
    """

    org_id: str
    user_id: str | None = None
    service_type: str | None = None
    outcome: str | None = None
    start: datetime = EARLIEST


class UsageHistory:
    """The ledger as it is shown.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        pool: connections acting as ``meter_reader``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def now(self) -> datetime:
        """Read the database's clock, the one that ``created_at`` is taken from."""
        with reading():
            now: datetime = await self._pool.fetchval(statement("read_clock"))
        return now

    async def page(
        self, wanted: UsageFilter, *, after: EntryPosition, recorded_by: datetime = LATEST, limit: int
    ) -> list[UsageEntry]:
        """Read one page.

        Args:
            wanted: which entries.
            after: where the page begins.
            recorded_by: leave out what was recorded later, so that a long reading has an end.
            limit: entries at most.

        Returns:
            The entries by ``occurred_at``, ``event_key`` and ``entry``, each descending.
        """
        arguments: list[object] = [
            wanted.org_id,
            after.occurred_at,
            after.event_key,
            after.entry,
            wanted.start,
            recorded_by,
            wanted.service_type,
            wanted.outcome,
            limit,
        ]
        name = "read_entries"
        if wanted.user_id is not None:
            name = "read_entries_of_user"
            arguments.append(wanted.user_id)
        with reading():
            rows = await self._pool.fetch(statement(name), *arguments)
        return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> UsageEntry:
    fields = dict(row)
    fields["request_metadata"] = msgspec.Raw(fields["request_metadata"])
    return UsageEntry(**fields)
