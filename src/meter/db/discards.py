"""Who threw away which dead letters, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.refusals import refusals_as_errors
from meter.db.statements import statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import asyncpg


@dataclass(frozen=True, slots=True)
class DiscardedLetter:
    """What stays of a dead letter that is thrown away; None where it did not say."""

    reason: str | None
    org_id: str | None
    event_id: str | None
    first_seen: datetime | None
    body_sha256: bytes
    body_bytes: int


class Discards:
    """The audit of dead letters thrown away; nothing in it is ever changed.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def record(self, letters: Sequence[DiscardedLetter], *, actor: str, why: str) -> int:
        """Write down letters that are about to be thrown away.

        Args:
            letters: which.
            actor: who does it.
            why: the reason given.

        Returns:
            How many were written down.

        Raises:
            InvalidArgument: nobody or no reason is named.
            DatabaseNotReachable: nothing was written down, or it is not known.
        """
        with refusals_as_errors():
            written: int = await self._pool.fetchval(
                statement("record_dead_letter_discards"),
                actor,
                why,
                [letter.reason for letter in letters],
                [letter.org_id for letter in letters],
                [letter.event_id for letter in letters],
                [letter.first_seen for letter in letters],
                [letter.body_sha256 for letter in letters],
                [letter.body_bytes for letter in letters],
            )
        return written
