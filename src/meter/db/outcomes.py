"""What settlement answers for each event, and the two ways it can fail."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from meter.errors import SettlementError


class Outcome(StrEnum):
    """The one outcome of an event, in the words of the ledger."""

    CHARGED = "charged"
    OVERAGE = "overage"
    UNFUNDED = "unfunded"
    UNPRICED = "unpriced"
    #: Took an event back, or waits for it, or had nothing to do.
    VOID = "void"
    #: Seen before with the same content; nothing changed.
    DUPLICATE = "duplicate"
    #: Seen before with other content; the first stands, this one is a dead letter.
    CONFLICT = "conflict"
    #: No retry can settle it; ``reason`` says why, and it is a dead letter.
    REFUSED = "refused"

    @property
    def is_recorded(self) -> bool:
        """Whether the event wrote a row of its own."""
        return self not in (Outcome.DUPLICATE, Outcome.CONFLICT, Outcome.REFUSED)


class SettledEvent(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one event.

    Attributes:
        outcome: what became of it.
        reason: why it is unfunded or refused; None otherwise.
        credits: millionths of a credit of the event; 0 where nothing was written.
    """

    outcome: Outcome
    reason: str | None
    credits: int


#: The letters of settlement, as the database's ``settlement_letters`` lists them.
LETTERS: Final[dict[str, tuple[Outcome, str | None]]] = {
    "c": (Outcome.CHARGED, None),
    "o": (Outcome.OVERAGE, None),
    "p": (Outcome.UNPRICED, None),
    "1": (Outcome.UNFUNDED, "organization_closed"),
    "2": (Outcome.UNFUNDED, "no_allocation"),
    "3": (Outcome.UNFUNDED, "allocation_exhausted"),
    "4": (Outcome.UNFUNDED, "pool_exhausted"),
    "d": (Outcome.DUPLICATE, None),
    "x": (Outcome.CONFLICT, None),
    "u": (Outcome.REFUSED, "unknown_organization"),
    "f": (Outcome.REFUSED, "future_time"),
    "r": (Outcome.REFUSED, "amount_overflow"),
    "v": (Outcome.VOID, None),
    "w": (Outcome.REFUSED, "void_of_void"),
}


class EventNotSettleable(SettlementError):
    """An event of the batch is a data error that no retry can settle."""


class DatabaseUnavailable(SettlementError):
    """The database cannot settle now; the same batch can succeed later."""

    retryable = True
