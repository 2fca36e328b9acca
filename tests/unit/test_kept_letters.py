from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from aiormq.abc import DeliveredMessage
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from meter.consumers.kept_letters import Selection, read_letter

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel
    from pamqp.common import FieldTable

SEEN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _message(headers: FieldTable | None, channel: AbstractChannel | None = None) -> DeliveredMessage:
    delivery = Basic.Deliver(consumer_tag="page", delivery_tag=7)
    header = ContentHeader(0, 4, Basic.Properties(content_type="text/plain", headers=headers))
    return DeliveredMessage(delivery, header, b"body", channel)  # type: ignore[arg-type] - it is never asked


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text("a0é\n\0\x1b :-TZ", max_size=50),
    st.binary(max_size=9),
    st.lists(st.integers()),
)
_names = st.sampled_from(
    [
        f"meter-{name}"
        for name in ("reason", "sentence", "first-seen", "attempts", "org-id", "event-id", "part")
    ]
)


@given(st.none() | st.dictionaries(_names, _values))
def test_whatever_the_headers_say_a_letter_can_be_read_and_shown(headers: FieldTable | None) -> None:
    letter = read_letter(_message(headers))
    assert (letter.body, letter.tag, letter.content_type) == (b"body", 7, "text/plain")
    for text in (letter.reason, letter.sentence, letter.org_id, letter.event_id, letter.part):
        assert text is None or text.isprintable()
    assert letter.org_id is None or len(letter.org_id) <= 36
    assert letter.first_seen is None or letter.first_seen.tzinfo is not None
    assert Selection().has(letter)


@pytest.mark.parametrize(
    ("since", "until", "has"),
    [
        (None, None, True),
        (SEEN, None, True),
        (None, SEEN, False),
        (SEEN, SEEN.replace(second=1), True),
        (SEEN.replace(second=1), None, False),
    ],
)
def test_a_time_span_begins_with_its_first_moment_and_ends_before_its_last(
    since: datetime | None, until: datetime | None, has: bool
) -> None:
    letter = read_letter(_message({"meter-first-seen": "2026-01-31T13:00:00+01:00"}))
    assert Selection(since=since, until=until).has(letter) is has


def test_a_letter_without_a_time_is_in_no_time_span() -> None:
    letter = read_letter(_message({"meter-first-seen": "yesterday"}))
    assert not Selection(since=SEEN).has(letter)
    assert not Selection(until=SEEN).has(letter)
    assert Selection().has(letter)
