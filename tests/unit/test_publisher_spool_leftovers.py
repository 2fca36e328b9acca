"""What others left in the folder of a spool, whole, torn or corrupt, and what is taken away under us."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.spools import event, events_of, take_all

from meter.publisher.outbox import Message, Refused
from meter.publisher.spool.framing import framed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.spools import Spools


def test_the_segment_of_a_living_owner_is_not_adopted(spools: Spools) -> None:
    owner, other = spools.open(), spools.open()
    owner.add("acme", event(1))
    assert isinstance(other.take(), float)
    assert other.counters.spool_adopted == 0


def test_what_an_owner_left_is_adopted_once(spools: Spools) -> None:
    owner = spools.open()
    for number in range(1_500):
        owner.add("acme", event(number))
    confirmed = owner.take()
    assert isinstance(confirmed, Message)
    owner.confirm(confirmed)
    owner.end()
    assert owner.add("acme", event(0)) is Refused.CLOSED
    assert len(spools.files(".segment")) == 1

    heir, late = spools.open(), spools.open()
    messages = take_all(heir)
    assert events_of(messages) == [event(number) for number in range(1_500)]
    assert take_all(late) == []
    for message in messages:
        heir.confirm(message)
    assert spools.files() == []
    counters = heir.counters
    assert (counters.spool_adopted, counters.spool_adopted_confirmed, counters.recorded) == (1_500, 1_500, 0)


def test_own_events_do_not_wait_behind_adopted_ones(spools: Spools) -> None:
    owner = spools.open()
    for number in range(5_000):
        owner.add("acme", event(number))
    owner.end()
    heir = spools.open()
    heir.add("acme", b'{"mine":1}')
    assert b'{"mine":1}' in events_of(take_all(heir)[:2])


def orphan(spools: Spools, content: bytes) -> Path:
    path = spools.folder / "00000000000000000001-1-0.segment"
    path.write_bytes(content)
    return path


def test_a_torn_tail_is_told_and_what_precedes_it_is_sent(
    spools: Spools, caplog: pytest.LogCaptureFixture
) -> None:
    orphan(spools, framed("acme", event(1)) + framed("acme", event(2))[:-1])
    outbox = spools.open()
    (message,) = take_all(outbox)
    assert message.events == (event(1),)
    outbox.confirm(message)
    assert spools.files() == []
    assert (outbox.counters.spool_torn, outbox.counters.spool_corrupt) == (1, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_corrupt_segment_is_set_aside_after_what_is_whole_was_sent(
    spools: Spools, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(b"".join(framed("acme", event(number)) for number in range(3)))
    content[len(content) // 2] ^= 1
    path = orphan(spools, bytes(content))
    outbox = spools.open()
    (message,) = take_all(outbox)
    assert message.events == (event(0), event(2))
    assert spools.files() == [path]
    outbox.confirm(message)
    assert [file.read_bytes() for file in spools.files()] == [bytes(content)]
    assert spools.files() == spools.files(".corrupt")
    assert (outbox.counters.spool_torn, outbox.counters.spool_corrupt) == (0, 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert take_all(spools.open()) == []


@pytest.mark.parametrize("content", [b"", bytes(5_000), b"rubbish"])
def test_a_file_without_events_goes_away_or_aside(spools: Spools, content: bytes) -> None:
    orphan(spools, content)
    assert take_all(spools.open()) == []
    assert spools.files(".segment") == []
    assert len(spools.files(".corrupt")) == (content == b"rubbish")


def test_a_segment_that_somebody_cuts_under_us_is_corrupt_and_the_rest_goes_on(spools: Spools) -> None:
    outbox = spools.open()
    for number in range(10):
        outbox.add("acme", event(number))
    (file,) = spools.files()
    os.truncate(file, file.stat().st_size // 2)
    outbox.add("acme", event(10))
    (message,) = take_all(outbox)
    assert message.events[0] == event(0)
    outbox.add("acme", event(11))
    (later,) = take_all(outbox)
    assert later.events == (event(11),)
    outbox.confirm(message)
    outbox.confirm(later)
    counters = outbox.counters
    assert (counters.spool_corrupt, counters.buffered, counters.recorded) == (1, 0, 12)
    assert outbox.left_through(12) == 0


def test_a_folder_removed_under_us_is_made_anew(spools: Spools) -> None:
    outbox = spools.open(max_bytes=8_000)
    outbox.add("acme", event(0))
    for file in spools.files():
        file.unlink()
    spools.folder.rmdir()
    for number in range(1, 50):
        assert outbox.add("acme", event(number)) is None
    messages = take_all(outbox)
    assert events_of(messages) == [event(number) for number in range(50)]
    for message in messages:
        outbox.confirm(message)
    assert outbox.counters.buffered == 0
