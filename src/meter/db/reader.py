"""On whose behalf the API reads: said to the database in every transaction, which shows nothing else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from meter.db.statements import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    import asyncpg


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom something is read for; the policies of migration 0013 decide what that shows.

    Attributes:
        user_id: the user; empty for a service.
        org_id: the organization that is read; empty for what the user has in all organizations.
        sees_everything: held to no membership: in that organization or, without one, in all.
    """

    user_id: str = ""
    org_id: str = ""
    sees_everything: bool = False

    def settings(self) -> tuple[str, str, str]:
        """Return the values of ``meter.user_id``, ``meter.org_id`` and ``meter.sees_everything``."""
        return self.user_id, self.org_id, "yes" if self.sees_everything else ""

    def about(self, org_id: str) -> Reader:
        """Return the same reader, reading one organization.

        Args:
            org_id: the organization.

        Returns:
            A reader who sees nothing where this one reads another organization already.
        """
        if self.org_id not in ("", org_id):
            return NOBODY
        return Reader(self.user_id, org_id, self.sees_everything)


#: Sees what is nobody's, for instance the price book.
NOBODY = Reader()

_present: ContextVar[Reader] = ContextVar("meter_reader", default=NOBODY)


class reading_for:  # noqa: N801 - a context manager; as a generator it would cost every balance three times as much
    """Read on someone's behalf within the context; outside any, nothing of anyone's is seen.

    Args:
        reader: whom for.
    """

    __slots__ = ("_before", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        """Begin."""
        self._before: Token[Reader] = _present.set(self._reader)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End: whom was read for before is read for again."""
        _present.reset(self._before)


def present_reader() -> Reader:
    """Return whom the present context reads for."""
    return _present.get()


def read_about(org_id: str) -> None:
    """From here to the end of the present context, read one organization.

    Args:
        org_id: the organization.
    """
    _present.set(_present.get().about(org_id))


class ReaderConnections:
    """Connections that act as ``meter_reader``, on behalf of whom the present context reads for.

    Args:
        pool: connections that nothing is left behind on.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Literal["read_committed", "repeatable_read"] | None = None,
        settings: str = "read_for",
    ) -> AsyncIterator[asyncpg.Connection]:
        """Hold a connection, in a transaction that reads for the present reader.

        Args:
            isolation: ``repeatable_read`` where all statements are to see the same moment.
            settings: the statement that says whom it reads for, and may say more.
        """
        async with self._pool.acquire() as connection, connection.transaction(isolation=isolation):
            await connection.execute(statement(settings), *present_reader().settings())
            yield connection

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Read rows in a transaction of their own."""
        async with self.transaction() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
        return rows

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """Read the first row, where there is one, in a transaction of its own."""
        async with self.transaction() as connection:
            row: asyncpg.Record | None = await connection.fetchrow(query, *arguments)
        return row

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """Read a single value in a transaction of its own."""
        async with self.transaction() as connection:
            return await connection.fetchval(query, *arguments)

    async def ask(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """Read the first row of what says itself whom it reads for, or needs no reader: in one round trip."""
        row: asyncpg.Record | None = await self._pool.fetchrow(query, *arguments)
        return row

    async def ask_all(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Read all rows of what says itself whom it reads for: in one round trip."""
        rows: list[asyncpg.Record] = await self._pool.fetch(query, *arguments)
        return rows

    def acquire(self, *, timeout: float | None = None) -> Any:
        """Hold a connection that reads for nobody: what is nobody's, such as the schema's version.

        Args:
            timeout: seconds to wait for one.
        """
        return self._pool.acquire(timeout=timeout)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()
