"""What settlement answers for each event, and the two ways it can fail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from meter.errors import SettlementError

if TYPE_CHECKING:
    from decimal import Decimal


class Outcome(StrEnum):
    """The one outcome of an event, in the words of the ledger."""

    CHARGED = "charged"
    OVERAGE = "overage"
    UNFUNDED = "unfunded"
    UNPRICED = "unpriced"
    #: Seen before with the same content; nothing changed.
    DUPLICATE = "duplicate"
    #: Seen before with other content; the first stands, this one is a dead letter.
    CONFLICT = "conflict"
    #: No retry can settle it; ``reason`` says why, and it is a dead letter.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SettledEvent:
    """The outcome of one event.

    Attributes:
        outcome: what became of it.
        reason: why it is unfunded or refused; None otherwise.
        credits: credits of the event (six decimals); 0 where nothing was written.
    """

    outcome: Outcome
    reason: str | None
    credits: Decimal


class EventNotSettleable(SettlementError):
    """An event of the batch is a data error that no retry can settle."""


class DatabaseUnavailable(SettlementError):
    """The database cannot settle now; the same batch can succeed later."""

    retryable = True
