"""Sessions of a database that wait for a lock of another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

_WAITING = """
select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""
_DEADLINE_S = 30


async def waiting_for_locks(watcher: asyncpg.Connection, sessions: int = 1) -> None:
    """Wait until so many sessions wait, 30 s at most.

    Args:
        watcher: outside of any transaction, in which it would see the same sessions for ever.
        sessions: at least 1.

    Raises:
        TimeoutError: there were never so many.
    """
    async with asyncio.timeout(_DEADLINE_S):
        while await watcher.fetchval(_WAITING) < sessions:
            pass
