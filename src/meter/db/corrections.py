"""Events taken back by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meter.db.refusals import refusals_as_errors
from meter.db.statements import statement

if TYPE_CHECKING:
    from decimal import Decimal
    from uuid import UUID

    import asyncpg


@dataclass(frozen=True, slots=True)
class VoidedUsage:
    """What a void did to its event; credits have six decimals."""

    event_key: UUID
    #: ``waiting``: there is no such event yet; ``nothing``: it was taken back before by another void.
    result: Literal["taken_back", "waiting", "nothing"]
    #: What the event was, and how much of it was outstanding; None where nothing was reversed.
    outcome: str | None
    credits: Decimal | None
    #: Whether an earlier call did it, and this one changed nothing.
    repeated: bool
    #: Unfunded events that could be settled with what came free; workers go on with the rest.
    funded_events: int


class Corrections:
    """What an operator sets right.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def void(
        self, org_id: str, event_id: str, *, source: str | None, reason: str, actor: str
    ) -> VoidedUsage:
        """Take an event back; a repeated call returns the first result and changes nothing.

        Args:
            org_id: the organization.
            event_id: the event's id as it was published.
            source: its source; None where the id is a UUIDv7, which is the identity alone.
            reason: why, kept with the void.
            actor: who did it, kept with the void.

        Returns:
            What became of the event.

        Raises:
            UnknownOrganization, InvalidArgument: as they say.
            IdentityConflict: it was taken back by hand for another reason.
        """
        with refusals_as_errors():
            row = await self._pool.fetchrow(statement("void_usage"), org_id, event_id, source, reason, actor)
        return VoidedUsage(**row)
