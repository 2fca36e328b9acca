"""The ledger's entries, newest first, by pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from meter.db.reader import present_reader
from meter.db.reading import reading
from meter.db.statements import statement

if TYPE_CHECKING:
    import asyncpg

    from meter.db.reader import ReaderConnections

#: Before and after everything: what a moment of Python can be.
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

#: Entries that one page looks at, at most: a few milliseconds. A filter that few pass makes a page short.
LOOK_AT_MAX = 1_500

_NO_KEY = UUID(int=0)
#: Below every entry number.
_NO_ENTRY = -1


class UsageEntry(msgspec.Struct, frozen=True):
    """One row of the ledger: entry 0 is the event with its first outcome, a later one moves it.

    Amounts are text as `meter.credits.format_amount` writes it, with six decimals at most, ``total_cost``
    (USD) with nine; ``credits_used`` is signed. ``request_metadata`` is JSON text as stored, so that no
    number in it passes through a float. A struct, for a page makes and writes a hundred of them.
    """

    event_key: UUID
    entry: int
    event_id: str
    source: str
    #: None: a void, which is nobody's usage.
    user_id: str | None
    service_type: str
    service_name: str | None
    quantity: str
    credits_used: str
    outcome: str
    reason: str | None
    key_source: str
    api_cost: str | None
    markup_applied: str | None
    total_cost: str
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


_METADATA = UsageEntry.__struct_fields__.index("request_metadata")


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


@dataclass(frozen=True, slots=True)
class EntriesPage:
    """Entries, and where the next page begins; None where there are no more."""

    entries: list[UsageEntry]
    next: EntryPosition | None


class UsageHistory:
    """The ledger as it is shown.

    Every method raises the errors of ``meter.db.reading.reading``.

    Args:
        connections: acting as ``meter_reader``.
    """

    def __init__(self, connections: ReaderConnections) -> None:
        self._connections = connections

    async def now(self) -> datetime:
        """Read the database's clock, the one that ``created_at`` is taken from."""
        with reading():
            now: datetime = await self._connections.fetchval(statement("read_clock"))
        return now

    async def page(
        self, wanted: UsageFilter, *, after: EntryPosition, recorded_by: datetime = LATEST, limit: int
    ) -> EntriesPage:
        """Read one page.

        Args:
            wanted: which entries.
            after: where the page begins.
            recorded_by: leave out what was recorded later, so that a long reading has an end.
            limit: entries at most.

        Returns:
            The entries by ``occurred_at``, ``event_key`` and ``entry``, each descending. There may be fewer
            than wanted and more to come: not more than `LOOK_AT_MAX` are looked at.
        """
        with reading():
            rows = await self._connections.ask_all(
                statement("read_usage_page"),
                *present_reader().about(wanted.org_id).settings(),
                *(wanted.user_id, wanted.service_type, wanted.outcome, wanted.start),
                *(after.occurred_at, after.event_key, after.entry),
                *(recorded_by, limit + 1, LOOK_AT_MAX),
            )
        if not rows:
            return EntriesPage([], None)
        if rows[-1]["event_id"] is None:
            last = rows.pop()
            place = EntryPosition(last["occurred_at"], last["event_key"], last["entry"])
            return EntriesPage([_entry(row) for row in rows], place)
        entries = [_entry(row) for row in rows[:limit]]
        return EntriesPage(entries, entries[-1].position if len(rows) > limit else None)


def _entry(row: asyncpg.Record) -> UsageEntry:
    fields = list(row)
    fields[_METADATA] = msgspec.Raw(fields[_METADATA])
    return UsageEntry(*fields)
