"""Notes on messages that may kill their workers, kept where a dying worker cannot lose them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from meter.db.no_answer import NO_ANSWER
from meter.db.outcomes import DatabaseUnavailable
from meter.db.statements import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

#: Taking a note back is one row; a database that does not do it now may be away for long, and a worker that
#: is told to stop has little time.
_CLEAR_TIMEOUT_S = 1.0
#: What kills or hangs a worker does so at once. One that still waits for its database after so long may be
#: killed by whoever has lost patience with both.
_HARMLESS_AFTER_S = 5.0
_HOLDER_BITS = 62
#: A database that is well takes a note in milliseconds.
_TRIAL_TIMEOUT_S = 3.0
_DIGEST_BYTES = 32
_FAILURES = (asyncpg.PostgresError, *NO_ANSWER)


@dataclass(slots=True)
class Note:
    """That this process handles a message alone.

    Attributes:
        deaths: how many processes ended so far while they did.
    """

    deaths: int
    _is_kept: bool = False

    def keep(self) -> None:
        """Leave the note where it is until the message is forgotten."""
        self._is_kept = True

    @property
    def is_kept(self) -> bool:
        """Whether the note stays."""
        return self._is_kept


class Suspects:
    """What one worker process notes about the messages it handles with nothing beside them.

    A note is committed before its message is touched, and taken back when the worker has come through,
    whatever came out, or after some seconds in which it lived and only waited. It is left behind by a process
    that ended before, and from then on its message is handled alone. The next worker that finds it then
    asks for the advisory lock which every session of a process holds that took notes: the database gives it
    away when the process is gone, so a note on a message that was alone, whose lock is free, is one death.

    Args:
        pool: connections acting as ``meter_worker``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        # At random, so that no two processes that ever live share one.
        self._holder = secrets.randbits(_HOLDER_BITS)

    @asynccontextmanager
    async def alone(self, digest: bytes) -> AsyncIterator[Note]:
        """Keep the note of a message for as long as the context lasts.

        Args:
            digest: SHA-256 of the message.

        Yields:
            The note.

        Raises:
            DatabaseUnavailable: the note cannot be taken now.
        """
        async with self._connection() as connection:
            note = Note(await self._ask(connection, "note_suspect", digest))
            async with self._taken_back(connection, [digest], note):
                yield note

    @asynccontextmanager
    async def together(self, digests: Sequence[bytes]) -> AsyncIterator[frozenset[bytes]]:
        """Keep notes of messages for as long as the context lasts, but of those that have one already.

        Args:
            digests: SHA-256 of each message.

        Yields:
            Those that have a note already, and are to be handled alone.

        Raises:
            DatabaseUnavailable: notes cannot be taken now.
        """
        async with self._connection() as connection:
            known = frozenset[bytes](await self._ask(connection, "note_suspects", digests))
            noted = [digest for digest in digests if digest not in known]
            async with self._taken_back(connection, noted):
                yield known

    async def try_a_note(self) -> None:
        """Take a note of nothing and take it back: whether the database can be written to, and keeps it.

        Raises:
            DatabaseUnavailable: it cannot, or does not answer.
        """
        try:
            async with asyncio.timeout(_TRIAL_TIMEOUT_S), self.alone(secrets.token_bytes(_DIGEST_BYTES)):
                pass
        except TimeoutError as error:
            # A connection that was lost without a word is not to be tried again.
            await self._pool.expire_connections()
            raise _unavailable(error) from error

    async def forget(self, digest: bytes) -> None:
        """Take back a note that was kept; where the database does not do it, the row stays and does no harm.

        Args:
            digest: SHA-256 of the message.
        """
        with contextlib.suppress(DatabaseUnavailable):
            async with self._connection() as connection:
                await self._clear(connection, [digest])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        # Held for the whole time: the pool would close it after a while, and the lock would go with it.
        try:
            connection = await self._pool.acquire()
        except _FAILURES as error:
            raise _unavailable(error) from error
        try:
            yield connection
        finally:
            with contextlib.suppress(*_FAILURES):
                await self._pool.release(connection, timeout=_CLEAR_TIMEOUT_S)

    async def _ask(self, connection: asyncpg.Connection, name: str, what: bytes | Sequence[bytes]) -> Any:
        try:
            return await connection.fetchval(statement(name), what, self._holder)
        except _FAILURES as error:
            raise _unavailable(error) from error

    @asynccontextmanager
    async def _taken_back(
        self, connection: asyncpg.Connection, digests: Sequence[bytes], note: Note | None = None
    ) -> AsyncIterator[None]:
        excusing = asyncio.create_task(self._excuse(connection, digests))
        try:
            yield
        finally:
            excusing.cancel()
            await asyncio.gather(excusing, return_exceptions=True)
            if note is None or not note.is_kept:
                # What cannot be taken back is found by this very process, which then counts nothing.
                await self._clear(connection, digests)

    async def _excuse(self, connection: asyncpg.Connection, digests: Sequence[bytes]) -> None:
        # A process that gets to do this does not hang, and its messages have done it no harm.
        await asyncio.sleep(_HARMLESS_AFTER_S)
        await self._clear(connection, digests)

    async def _clear(self, connection: asyncpg.Connection, digests: Sequence[bytes]) -> None:
        with contextlib.suppress(*_FAILURES):
            await connection.fetchval(
                statement("clear_suspects"), digests, self._holder, timeout=_CLEAR_TIMEOUT_S
            )


def _unavailable(error: BaseException) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"what is handled alone cannot be noted ({type(error).__name__})")
