"""What the contract accepts, and what it makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError
from tests.malformed import body, usage

from meter.credits import millionths
from meter.events import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    MESSAGE_MAX_BYTES,
    KeySource,
    Usage,
    UsageEvent,
    decode_message,
)


def decoded(message: bytes, content_type: str = CONTENT_TYPE_EVENT) -> Usage:
    result = decode_message(message, content_type)
    assert result.refusals == ()
    [event] = result.events
    assert result.original(0) == message
    return event


def with_literal(literal: str, field: str = "quantity") -> Usage:
    return decoded(body("acme", 1, data={field: "@"}).replace(b'"@"', literal.encode()))


def test_every_field_of_an_event_is_read() -> None:
    event = decoded(
        body(
            "acme",
            1,
            time="2026-01-31T13:00:00.123456+01:00",
            data={
                "service_name": "full",
                "quantity": "2.5",
                "credits": "10",
                "api_cost": "0.084",
                "key_source": "byok",
                "request_id": "r-1",
                "metadata": {"model": "m", "input_tokens": 12},
            },
        )
    )

    assert (event.id, event.source, event.org_id) == ("event-1", "tests", "acme")
    assert event.occurred_at == datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    assert (event.user_id, event.service_type, event.service_name) == (
        "alice",
        "contact_lookup",
        "full",
    )
    assert (event.quantity, event.credits, event.api_cost) == (2_500_000, 10_000_000, 84_000)
    assert (event.key_source, event.request_id) == (KeySource.BYOK, "r-1")
    assert event.numbers == {"model": "m", "input_tokens": 12}
    assert event.metadata == '{"model":"m","input_tokens":12}'
    assert event.folded is None


def test_absent_fields_have_the_defaults_of_the_contract() -> None:
    event = decoded(body("acme", 1))

    assert event.quantity == 1_000_000
    assert (event.service_name, event.credits, event.api_cost) == (None, None, None)
    assert (event.key_source, event.request_id, event.metadata, event.numbers) == (None, None, "{}", {})


def test_null_counts_as_absent_for_an_optional_field() -> None:
    event = usage("acme", 1)
    optional = ("service_name", "quantity", "credits", "api_cost", "key_source", "request_id", "metadata")
    nulls = {**event, "data": {**usage("acme", 1)["data"], **dict.fromkeys(optional)}}  # type: ignore[dict-item]

    assert decoded(json.dumps(nulls).encode()) == decoded(body("acme", 1))


@pytest.mark.parametrize(
    ("literal", "amount"),
    [
        ("1.0000000", "1"),
        ("1e2", "100"),
        ("1E-6", "0.000001"),
        ('"1e2"', "100"),
        ('"0.30"', "0.3"),
        ("0.1", "0.1"),
        ("99999999999999.999999", "99999999999999.999999"),
        ("0.000001000000000", "0.000001"),
        ("0e999999", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("123456789012.345678", "123456789012.345678"),
    ],
)
def test_an_amount_is_read_exactly_and_limited_by_value(literal: str, amount: str) -> None:
    assert with_literal(literal).quantity == millionths(Decimal(amount))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00-00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.1+05:30", datetime(2026, 1, 31, 6, 30, 0, 100000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456999Z", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2017-01-01T01:59:60.5+02:00", datetime(2017, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2024-02-29T00:00:00+23:59", datetime(2024, 2, 28, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_to_the_microsecond_and_kept_in_utc(text: str, moment: datetime) -> None:
    read = decoded(body("acme", 1, time=text)).occurred_at

    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json; charset=utf-8",
        "Application/CloudEvents+JSON",
        " application/cloudevents+json ;x",
    ],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(content_type: str) -> None:
    assert decoded(body("acme", 1), content_type).org_id == "acme"


def test_strings_are_limited_by_characters_not_bytes() -> None:
    assert decoded(body("acme", 1, data={"user_id": "😀" * 255})).user_id == "😀" * 255


def test_of_a_repeated_key_the_last_counts_everywhere() -> None:
    message = body("acme", 1, data={"metadata": {"a": 1}}).replace(b'"a": 1', b'"a": 1, "a": 2')
    message = message.replace(b'"subject": "acme"', b'"subject": "evil", "subject": "acme"')

    event = decoded(message)

    assert (event.org_id, event.numbers) == ("acme", {"a": 2})


def test_unknown_fields_are_folded_into_the_metadata_under_a_free_name() -> None:
    event = decoded(
        body(
            "acme",
            1,
            traceparent="00-1",
            region="event's",
            folded="mine",
            data={"region": "data's", "tier": 2, "metadata": {"tier": 1, "event.region": 0}},
        )
    )

    assert event.numbers == {
        "tier": 1,
        "event.region": 0,
        "region": "data's",
        "data.tier": 2,
        "traceparent": "00-1",
        "event.event.region": "event's",
        "folded": "mine",
    }
    assert set(event.folded or ()) == {"region", "data.tier", "traceparent", "event.event.region", "folded"}


def test_numbers_in_the_metadata_are_exact() -> None:
    event = with_literal('{"a":0.1,"b":12345678901234567890123,"c":[1e308,5e-324],"d":-1.50}', "metadata")

    assert event.numbers == {
        "a": Decimal("0.1"),
        "b": 12345678901234567890123,
        "c": [Decimal("1e308"), Decimal("5e-324")],
        "d": Decimal("-1.50"),
    }
    assert event.metadata == '{"a":0.1,"b":12345678901234567890123,"c":[1E+308,5E-324],"d":-1.50}'


def test_metadata_of_exactly_8_kib_and_32_levels_is_accepted() -> None:
    largest = {"é": "n" * (8_192 - len('{"é":""}'.encode()))}
    deepest = json.loads('{"a":' * 32 + "1" + "}" * 32)

    assert len(decoded(body("acme", 1, data={"metadata": largest})).metadata.encode()) == 8_192
    assert decoded(body("acme", 1, data={"metadata": deepest})).numbers == deepest


def test_one_byte_or_one_level_more_of_metadata_is_refused() -> None:
    larger = {"é": "n" * (8_193 - len('{"é":""}'.encode()))}
    deeper = json.loads('{"a":' * 33 + "1" + "}" * 33)

    for metadata, reason in ((larger, "metadata_too_large"), (deeper, "nested_too_deep")):
        [refusal] = decode_message(body("acme", 1, data={"metadata": metadata}), CONTENT_TYPE_EVENT).refusals
        assert refusal.reason == reason


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert decoded(body("acme", 1, data={"metadata": {"path": "\\u0000"}})).numbers == {"path": "\\u0000"}


def test_a_message_of_exactly_one_mebibyte_and_a_batch_of_1000_are_accepted() -> None:
    events = [body("acme", number) for number in range(1_000)]

    result = decode_message(b"[" + b",".join(events).ljust(MESSAGE_MAX_BYTES - 2) + b"]", CONTENT_TYPE_BATCH)

    assert result.refusals == ()
    assert [result.original(index) for index in range(1_000)] == events


def test_an_event_made_in_python_is_held_to_the_same_contract() -> None:
    fields = usage("acme", 1, data={"metadata": {"cost": 0.1}})

    event = UsageEvent.model_validate({**fields, "time": datetime(2026, 1, 31, 12, tzinfo=UTC)})

    assert event.data.metadata == {"cost": Decimal("0.1")}
    for changes in (
        {"time": datetime(2026, 1, 31, 12)},  # noqa: DTZ001 - a naive time is the point
        {"data": {**fields["data"], "quantity": 0.5}},  # type: ignore[dict-item]
        {"data": {**fields["data"], "metadata": {"a": float("nan")}}},  # type: ignore[dict-item]
        {"data": {**fields["data"], "metadata": {1: "a"}}},  # type: ignore[dict-item]
        {"data": {**fields["data"], "metadata": {"a": object()}}},  # type: ignore[dict-item]
        {"data": {**fields["data"], "metadata": {"a": "\ud800"}}},  # type: ignore[dict-item]
        {"surprise": 1},
    ):
        with pytest.raises(ValidationError):
            UsageEvent.model_validate({**fields, **changes})
