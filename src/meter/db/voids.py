"""Where voids are settled: one call of ``settle_voids``, one transaction."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, cast

import asyncpg
import msgspec

from meter.db.outcomes import LETTERS, SettledEvent
from meter.db.statements import statement
from meter.errors import OrganizationVanished
from meter.events import Void

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.events import Event, Usage

#: Voids of one transaction. They are taken back one by one while the pools are locked, in about 0.4 ms each.
_AT_ONCE = 200

#: Tries without an organization that vanished, which needs someone to purge it at that very moment.
_ATTEMPTS = 5


def runs_of_one_kind(events: Sequence[Event]) -> Iterable[tuple[Sequence[Usage], Sequence[Void]]]:
    """Split a batch where voids begin and end.

    Args:
        events: a batch, in order.

    Returns:
        Its runs in order, each either usage or voids.
    """
    if Void not in set(map(type, events)):
        return [(cast("Sequence[Usage]", events), ())]
    runs: list[tuple[Sequence[Usage], Sequence[Void]]] = []
    for kind, run in groupby(events, type):
        if kind is Void:
            runs.append(((), [event for event in run if isinstance(event, Void)]))
        else:
            runs.append(([event for event in run if not isinstance(event, Void)], ()))
    return runs


async def settle_voids(connection: asyncpg.Connection, voids: Sequence[Void]) -> list[SettledEvent]:
    """Settle voids, some at a time, each time in one transaction.

    Args:
        connection: acting as ``meter_worker``, not in a transaction.
        voids: in the order in which they are to be settled.

    Returns:
        One outcome a void, in the same order.

    Raises:
        asyncpg.PostgresError: as ``settle_voids`` of the database does; what was settled before stays so.
    """
    settled: list[SettledEvent] = []
    for begin in range(0, len(voids), _AT_ONCE):
        letters = await _call(connection, voids[begin : begin + _AT_ONCE])
        settled += [SettledEvent(*LETTERS[letter], 0) for letter in letters]
    return settled


async def _call(connection: asyncpg.Connection, voids: Sequence[Void]) -> str:
    rows = msgspec.json.encode([_row(void) for void in voids]).decode()
    failed = 0
    while True:
        try:
            letters: str = await connection.fetchval(statement("settle_voids"), rows)
        except asyncpg.PostgresError as error:
            failed += 1
            if error.sqlstate != OrganizationVanished.sqlstate or failed == _ATTEMPTS:
                raise
        else:
            return letters


def _row(void: Void) -> dict[str, object]:
    return {
        "org_id": void.org_id,
        "event_key": void.key,
        "event_id": void.event_id,
        "source": void.source,
        "target_key": void.target_key,
        "metadata": msgspec.Raw(void.metadata.encode()),
        "folded": void.folded,
        "occurred_at": void.time,
    }
