"""What may stand in a path and a query, and how a wrong value is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from meter.api.cursors import (
    CURSOR_MAX_CHARS,
    UnreadableCursor,
    decode_id,
    decode_number,
    decode_position,
    encode_id,
    encode_number,
    encode_position,
)
from meter.db.billing import NEWEST
from meter.db.usage_history import EARLIEST, LATEST, EntryPosition
from meter.db.usage_summary import Interval, Split
from meter.events.fields import Moment, Text100, Text255, exact_decimal

if TYPE_CHECKING:
    from collections.abc import Callable

#: Rows of a page at most: about half a megabyte of entries.
LIMIT_MAX = 1_000
LIMIT_DEFAULT = 100

#: What a summary covers where it is not told.
SUMMARY_PERIOD = timedelta(days=30)

Format = Literal["json", "csv", "ndjson"]
#: For examples.
_SOME_UUID = UUID("019a1c3e-7f00-7000-8000-000000000000")
_SOME_POSITION = EntryPosition(datetime(2026, 1, 31, 12, tzinfo=UTC), _SOME_UUID, 0)
EntryOutcome = Literal["charged", "overage", "unfunded", "unpriced", "void"]

#: Not held to the form of an id: one that no organization can have is as unknown as any other.
OrgId = Annotated[str, Path(description="The organization's id.", examples=["acme"])]
#: The same for a route that reads it itself.
ORG_ID_IN_PATH = {
    "name": "org_id",
    "in": "path",
    "required": True,
    "description": "The organization's id.",
    "schema": {"type": "string", "examples": ["acme"]},
}
SubscriptionId = Annotated[str, Path(description="The subscription's id.", examples=[str(_SOME_UUID)])]
UserId = Annotated[str, Path(description="The user's id, percent-encoded.", examples=["ann@example.com"])]


def amount_pattern(*, digits: int = 14, places: int = 6, ahead: str = "") -> str:
    """Describe an amount in text; exponents and more zeros at the end are read too, without being described.

    Args:
        digits: before the point, at most.
        places: behind it, at most.
        ahead: a condition beside the form, as a lookahead.

    Returns:
        A regular expression for a JSON schema.
    """
    return f"^{ahead}(?:0|[1-9][0-9]{{0,{digits - 1}}})(?:\\.[0-9]{{1,{places}}})?$"


Credits = Annotated[
    Decimal,
    PlainValidator(exact_decimal),
    WithJsonSchema({"type": "string", "pattern": amount_pattern(), "examples": ["12.5"]}),
]


def _without_space(value: object) -> object:
    """A ``+`` that was not percent-encoded arrives as a space; say so instead of "not RFC 3339"."""
    if isinstance(value, str) and " " in value:
        raise PydanticCustomError(
            "time", "must be an RFC 3339 time without a space; in an address, + is written %2B"
        )
    return value


def _readable_by(decode: Callable[[str], object]) -> AfterValidator:
    def check(cursor: str) -> str:
        try:
            decode(cursor)
        except UnreadableCursor:
            raise PydanticCustomError("cursor", "must be the next_cursor of an earlier page") from None
        return cursor

    return AfterValidator(check)


def _decode_uuid(cursor: str) -> UUID:
    try:
        return UUID(decode_id(cursor))
    except ValueError:
        raise UnreadableCursor from None


_Cursor = Annotated[str, Field(max_length=CURSOR_MAX_CHARS)]
_SubscriptionCursor = Annotated[_Cursor, _readable_by(_decode_uuid)]
_IdCursor = Annotated[_Cursor, _readable_by(decode_id)]
_PositionCursor = Annotated[_Cursor, _readable_by(decode_position)]
_NumberCursor = Annotated[_Cursor, _readable_by(decode_number)]
_CURSOR = "The next_cursor of the page before."
_Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX, description="Rows at most.", examples=[50])]
_OnlyUser = Annotated[
    Text255 | None,
    Field(description="Only this user's; members see only their own anyway.", examples=["ann@example.com"]),
]
_Time = Annotated[Moment, BeforeValidator(_without_space)]


class PageQuery(BaseModel):
    """A page of a list."""

    limit: _Limit = LIMIT_DEFAULT
    cursor: _IdCursor | None = Field(None, description=_CURSOR, examples=[encode_id("acme")])

    @property
    def after(self) -> str:
        """The id before the first wanted; empty for the first page."""
        return decode_id(self.cursor)


class SubscriptionsQuery(BaseModel):
    """A page of subscriptions."""

    limit: _Limit = LIMIT_DEFAULT
    cursor: _SubscriptionCursor | None = Field(
        None, description=_CURSOR, examples=[encode_id(str(_SOME_UUID))]
    )

    @property
    def after(self) -> UUID | None:
        """The subscription before the first wanted; None for the first page."""
        return None if self.cursor is None else _decode_uuid(self.cursor)


class PeriodQuery(BaseModel):
    """A half-open period of the time when the usage happened."""

    start: _Time | None = Field(
        None, alias="from", description="RFC 3339 with offset; included.", examples=["2026-01-01T00:00:00Z"]
    )
    end: _Time | None = Field(
        None, alias="to", description="RFC 3339 with offset; excluded.", examples=["2026-02-01T00:00:00Z"]
    )


class EntriesQuery(PeriodQuery):
    """Which entries of the usage history, and how."""

    user_id: _OnlyUser = None
    service_type: Text100 | None = Field(None, description="Only this service type.", examples=["llm"])
    outcome: EntryOutcome | None = Field(
        None, description="Only entries of this outcome.", examples=["charged"]
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=LIMIT_MAX,
        description=f"Entries at most. JSON: {LIMIT_DEFAULT} where absent. CSV and NDJSON: all where absent.",
        examples=[50],
    )
    cursor: _PositionCursor | None = Field(
        None, description=_CURSOR, examples=[encode_position(_SOME_POSITION)]
    )
    format: Format | None = Field(None, description="Goes before the Accept header.", examples=["json"])

    @property
    def after(self) -> EntryPosition:
        """Where the answer begins: after the cursor, or before the end of the period."""
        end = EntryPosition.before(self.end or LATEST)
        if self.cursor is None:
            return end
        # A cursor of another period does not widen this one.
        return min(end, decode_position(self.cursor))

    @property
    def first(self) -> datetime:
        """The beginning of the period."""
        return self.start or EARLIEST


class SummaryQuery(PeriodQuery):
    """Which usage to add up, and how finely."""

    user_id: _OnlyUser = None
    interval: Interval = Field(
        "day", description="Spans of the time series, in UTC; weeks begin on Monday.", examples=["week"]
    )
    group_by: Split | None = Field(
        None,
        description="Splits the time series; beyond ten parts the rest is one without a name.",
        examples=["service_type"],
    )

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the period; without ``to`` it ends now, without ``from`` it is thirty days long.

        Args:
            now: the present moment.
        """
        end = self.end or now
        return self.start or max(end, EARLIEST + SUMMARY_PERIOD) - SUMMARY_PERIOD, end


class BillingHistoryQuery(BaseModel):
    """Which entries of the history of balances and money."""

    start: _Time | None = Field(
        None,
        alias="from",
        description="Recorded then or later, RFC 3339 with offset.",
        examples=["2026-01-01T00:00:00Z"],
    )
    end: _Time | None = Field(
        None,
        alias="to",
        description="Recorded before, RFC 3339 with offset.",
        examples=["2026-02-01T00:00:00Z"],
    )
    event_type: Text100 | None = Field(
        None, description="Only entries of this type.", examples=["credits_purchase"]
    )
    limit: _Limit = LIMIT_DEFAULT
    cursor: _NumberCursor | None = Field(None, description=_CURSOR, examples=[encode_number(4_711)])

    @property
    def before(self) -> int:
        """The id before the first wanted."""
        return NEWEST if self.cursor is None else decode_number(self.cursor)


class CheckQuery(BaseModel):
    """A charge that someone thinks of making."""

    user_id: Text255 | None = Field(
        None, description="Who would use it; the caller where absent.", examples=["ann@example.com"]
    )
    credits: Credits = Field(description="How many, as a decimal of at most six places.")
