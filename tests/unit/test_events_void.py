"""Voids as the contract has them, and as they are read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from meter.events import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_EVENT,
    RefusalReason,
    Usage,
    Void,
    VoidEvent,
    decode_message,
    encode_batch,
    encode_void,
    event_key,
    new_event_id,
)

NAMED = {"target_source": "shop", "target_id": "order-1", "reason": "twice"}


def body(data: object, **envelope: object) -> bytes:
    usual = {
        "specversion": "1.0",
        "type": "meter.usage.void.v1",
        "id": "v-1",
        "source": "tests",
        "subject": "acme",
        "time": "2026-01-31T12:00:00Z",
        "data": data,
    }
    return json.dumps(usual | envelope).encode()


def read(message: bytes) -> Void:
    decoded = decode_message(message, CONTENT_TYPE_EVENT)
    assert decoded.refusals == ()
    (void,) = decoded.events
    assert isinstance(void, Void)
    return void


def test_a_void_is_read_with_the_key_of_what_it_names() -> None:
    void = read(body(NAMED))

    assert (void.org_id, void.id, void.source) == ("acme", "v-1", "tests")
    assert void.key == str(event_key("tests", "v-1"))
    assert void.target_key == str(event_key("shop", "order-1"))
    assert json.loads(void.metadata) == NAMED
    assert void.folded is None


def test_a_uuid7_is_the_key_of_a_void_and_of_its_target() -> None:
    own, target = new_event_id(), new_event_id()
    void = read(body(NAMED | {"target_id": target}, id=own))

    assert (void.key, void.event_id, void.target_key) == (own, None, target)


def test_unknown_fields_are_kept_and_take_the_place_of_no_known_one() -> None:
    void = read(body(NAMED | {"user_id": "alice", "metadata": {"a": [1]}}, reason="of the event", extra=1))

    assert json.loads(void.metadata) == NAMED | {
        "user_id": "alice",
        "metadata": {"a": [1]},
        "event.reason": "of the event",
        "extra": 1,
    }
    assert set(void.folded or ()) == {"user_id", "metadata", "event.reason", "extra"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"target_id": "e", "reason": "r"}, "data.target_source is missing"),
        ({"target_source": "s", "reason": "r"}, "data.target_id is missing"),
        ({"target_source": "s", "target_id": "e"}, "data.reason is missing"),
        (NAMED | {"reason": ""}, "data.reason must have at least 1 character"),
        (NAMED | {"reason": "r" * 256}, "data.reason must have at most 255 characters"),
        (NAMED | {"target_id": 7}, "data.target_id must be a string"),
        (NAMED | {"target_id": "\0"}, "data.target_id must not contain a NUL character"),
        (NAMED | {"extra": "\0"}, "data.metadata must not contain a NUL character"),
        ([1], "data must be an object"),
        (None, "data must be an object"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(data: object, sentence: str) -> None:
    (refusal,) = decode_message(body(data), CONTENT_TYPE_EVENT).refusals

    assert (refusal.reason, refusal.sentence) == (RefusalReason.INVALID_EVENT, sentence)
    assert (refusal.org_id, refusal.event_id) == ("acme", "v-1")


def test_too_many_unknown_fields_are_refused() -> None:
    (refusal,) = decode_message(body(NAMED | {"extra": "x" * 8_192}), CONTENT_TYPE_EVENT).refusals

    assert refusal.reason is RefusalReason.METADATA_TOO_LARGE


def test_what_is_written_is_read_again() -> None:
    event = VoidEvent.model_validate(
        {
            "specversion": "1.0",
            "type": "meter.usage.void.v1",
            "id": "v-1",
            "source": "tests",
            "subject": "acme",
            "time": datetime(2026, 1, 31, 12, tzinfo=UTC),
            "data": NAMED,
        }
    )

    assert read(encode_void(event)) == read(body(NAMED))


def test_a_void_keeps_its_place_among_the_usage_of_a_batch() -> None:
    usage = {"user_id": "alice", "service_type": "llm"}
    message = encode_batch(
        [body(usage, type="meter.usage.v1", id="a"), body(NAMED), body(usage, type="meter.usage.v1", id="b")]
    )

    decoded = decode_message(message, CONTENT_TYPE_BATCH)

    assert [type(event) for event in decoded.events] == [Usage, Void, Usage]
    assert decoded.original(1) == body(NAMED)
