"""What a single field of an event may hold; every refusal says what the field must be."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, PlainValidator, Strict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from meter.credits import AMOUNT_PATTERN, exact_amount, parse_amount
from meter.errors import AmountOutOfRange, NotAnAmount
from meter.events.reasons import RefusalReason

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

ORG_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
ORG_ID_MAX_CHARS = 36
#: Names the routes and roles of the platform already use where an organization id can stand.
RESERVED_ORG_IDS = ("user", "org", "system", "deduct")

#: RFC 3339, section 5.6. ``[0-9]`` because ``\d`` would take any script's digits.
TIME_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
    r"(?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
_is_time = re.compile(TIME_PATTERN.removesuffix("$")).fullmatch
_TIME_RULE = "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z"
_DATE_RULE = "must be a date of the calendar, between the years 0001 and 9999 in UTC"


def refused(sentence: str, reason: RefusalReason = RefusalReason.INVALID_EVENT) -> PydanticCustomError:
    """Make the error that carries a reason code through pydantic.

    Args:
        sentence: what the field must be, to be read after the field's name.
        reason: the code of the dead letter.

    Returns:
        The error to raise; its type is the code.
    """
    # The message is a template to pydantic: braces of a sentence have to survive it.
    return PydanticCustomError(reason.value, "{sentence}", {"sentence": sentence})


def exact_decimal(value: object) -> Decimal:
    """Read an amount from a number of the JSON text or from a string, never through a float.

    Args:
        value: what the JSON decoder made of it: an int, a Decimal, or a string.

    Returns:
        The amount, at most six decimal places and fourteen integer digits.
    """
    try:
        if isinstance(value, Decimal):
            return exact_amount(value)
        if isinstance(value, str):
            return parse_amount(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return exact_amount(Decimal(value))
    except NotAnAmount as error:
        raise refused(str(error)) from None
    except AmountOutOfRange as error:
        raise refused(str(error), RefusalReason.NUMBER_OUT_OF_RANGE) from None
    raise refused("must be a decimal number or a string that holds one")


def optional_decimal(value: object) -> Decimal | None:
    """Read an amount that may be absent; JSON's null counts as absent."""
    return None if value is None else exact_decimal(value)


def quantity(value: object) -> Decimal:
    """Read a quantity; absent is 1."""
    return Decimal(1) if value is None else exact_decimal(value)


def moment(value: object) -> datetime:
    """Read the moment of an event.

    A leap second (23:59:60 in UTC, nowhere else) counts as the second after it, as in PostgreSQL; digits
    beyond microseconds are cut off.

    Args:
        value: an RFC 3339 string with an offset, or an aware datetime on the publishing side.

    Returns:
        The moment in UTC.
    """
    if isinstance(value, str):
        if not _is_time(value):
            raise refused(_TIME_RULE)
        return _leap_second(value) if value[17] == "6" else _from_text(value)
    if isinstance(value, datetime) and value.utcoffset() is not None:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise refused(_DATE_RULE) from None
    raise refused(_TIME_RULE)


def _from_text(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text if text.isupper() else text.upper())
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise refused(_DATE_RULE) from None


def _leap_second(text: str) -> datetime:
    before = _from_text(f"{text[:17]}59{text[19:]}")
    if (before.hour, before.minute) != (23, 59):
        raise refused("must not have a leap second but at 23:59:60 UTC")
    try:
        return before + timedelta(seconds=1)
    except OverflowError:
        raise refused(_DATE_RULE) from None


def unreserved(value: str) -> str:
    """Refuse an organization id that means something else."""
    if value in RESERVED_ORG_IDS:
        raise refused("must not be one of the reserved words user, org, system, deduct")
    return value


_AMOUNT_SCHEMA: JsonSchemaValue = {
    "type": ["number", "string", "null"],
    "minimum": 0,
    "exclusiveMaximum": 100_000_000_000_000,
    "pattern": AMOUNT_PATTERN,
}
#: PostgreSQL's text cannot hold a NUL.
_NO_NUL = r"^[^\x00]*$"

Quantity = Annotated[Decimal, PlainValidator(quantity), WithJsonSchema(_AMOUNT_SCHEMA)]
OptionalAmount = Annotated[Decimal | None, PlainValidator(optional_decimal), WithJsonSchema(_AMOUNT_SCHEMA)]
Moment = Annotated[
    datetime,
    PlainValidator(moment),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
]
OrganizationId = Annotated[
    str,
    Strict(),
    StringConstraints(min_length=1, max_length=ORG_ID_MAX_CHARS, pattern=ORG_ID_PATTERN),
    AfterValidator(unreserved),
    Field(json_schema_extra={"not": {"enum": list(RESERVED_ORG_IDS)}}),
]
Text128 = Annotated[str, Strict(), StringConstraints(min_length=1, max_length=128, pattern=_NO_NUL)]
Text255 = Annotated[str, Strict(), StringConstraints(min_length=1, max_length=255, pattern=_NO_NUL)]
Text100 = Annotated[str, Strict(), StringConstraints(min_length=1, max_length=100, pattern=_NO_NUL)]
OptionalText200 = Annotated[str, Strict(), StringConstraints(max_length=200, pattern=_NO_NUL)]
OptionalText255 = Annotated[str, Strict(), StringConstraints(max_length=255, pattern=_NO_NUL)]
