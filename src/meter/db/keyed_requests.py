"""Writes that happen once: the answer is kept by the transaction that it answers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.statements import statement
from meter.db.writing import writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What an idempotency key counts for, and with which request."""

    org_id: str
    #: Who asks: the user id, or ``key:`` and the id of the API key.
    caller: str
    route: str
    key: str
    #: Of the request's body, by value.
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """How the first request with a key was answered."""

    status: int
    body: bytes


class KeyedRequest:
    """A request within its transaction.

    Args:
        connection: in the transaction; what the request changes goes through it.
        first: how the first request was answered; None where this is the first.
        key: the key that is held.
    """

    def __init__(self, connection: asyncpg.Connection, first: KeptAnswer | None, key: RequestKey) -> None:
        self.connection = connection
        self.first = first
        self._key = key

    async def keep(self, answer: KeptAnswer) -> None:
        """Keep the answer; it counts once the transaction commits.

        Args:
            answer: what every later request with the key is answered.
        """
        key = self._key
        await self.connection.execute(
            statement("keep_answer"),
            *(key.org_id, key.caller, key.route, key.key, key.body_sha256, answer.status, answer.body),
        )


class KeyedRequests:
    """Transactions of requests with a key.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def begin(self, key: RequestKey) -> AsyncIterator[KeyedRequest]:
        """Hold a key while the block runs, in one transaction that commits when the block ends well.

        Args:
            key: what is asked, by whom, for what.

        Yields:
            The request, and how it was answered the first time.

        Raises:
            RequestStillRunning: the first request with the key has not ended.
            IdempotencyKeyReused: it came with another body.
            WriteTookTooLong, InvalidArgument, DatabaseNotReachable: as ``meter.db.writing.writing``.
        """
        with writing():
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(
                    statement("begin_keyed_request"),
                    *(key.org_id, key.caller, key.route, key.key, key.body_sha256),
                )
                first = None if row is None else KeptAnswer(row["status"], row["body"])
                yield KeyedRequest(connection, first, key)
