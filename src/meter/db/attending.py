"""Waiting for the database, but not for a connection that has lost it without a word.

A network that drops a connection tells nobody. A statement may take long, because others hold a lock it
needs, so time proves nothing; but the database can be asked, over another connection, whether it is at work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from meter.db.no_answer import NO_ANSWER
from meter.db.statements import statement

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")

#: A batch takes a fraction of this, so that nobody asks while all is well.
_ASK_AFTER_S = 2.0
_ASK_AGAIN_S = 1.0
#: Who does not answer within this is not heard: the database as a whole may be away.
_ANSWER_S = 2.0
#: So many answers in a row say it: one alone may fall between two statements.
_IDLE_ANSWERS = 2


async def attended(
    pool: asyncpg.Pool, connection: asyncpg.Connection, work: Coroutine[object, object, _T]
) -> _T:
    """Do work on a connection; end the connection when the database does nothing for it.

    Where it takes long the other connections of the pool are made anew, too.

    Args:
        pool: whose connection it is; another one of it asks.
        connection: that the work waits on.
        work: what to do.

    Returns:
        What the work returns.

    Raises:
        ConnectionDoesNotExistError: the connection was ended; what it did may or may not be committed.
        Exception: whatever the work raises.
    """
    session = connection.get_server_pid()
    working = asyncio.ensure_future(work)
    idle, wait = 0, _ASK_AFTER_S
    try:
        while not (await asyncio.wait((working,), timeout=wait))[0]:
            if wait == _ASK_AFTER_S:
                # What befell one connection befell those beside it, and who asks needs one that is well.
                await pool.expire_connections()
            wait = _ASK_AGAIN_S
            idle = idle + 1 if await _is_idle(pool, session) else 0
            if idle >= _IDLE_ANSWERS and not working.done():
                connection.terminate()
    finally:
        if not working.done():
            # Cancelled, asyncpg would wait for the database to say that it stopped.
            connection.terminate()
            working.cancel()
            await asyncio.wait((working,))
    return working.result()


async def _is_idle(pool: asyncpg.Pool, session: int) -> bool:
    """Ask whether a session does nothing; False where nobody answers."""
    try:
        async with asyncio.timeout(_ANSWER_S), pool.acquire() as asking:
            try:
                idle: bool = await asking.fetchval(
                    statement("session_is_idle"), session, asking.get_server_pid()
                )
            except BaseException:
                # It may be as lost as the one it asks about.
                asking.terminate()
                raise
            return idle
    except (asyncpg.PostgresError, *NO_ANSWER):
        return False
