"""The buffer between record and the broker, without a broker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meter.events import MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS
from meter.publisher.outbox import LINGER_SECONDS, Message, Outbox, Refused


class Bell:
    """Counts how often the outbox woke its sender."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


def outbox(max_events: int = 100_000, max_bytes: int = 1 << 30, bell: Bell | None = None) -> Outbox:
    return Outbox(max_events=max_events, max_bytes=max_bytes, wake=bell or Bell())


def drain(box: Outbox) -> list[Message]:
    box.seal()
    messages = []
    while isinstance(message := box.take(), Message):
        messages.append(message)
    return messages


def test_a_message_is_sealed_at_a_thousand_events() -> None:
    box = outbox()
    for _ in range(2 * MESSAGE_MAX_EVENTS + 1):
        assert box.add("acme", b"{}") is None
    assert [len(message.events) for message in drain(box)] == [MESSAGE_MAX_EVENTS, MESSAGE_MAX_EVENTS, 1]


def test_a_message_is_sealed_before_it_outgrows_its_bytes() -> None:
    box = outbox()
    event = b"x" * (MESSAGE_MAX_BYTES // 10)
    for _ in range(25):
        box.add("acme", event)
    messages = drain(box)
    assert sum(len(message.events) for message in messages) == 25
    assert all(len(b"[" + b",".join(message.events) + b"]") <= MESSAGE_MAX_BYTES for message in messages)
    assert [len(message.events) for message in messages] == [9, 9, 7]


def test_a_message_may_fill_its_bytes_exactly() -> None:
    box = outbox()
    half = (MESSAGE_MAX_BYTES - 3) // 2
    box.add("acme", b"x" * half)
    box.add("acme", b"x" * (MESSAGE_MAX_BYTES - 3 - half))
    box.add("acme", b"x")
    assert [len(message.events) for message in drain(box)] == [2, 1]


@given(st.lists(st.integers(min_value=1, max_value=MESSAGE_MAX_BYTES // 3), max_size=60))
def test_whatever_is_added_comes_out_in_order_within_the_limits(sizes: list[int]) -> None:
    box = outbox()
    events = [bytes(size) for size in sizes]
    for event in events:
        box.add("acme", event)
    messages = drain(box)
    assert [event for message in messages for event in message.events] == events
    assert all(1 <= len(message.events) <= MESSAGE_MAX_EVENTS for message in messages)
    assert all(
        sum(map(len, message.events)) + len(message.events) + 1 <= MESSAGE_MAX_BYTES for message in messages
    )


def test_a_message_is_routed_by_its_first_event() -> None:
    box = outbox()
    box.add("acme", b"{}")
    box.add("umbrella", b"{}")
    assert [message.routing_key for message in drain(box)] == ["acme"]


def test_an_event_waits_for_company_no_longer_than_the_linger() -> None:
    box = outbox()
    box.add("acme", b"{}")
    waits = box.take()
    assert isinstance(waits, float)
    assert 0 < waits <= LINGER_SECONDS


def test_the_sender_is_woken_twice_per_message_at_most() -> None:
    bell = Bell()
    box = outbox(bell=bell)
    assert box.take() is None
    box.add("acme", b"{}")
    assert bell.rung == 1
    assert isinstance(box.take(), float)
    for _ in range(MESSAGE_MAX_EVENTS - 1):
        box.add("acme", b"{}")
    assert bell.rung == 2
    for _ in range(5 * MESSAGE_MAX_EVENTS):
        box.add("acme", b"{}")
    assert bell.rung == 2


def test_a_full_buffer_refuses_and_counts_until_something_is_confirmed() -> None:
    box = outbox(max_events=2)
    assert box.add("acme", b"12345") is None
    assert box.add("acme", b"12345") is None
    assert box.add("acme", b"12345") is Refused.FULL
    assert (box.counters.recorded, box.counters.buffered, box.counters.dropped) == (2, 2, 1)
    for message in drain(box):
        box.confirm(message)
    assert box.add("acme", b"12345") is None
    assert (box.counters.recorded, box.counters.confirmed, box.counters.buffered) == (3, 2, 1)


def test_a_buffer_full_by_bytes_refuses() -> None:
    box = outbox(max_bytes=9)
    assert box.add("acme", b"12345") is None
    assert box.add("acme", b"12345") is Refused.FULL
    assert box.add("acme", b"1234") is None
    assert box.counters.buffered_bytes == 9


def test_a_message_on_its_way_still_takes_room() -> None:
    box = outbox(max_events=1)
    box.add("acme", b"{}")
    drain(box)
    assert box.add("acme", b"{}") is Refused.FULL


def test_a_message_given_back_is_the_next_to_be_sent_and_counts_as_retried() -> None:
    box = outbox()
    box.add("acme", b"1")
    (first,) = drain(box)
    box.add("acme", b"2")
    box.seal()
    box.give_back(first)
    assert box.take() is first
    assert box.counters.retried == 1


def test_a_closed_outbox_refuses_but_keeps_what_it_has() -> None:
    box = outbox()
    box.add("acme", b"{}")
    box.close()
    assert box.add("acme", b"{}") is Refused.CLOSED
    assert box.counters.dropped == 0
    assert len(drain(box)) == 1


def test_what_is_left_counts_only_what_came_before() -> None:
    box = outbox()
    box.add("acme", b"1")
    last = box.seal()
    box.add("acme", b"2")
    box.seal()
    assert box.left_through(last) == 1
    first = box.take()
    assert isinstance(first, Message)
    box.confirm(first)
    assert box.left_through(last) == 0
