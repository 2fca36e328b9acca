"""API keys: noted, listed and revoked by operators; looked up for every caller that shows one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.db.reading import reading
from meter.db.refusals import refusals_as_errors
from meter.db.statements import statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from meter.db.reader import ReaderConnections


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as an operator sees it in a list; the secret is nowhere."""

    key_id: UUID
    #: How the key begins.
    prefix: str
    name: str
    #: None: all organizations.
    org_id: str | None
    scopes: list[str]
    reads_per_minute: int | None
    writes_per_minute: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """What an operator decides about a key."""

    org_id: str | None
    name: str
    scopes: Sequence[str]
    expires_at: datetime | None = None
    reads_per_minute: int | None = None
    writes_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class GoodApiKey:
    """A key that is neither expired nor revoked at the moment."""

    key_id: UUID
    name: str
    org_id: str | None
    scopes: list[str]
    reads_per_minute: int | None
    writes_per_minute: int | None
    #: Seconds; None: never.
    expires_in_s: float | None
    use_is_to_be_noted: bool


class ApiKeys:
    """What operators do with keys.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, key: NewApiKey, prefix: str, key_sha256: bytes, *, actor: str) -> UUID:
        """Note a key.

        Args:
            key: what it is for.
            prefix: how it begins.
            key_sha256: of the whole key.
            actor: who makes it.

        Returns:
            The key's id.

        Raises:
            UnknownOrganization: there is no such organization.
            OrganizationClosed: it is closed.
            InvalidArgument: no name, or an expiry that is past.
        """
        with refusals_as_errors():
            made: UUID = await self._pool.fetchval(
                statement("create_api_key"),
                key.org_id,
                key.name,
                prefix,
                key_sha256,
                list(key.scopes),
                key.expires_at,
                key.reads_per_minute,
                key.writes_per_minute,
                actor,
            )
        return made

    async def all(self, org_id: str | None = None) -> list[ApiKey]:
        """List keys, the oldest first.

        Args:
            org_id: only those of this organization.
        """
        with refusals_as_errors():
            return [ApiKey(**row) for row in await self._pool.fetch(statement("api_keys"), org_id)]

    async def revoke(self, prefix: str, *, actor: str) -> bool | None:
        """Make a key worthless, for good.

        Args:
            prefix: how it begins.
            actor: who does it.

        Returns:
            Whether it was good until now; None where no key begins so.
        """
        with refusals_as_errors():
            revoked: bool | None = await self._pool.fetchval(statement("revoke_api_key"), prefix, actor)
        return revoked


class PresentedKeys:
    """What is asked of a key that a caller shows.

    Args:
        primary: connections to the primary, acting as ``meter_reader`` or ``meter_admin``.
    """

    def __init__(self, primary: ReaderConnections) -> None:
        self._primary = primary

    async def good(self, key_sha256: bytes) -> GoodApiKey | None:
        """Look a key up; raises the errors of ``meter.db.reading.reading``.

        Args:
            key_sha256: of the whole key.

        Returns:
            None where it is unknown, expired or revoked.
        """
        with reading():
            row = await self._primary.ask(statement("good_api_key"), key_sha256)
        return None if row is None else GoodApiKey(**row)

    async def note_use(self, key_id: UUID) -> None:
        """Note that a key is used; raises the errors of ``meter.db.reading.reading``."""
        with reading():
            async with self._primary.acquire() as connection, connection.transaction():
                # The one exception of connections that refuse every write; the role may nothing else anyway.
                await connection.execute("set transaction read write")
                await connection.execute(statement("note_api_key_use"), key_id)
