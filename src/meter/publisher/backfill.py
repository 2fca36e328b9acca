"""Publishes the rows of a file, waiting for room where ``record`` would drop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.errors import InvalidUsageEvent
from meter.publisher.usage_file import BadRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meter.publisher.publisher import Publisher
    from meter.publisher.usage_file import Row

#: Rows between two turns of the event loop, which the sender needs as well.
_ROWS_PER_TURN = 100


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What became of a file's rows; the accepted ones are confirmed once the publisher has closed."""

    accepted: int
    bad: tuple[BadRow, ...]


async def publish_rows(
    publisher: Publisher, rows: Iterable[Row | BadRow], on_row: Callable[[int], None] | None = None
) -> Backfilled:
    """Publish rows, waiting for room instead of dropping.

    Args:
        publisher: an open publisher.
        rows: of ``read_rows``.
        on_row: told the line of each row that was read, for progress.

    Returns:
        How many rows were accepted, and the bad ones.
    """
    accepted, bad = 0, []
    for count, row in enumerate(rows):
        if not publisher.has_room:
            await publisher.room()
        elif count % _ROWS_PER_TURN == 0:
            await asyncio.sleep(0)
        failure = row if isinstance(row, BadRow) else _published(publisher, row)
        if failure is None:
            accepted += 1
        else:
            bad.append(failure)
        if on_row is not None:
            on_row(row.line)
    return Backfilled(accepted, tuple(bad))


def _published(publisher: Publisher, row: Row) -> BadRow | None:
    try:
        if row.publish(publisher):
            return None
    except InvalidUsageEvent as error:
        return BadRow(row.line, str(error))
    return BadRow(row.line, "the publisher is closed, or the row alone is larger than its buffer")
