"""The same usage in every form in which a batch can be handed to the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Credits a token, as in the price book.
_INPUT_PRICE = Decimal("0.003")
_OUTPUT_PRICE = Decimal("0.015")
#: Names of the fields of a row, in the order in which the statements take them.
FIELDS = (
    *("event_key", "occurred_at", "org_id", "source", "user_id", "credits", "service_type", "quantity"),
    *("request_id", "metadata"),
)


@dataclass(frozen=True)
class Batch:
    """Events that are settled at once.

    Attributes:
        events: as they were published.
    """

    events: Sequence[bytes]

    @cached_property
    def rows(self) -> list[tuple[Any, ...]]:
        """The events read and rated: one tuple each, in the order of :data:`FIELDS`."""
        return [_row(msgspec.json.decode(event)) for event in self.events]

    @cached_property
    def columns(self) -> list[list[Any]]:
        """The same by columns."""
        return [list(column) for column in zip(*self.rows, strict=True)]


def batches(events: Sequence[bytes], size: int) -> list[Batch]:
    """Make batches, read already.

    Args:
        events: as they were published.
        size: of each batch.
    """
    made = [Batch(events[first : first + size]) for first in range(0, len(events), size)]
    for batch in made:
        _ = batch.columns
    return made


def _row(event: dict[str, Any]) -> tuple[Any, ...]:
    usage = event["data"]
    metadata = usage["metadata"]
    credits = metadata["input_tokens"] * _INPUT_PRICE + metadata["output_tokens"] * _OUTPUT_PRICE
    return (
        UUID(event["id"]),
        datetime.fromisoformat(event["time"]),
        event["subject"],
        event["source"],
        usage["user_id"],
        credits,
        usage["service_type"],
        Decimal(usage["quantity"]),
        usage["request_id"],
        msgspec.json.encode(metadata).decode(),
    )
