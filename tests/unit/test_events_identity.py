"""The key an event is charged under; the database computes the same."""

from __future__ import annotations

import json
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.malformed import usage

from meter.events import EVENT_KEY_NAMESPACE, UsageEvent, event_key, new_event_id

V7 = "019c13f0-7a00-7c3a-8a5e-0123456789ab"


def test_the_namespace_never_changes() -> None:
    assert UUID("5d4f8235-758f-4ec5-8589-1998ef3da7c0") == EVENT_KEY_NAMESPACE


@pytest.mark.parametrize(
    ("source", "event_id", "key"),
    [
        ("tests", "event-1", "3e4f7f94-ae46-5579-a32f-9158bcd9a686"),
        ("file:sha256:ab", "7", "13e71680-bd11-5b21-8461-5c9fd5d2d28e"),
        (
            'quote " back \\ slash /',
            "ünïcode 😀\t\x01\x7f\u2028",
            "64763d75-e778-5cc9-8f93-621876fbc209",
        ),
        ("any source", V7, V7),
    ],
)
def test_the_key_of_an_event_never_changes(source: str, event_id: str, key: str) -> None:
    assert event_key(source, event_id) == UUID(key)


@pytest.mark.parametrize(
    "event_id",
    [
        V7.upper(),
        V7.replace("-", ""),
        f"{{{V7}}}",
        V7.replace("7c3a", "4c3a"),
        V7.replace("8a5e", "ca5e"),
        f"{V7}\n",
        V7.replace("019c13f0", "xxxxxxxx"),
        V7.replace("0", "٠"),
    ],
    ids=[
        "upper case",
        "no dashes",
        "braces",
        "version 4",
        "another variant",
        "line break",
        "no digits",
        "other digits",
    ],
)
def test_an_id_that_only_resembles_a_canonical_uuid7_is_keyed_with_its_source(event_id: str) -> None:
    event = UsageEvent.model_validate(
        usage("acme", 1, id=event_id, data={"user_id": "u", "service_type": "llm"})
    )

    assert not event.keyed_by_id
    assert event.key == event_key("tests", event_id) != event_key("elsewhere", event_id)
    assert event.key.version == 5


def test_a_canonical_uuid7_is_the_key_alone() -> None:
    event = UsageEvent.model_validate(usage("acme", 1, id=V7))

    assert event.keyed_by_id
    assert event.key == UUID(V7)


def test_ids_made_in_a_row_are_keys_in_the_order_of_time() -> None:
    ids = [new_event_id() for _ in range(1_000)]

    assert all(event_key("any", made) == UUID(made) for made in ids)
    assert sorted(set(ids)) == ids


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_derived_key_is_the_uuid5_of_the_compact_json_array(source: str, event_id: str) -> None:
    name = json.dumps([source, event_id], separators=(",", ":"), ensure_ascii=False)

    assert event_key(source, event_id) == uuid5(EVENT_KEY_NAMESPACE, name)
