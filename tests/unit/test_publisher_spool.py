"""What goes into a spool and comes out of it again: order, bounds, and a disk that takes no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.spools import event, events_of, take_all

from meter.events import MESSAGE_MAX_BYTES
from meter.publisher import FsyncPolicy
from meter.publisher.outbox import Message, Refused
from meter.publisher.spool.folder import new_segment
from meter.publisher.spool.framing import framed

if TYPE_CHECKING:
    from tests.spools import Spools


@pytest.mark.parametrize("policy", FsyncPolicy)
def test_what_is_added_comes_out_in_order(spools: Spools, policy: FsyncPolicy) -> None:
    outbox = spools.open(policy=policy)
    many = 20 if policy is FsyncPolicy.EVERY_RECORD else 2_500
    for number in range(many):
        assert outbox.add("acme", event(number)) is None
    messages = take_all(outbox)
    assert events_of(messages) == [event(number) for number in range(many)]
    assert {message.routing_key for message in messages} == {"acme"}
    assert max(len(message.events) for message in messages) == min(many, 1_000)


def test_a_segment_goes_when_everything_in_it_is_confirmed_and_not_before(spools: Spools) -> None:
    outbox = spools.open(max_bytes=80_000)
    for number in range(400):
        assert outbox.add("acme", event(number)) is None
    assert len(spools.files()) == 2
    *messages, last = take_all(outbox)
    for message in reversed(messages):
        outbox.confirm(message)
    assert len(spools.files()) == 1
    outbox.confirm(last)
    assert spools.files() == []
    assert (outbox.counters.confirmed, outbox.counters.buffered, outbox.counters.buffered_bytes) == (
        400,
        0,
        0,
    )
    assert outbox.add("acme", event(400)) is None
    assert events_of(take_all(outbox)) == [event(400)]


def test_a_message_given_back_is_first_in_line_again(spools: Spools) -> None:
    outbox = spools.open()
    for number in range(3_000):
        outbox.add("acme", event(number))
    first, second, third = take_all(outbox)
    outbox.give_back(second)
    assert outbox.left_through(1_500) == 1_500
    assert outbox.take() is second
    outbox.confirm(third)
    outbox.confirm(second)
    assert outbox.left_through(2_500) == outbox.left_through(1_000) == 1_000
    assert outbox.counters.retried == 1_000
    outbox.give_all_back()
    assert outbox.take() is first
    outbox.confirm(first)
    assert outbox.left_through(3_000) == 0


def test_a_few_events_wait_a_moment_for_company(spools: Spools) -> None:
    outbox = spools.open()
    outbox.add("acme", event(1))
    waiting = outbox.take()
    assert isinstance(waiting, float)
    assert 0 < waiting <= 0.05
    outbox.seal()
    assert isinstance(outbox.take(), Message)


def test_a_full_spool_refuses_until_there_is_room(spools: Spools) -> None:
    outbox = spools.open(max_bytes=10_000)
    accepted = 0
    while outbox.add("acme", event(accepted)) is None:
        accepted += 1
    assert sum(file.stat().st_size for file in spools.files()) <= 10_000
    assert outbox.add("acme", event(0)) is Refused.SPOOL
    assert not outbox.has_room
    assert "10000 bytes" in outbox.trouble
    for message in take_all(outbox):
        outbox.confirm(message)
    assert outbox.has_room
    assert outbox.add("acme", event(0)) is None
    counters = outbox.counters
    assert (counters.spooled, counters.spool_refused, counters.dropped) == (accepted + 1, 2, 2)


def test_what_others_hold_counts_against_the_bound(spools: Spools) -> None:
    full = spools.open()
    while full.counters.recorded < 1_000:
        full.add("acme", event(0))
    assert spools.open(max_bytes=10_000).add("acme", event(0)) is Refused.SPOOL


def test_an_event_larger_than_a_segment_has_one_of_its_own(spools: Spools) -> None:
    outbox = spools.open(max_bytes=3 * MESSAGE_MAX_BYTES)
    large = b"x" * (MESSAGE_MAX_BYTES - 2)
    for each in (event(0), large, event(1)):
        assert outbox.add("acme", each) is None
    assert events_of(take_all(outbox)) == [event(0), large, event(1)]


def test_an_append_that_could_not_be_synced_is_taken_back(spools: Spools) -> None:
    segment = new_segment(spools.folder)
    one, other = framed("acme", event(1)), framed("acme", event(2))
    segment.append(one)
    segment.append(other)
    segment.take_back(other)
    assert segment.path.read_bytes() == one
    assert segment.read(segment.size).events == (event(1),)
    segment.release()
