"""A usage event as settlement takes it: checked, flat, amounts in millionths."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from meter.credits import millionths
from meter.events.identity import derived_key
from meter.events.metadata import encode_metadata
from meter.events.model import KeySource  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from meter.events.model import UsageEvent


class Usage(msgspec.Struct, frozen=True, gc=False):
    """One checked event.

    Amounts are whole millionths of their unit: six places are exact that way, and whole numbers are the
    fastest exact arithmetic there is.

    Attributes:
        org_id: the organization that is charged.
        key: the key it is stored, deduplicated and charged under; a UUID in canonical lower-case form.
        event_id: its id; None where that is the key.
        source: where it comes from.
        user_id: who used it.
        service_type: what was used.
        service_name: model, provider or variant.
        quantity: millionths of a unit of the service.
        credits: millionths of a credit that the publisher charges; None where the price book decides.
        api_cost: millionths of a USD that the provider charged.
        key_source: whose provider key was used; None where the plan decides.
        request_id: the caller's request.
        metadata: compact or not, the JSON text of an object within the limits of the contract.
        numbers: the same object, read; prices find the units they count in it.
        time: when it happened, to the microsecond, in a form of RFC 3339 that PostgreSQL reads alike: reading
            it there is cheaper than writing a moment that was read here.
        folded: names in the metadata that were unknown fields of the event; they decide no conflict.
    """

    org_id: str
    key: str
    event_id: str | None
    source: str
    user_id: str
    service_type: str
    service_name: str | None
    quantity: int
    credits: int | None
    api_cost: int | None
    key_source: KeySource | None
    request_id: str | None
    metadata: str
    numbers: dict[str, object]
    time: str
    folded: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """The id as it was published."""
        return self.key if self.event_id is None else self.event_id

    @property
    def occurred_at(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.time)


def usage_of(event: UsageEvent) -> Usage:
    """Flatten a validated event.

    Args:
        event: validated by the contract's model.

    Returns:
        The same event.
    """
    data = event.data
    return Usage(
        org_id=event.subject,
        key=event.id if event.keyed_by_id else derived_key(event.source, event.id),
        event_id=None if event.keyed_by_id else event.id,
        source=event.source,
        user_id=data.user_id,
        service_type=data.service_type,
        service_name=data.service_name,
        quantity=millionths(data.quantity),
        credits=None if data.credits is None else millionths(data.credits),
        api_cost=None if data.api_cost is None else millionths(data.api_cost),
        key_source=data.key_source,
        request_id=data.request_id,
        metadata=encode_metadata(data.metadata).decode(),
        numbers=data.metadata,
        time=event.time.isoformat(),
        folded=event.folded or None,
    )
