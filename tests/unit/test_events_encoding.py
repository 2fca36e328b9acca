"""What is encoded decodes to the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.malformed import body, usage

from meter.events import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    METADATA_MAX_BYTES,
    UsageEvent,
    decode_message,
    encode_batch,
    encode_event,
    encode_metadata,
    usage_of,
)
from meter.events.folding import fold_unknown_fields

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
amounts = st.decimals(min_value=0, max_value="99999999999999.999999", places=6) | st.integers(0, 10**14 - 1)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(min_value=-(10**20), max_value=10**20)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
optional = {
    "service_name": texts,
    "quantity": amounts,
    "credits": amounts | amounts.map(str),
    "api_cost": amounts,
    "key_source": st.sampled_from(["platform", "byok"]),
    "request_id": texts,
    "metadata": st.dictionaries(texts, values, max_size=5).filter(
        lambda made: len(json.dumps(made, default=str)) < METADATA_MAX_BYTES
    ),
}
events = st.builds(
    UsageEvent,
    specversion=st.just("1.0"),
    type=st.just("meter.usage.v1"),
    id=texts,
    source=texts,
    subject=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{4,35}", fullmatch=True).filter(
        lambda made: made != "system"
    ),
    time=st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from(
            [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(seconds=-1172))]
        ),
    ),
    data=st.fixed_dictionaries({"user_id": texts, "service_type": texts}, optional=optional),
)


@given(events)
def test_an_encoded_event_decodes_to_the_same_event(event: UsageEvent) -> None:
    encoded = encode_event(event)

    [decoded] = decode_message(encoded, CONTENT_TYPE_EVENT).events

    assert msgspec.structs.replace(decoded, time=decoded.occurred_at.isoformat()) == usage_of(event)
    assert decoded.key == str(event.key)


def test_amounts_are_encoded_as_strings_and_absent_fields_left_out() -> None:
    event = UsageEvent.model_validate(usage("acme", 1, data={"credits": "1.50"}))

    assert json.loads(encode_event(event)) == {
        **usage("acme", 1),
        "data": {"user_id": "alice", "service_type": "contact_lookup", "quantity": "1", "credits": "1.5"},
    }


def test_folded_fields_are_encoded_in_the_metadata() -> None:
    event = UsageEvent.model_validate(fold_unknown_fields(usage("acme", 1, extension="x")))

    assert json.loads(encode_event(event))["data"]["metadata"] == {"extension": "x"}


def test_an_encoded_batch_decodes_to_its_events_in_order() -> None:
    encoded = [body("acme", number) for number in range(5)]

    decoded = decode_message(encode_batch(encoded), CONTENT_TYPE_BATCH)

    assert [decoded.original(index) for index in range(5)] == encoded


@pytest.mark.parametrize(
    "encoded", [[], [b"{}"] * 1_001, [b" " * 2**20]], ids=["none", "1,001", "over 1 MiB"]
)
def test_a_batch_outside_the_limits_is_not_encoded(encoded: list[bytes]) -> None:
    with pytest.raises(ValueError, match="a batch must"):
        encode_batch(encoded)


def test_metadata_is_measured_as_compact_utf8() -> None:
    assert encode_metadata({"a": "é", "b": [1, None]}) == '{"a":"é","b":[1,null]}'.encode()
