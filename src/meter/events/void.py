"""The void, which takes an earlier event back: its contract, and how settlement takes it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic.json_schema import SkipJsonSchema

from meter.events.fields import Text128, Text255
from meter.events.identity import derived_key, event_key
from meter.events.metadata import encode_metadata, exact_metadata
from meter.events.model import Envelope
from meter.events.usage import Usage


class VoidData(BaseModel):
    """Which event is taken back, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_source: Text128 = Field(
        description="The source of the event that is taken back.", examples=["chat"]
    )
    target_id: Text128 = Field(
        description="The id of the event that is taken back; it is an event of the same organization.",
        examples=["019c13f0-7a00-7c3a-8a5e-0123456789ab"],
    )
    reason: Text255 = Field(description="Why, for people.", examples=["the answer never arrived"])
    #: What is kept of it: the fields above, and unknown ones beside them.
    metadata: SkipJsonSchema[Annotated[dict[str, object], PlainValidator(exact_metadata)]] = Field(
        default_factory=dict, exclude=True
    )


class VoidEvent(Envelope):
    """Takes back an earlier event of the organization, whatever became of that; once."""

    type: Literal["meter.usage.void.v1"] = Field(description="The kind of event.")
    data: VoidData


class Void(msgspec.Struct, frozen=True, gc=False):
    """One checked void.

    Attributes:
        org_id: the organization of both events.
        key: its own key; a UUID in canonical lower-case form.
        event_id: its id; None where that is the key.
        source: where it comes from.
        target_key: the key of the event that is taken back.
        metadata: the JSON text of an object: which event it names and why, and unknown fields.
        time: when it was taken back, in a form of RFC 3339 that PostgreSQL reads alike.
        folded: names in the metadata that were unknown fields of the event; they decide no conflict.
    """

    #: As the ledger has it; a void is no use of a service.
    service_type: ClassVar[str] = "void"
    request_id: ClassVar[str | None] = None

    org_id: str
    key: str
    event_id: str | None
    source: str
    target_key: str
    metadata: str
    time: str
    folded: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """The id as it was published."""
        return self.key if self.event_id is None else self.event_id

    @property
    def occurred_at(self) -> datetime:
        """When it was taken back."""
        return datetime.fromisoformat(self.time)


#: What settlement takes.
Event: TypeAlias = Usage | Void


def void_of(event: VoidEvent) -> Void:
    """Flatten a validated void.

    Args:
        event: validated by the contract's model.

    Returns:
        The same event.
    """
    data = event.data
    kept = {"target_source": data.target_source, "target_id": data.target_id, "reason": data.reason}
    return Void(
        org_id=event.subject,
        key=event.id if event.keyed_by_id else derived_key(event.source, event.id),
        event_id=None if event.keyed_by_id else event.id,
        source=event.source,
        target_key=str(event_key(data.target_source, data.target_id)),
        metadata=encode_metadata(kept | data.metadata).decode(),
        time=event.time.isoformat(),
        folded=event.folded or None,
    )
