"""The usage event, version 1 of the public contract: CloudEvents 1.0 in JSON, structured mode."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from meter.events.fields import (
    Moment,
    OptionalAmount,
    OptionalText200,
    OptionalText255,
    OrganizationId,
    Quantity,
    Text100,
    Text128,
    Text255,
)
from meter.events.identity import event_key, is_event_key
from meter.events.metadata import exact_metadata

if TYPE_CHECKING:
    from uuid import UUID

EVENT_TYPE: Final = "meter.usage.v1"
VOID_TYPE: Final = "meter.usage.void.v1"
SPECVERSION: Final = "1.0"

CONTENT_TYPE_EVENT = "application/cloudevents+json"
CONTENT_TYPE_BATCH = "application/cloudevents-batch+json"
AMOUNT_RULE: Final = "At most six decimal places and fourteen integer digits, by value."

#: What a broker and a worker hold in memory for one message.
MESSAGE_MAX_BYTES = 1_048_576
#: Half of what is settled in one transaction, so that a message never needs two.
MESSAGE_MAX_EVENTS = 1_000


class KeySource(StrEnum):
    """Whose provider key was used."""

    PLATFORM = "platform"
    BYOK = "byok"


class UsageData(BaseModel):
    """What was used, by whom, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: Text255 = Field(description="Who used it.", examples=["u-17"])
    service_type: Text100 = Field(
        description="The service that was used: llm, embeddings, image_generation, company_enrichment, "
        "contact_lookup, bulk_export, intelligence_cache_lookup, property_search, valuation, "
        "market_analysis, or any other.",
        examples=["llm"],
    )
    service_name: OptionalText200 | None = Field(
        default=None, description="Model, provider or variant.", examples=["full"]
    )
    quantity: Quantity = Field(default=Decimal(1), description="Units of the service. " + AMOUNT_RULE)
    credits: OptionalAmount = Field(
        default=None,
        description="Charge exactly this; otherwise the price book rates the event. " + AMOUNT_RULE,
    )
    api_cost: OptionalAmount = Field(
        default=None, description="What the provider charged us, in USD. " + AMOUNT_RULE
    )
    key_source: KeySource | None = Field(
        default=None, description="Whose provider key was used; the organization's plan decides the default."
    )
    request_id: OptionalText255 | None = Field(default=None, description="The caller's request.")
    metadata: Annotated[
        dict[str, object], PlainValidator(exact_metadata), WithJsonSchema({"type": ["object", "null"]})
    ] = Field(
        default_factory=dict,
        description="Anything else worth keeping: model, input_tokens, output_tokens, latency_ms, … "
        "At most 8,192 bytes of compact JSON in UTF-8 with unknown fields folded in, at most 32 levels deep.",
    )


class Envelope(BaseModel):
    """What every event of the contract says, whatever its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"] = Field(description="The version of CloudEvents.")
    type: str = Field(description="The kind of event.")
    id: Text128 = Field(
        description="With source, the event's identity within its organization; a canonical lower-case "
        "UUIDv7 is the identity alone."
    )
    source: Text128 = Field(description="The service, or the file, that the event comes from.")
    subject: OrganizationId = Field(description="The organization that is charged.")
    time: Moment = Field(
        description="When it happened: RFC 3339 with an offset, to the microsecond. More than five "
        "minutes past the database's clock is refused."
    )
    #: Keys of the metadata that were unknown fields. They are kept, and take no part in deciding a conflict.
    folded: SkipJsonSchema[tuple[str, ...]] = Field(default=(), exclude=True)

    @property
    def org_id(self) -> str:
        """The organization that is charged."""
        return self.subject

    @cached_property
    def key(self) -> UUID:
        """The key the event is stored, deduplicated and charged under, within its organization."""
        return event_key(self.source, self.id)

    @property
    def keyed_by_id(self) -> bool:
        """Whether the id alone is the key."""
        return is_event_key(self.id)


class UsageEvent(Envelope):
    """One use of a service by a user of an organization."""

    type: Literal["meter.usage.v1"] = Field(description="The kind of event.")
    data: UsageData
