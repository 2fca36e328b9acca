from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.malformed import body

from meter.consumers.batcher import Batcher
from meter.consumers.deliveries import Delivery
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from meter.consumers.batch import Batch

#: Long enough never to pass in a test that waits for something else.
LONG_MS = 60_000


def _ignore(_messages: int, _events: int, _size: int) -> None:
    pass


def _batcher(max_events: int, max_wait_ms: int = LONG_MS, at_once: int = 2) -> Batcher:
    return Batcher(max_events, max_wait_ms, at_once, _ignore)


def _single(tag: int) -> Delivery:
    return Delivery(tag, body("acme", tag), CONTENT_TYPE_EVENT)


def _batch_of(tag: int, events: int) -> Delivery:
    elements = [json.loads(body("acme", tag * 10_000 + number)) for number in range(events)]
    return Delivery(tag, json.dumps(elements).encode(), CONTENT_TYPE_BATCH)


def _tags(batch: Batch | None) -> list[int]:
    assert batch is not None
    return [message.delivery.tag for message in batch.messages]


async def test_a_batch_goes_out_at_once_while_nothing_is_being_settled() -> None:
    batcher = _batcher(100)
    batcher.extend([_single(1)])
    batcher.extend([_single(2)])
    assert _tags(await batcher.next_batch()) == [1, 2]


async def test_what_comes_right_after_a_batch_is_gathered_for_a_moment() -> None:
    batcher = _batcher(100)
    batcher.extend([_single(1)])
    await batcher.next_batch()
    batcher.settled()
    second = asyncio.ensure_future(batcher.next_batch())
    for tag in (2, 3, 4):
        batcher.extend([_single(tag)])
        await asyncio.sleep(0)
        assert not second.done()
    assert _tags(await second) == [2, 3, 4]


async def test_a_full_batch_goes_out_beside_another() -> None:
    batcher = _batcher(3)
    batcher.extend([_single(1)])
    await batcher.next_batch()
    second = asyncio.ensure_future(batcher.next_batch())
    for tag in (2, 3, 4):
        await asyncio.sleep(0)
        assert not second.done()
        batcher.extend([_single(tag)])
    assert _tags(await second) == [2, 3, 4]


async def test_a_waiting_batch_goes_out_when_nothing_is_being_settled_any_more() -> None:
    batcher = _batcher(100)
    batcher.extend([_single(1)])
    await batcher.next_batch()
    batcher.extend([_single(2)])
    second = asyncio.ensure_future(batcher.next_batch())
    await asyncio.sleep(0)
    assert not second.done()
    batcher.settled()
    assert _tags(await second) == [2]


async def test_a_batch_does_not_wait_longer_than_it_may() -> None:
    batcher = _batcher(100, max_wait_ms=1)
    batcher.extend([_single(1)])
    await batcher.next_batch()
    batcher.extend([_single(2)])
    assert _tags(await batcher.next_batch()) == [2]


async def test_while_as_many_are_settled_as_may_be_a_batch_grows_until_one_is_done() -> None:
    batcher = _batcher(100, max_wait_ms=0, at_once=1)
    batcher.extend([_single(1)])
    await batcher.next_batch()
    second = asyncio.ensure_future(batcher.next_batch())
    for tag in (2, 3, 4):
        batcher.extend([_single(tag)])
        await asyncio.wait([second], timeout=0.01)
        assert not second.done()
    batcher.settled()
    assert _tags(await second) == [2, 3, 4]


async def test_a_batch_that_is_worth_it_goes_out_beside_another() -> None:
    batcher = _batcher(4_000)
    batcher.extend([_single(1)])
    await batcher.next_batch()
    batcher.extend([_batch_of(2, 499)])
    second = asyncio.ensure_future(batcher.next_batch())
    await asyncio.wait([second], timeout=0.1)
    assert not second.done()
    batcher.extend([_single(3)])
    assert _tags(await second) == [2, 3]


async def test_what_is_there_is_taken_as_far_as_a_batch_may_hold_it() -> None:
    batcher = _batcher(1_200)
    batcher.extend([_single(tag) for tag in range(1, 1_501)])
    assert _tags(await batcher.next_batch()) == list(range(1, 1_201))


async def test_a_message_is_never_split_over_two_batches() -> None:
    batcher = _batcher(100)
    for tag in (1, 2, 3):
        batcher.extend([_batch_of(tag, 40)])
    first = await batcher.next_batch()
    assert first is not None
    assert _tags(first) == [1, 2]
    assert len(first.events) == 80
    batcher.settled()
    assert _tags(await batcher.next_batch()) == [3]


async def test_a_message_with_more_events_than_a_batch_may_have_goes_alone() -> None:
    batcher = _batcher(10)
    batcher.extend([_single(1)])
    batcher.extend([_batch_of(2, 25)])
    batcher.extend([_single(3)])
    tags = []
    for _ in range(3):
        tags.append(_tags(await batcher.next_batch()))
        batcher.settled()
    assert tags == [[1], [2], [3]]


async def test_what_cannot_be_read_travels_with_its_batch() -> None:
    batcher = _batcher(100)
    batcher.extend([Delivery(1, b"not json", CONTENT_TYPE_EVENT)])
    batcher.extend([_single(2)])
    batch = await batcher.next_batch()
    assert batch is not None
    assert [len(message.decoded.refusals) for message in batch.messages] == [1, 0]
    assert len(batch.events) == 1
    assert batch.weight == 2


async def test_every_decoded_message_is_reported_with_its_events_and_its_bytes() -> None:
    seen: list[tuple[int, int, int]] = []
    batcher = Batcher(100, LONG_MS, 2, lambda *told: seen.append(told))
    deliveries = [_batch_of(1, 7), _single(2), _batch_of(3, 95)]
    batcher.extend(deliveries)
    await batcher.next_batch()
    assert tuple(map(sum, zip(*seen, strict=True))) == (3, 103, sum(len(one.body) for one in deliveries))


async def test_a_closed_batcher_hands_out_what_it_has_and_then_nothing() -> None:
    batcher = _batcher(2)
    for tag in (1, 2, 3):
        batcher.extend([_single(tag)])
    batcher.close()
    assert _tags(await batcher.next_batch()) == [1, 2]
    assert _tags(await batcher.next_batch()) == [3]
    assert await batcher.next_batch() is None


async def test_closing_wakes_everyone_who_waits_for_a_batch() -> None:
    batcher = _batcher(2)
    waiting = [asyncio.ensure_future(batcher.next_batch()) for _ in range(3)]
    await asyncio.sleep(0)
    batcher.close()
    assert await asyncio.gather(*waiting) == [None, None, None]


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _often(tag: int, attempts: int = 4) -> Delivery:
    return Delivery(tag, b"not even JSON", CONTENT_TYPE_EVENT, attempts)


def _suspicious() -> Batcher:
    return Batcher(100, LONG_MS, 2, _ignore, suspect_attempts=4)


async def test_what_came_often_goes_out_next_together_undecoded_and_with_nothing_beside_it() -> None:
    batcher = _suspicious()
    batcher.extend([_single(1), _often(2, 3)])
    assert _tags(await batcher.next_batch()) == [1, 2]
    batcher.extend([_single(3), _often(4), _single(5), _often(6), _often(7)])
    second = asyncio.ensure_future(batcher.next_batch())
    await _turns()
    assert not second.done()
    batcher.settled()
    suspects = await second
    assert suspects is not None
    assert suspects.suspects == (_often(4), _often(6), _often(7))
    assert (suspects.messages, suspects.events, suspects.weight) == ([], [], 0)
    third = asyncio.ensure_future(batcher.next_batch())
    await _turns()
    assert not third.done()
    batcher.settled()
    assert _tags(await third) == [3, 5]


async def test_suspects_come_while_a_batch_is_formed_and_go_out_after_it() -> None:
    batcher = _suspicious()
    batcher.extend([_single(1)])
    await batcher.next_batch()
    batcher.extend([_single(2)])
    second = asyncio.ensure_future(batcher.next_batch())
    await _turns()
    assert not second.done()
    batcher.extend([_often(3)])
    assert _tags(await second) == [2]


async def test_no_more_suspects_go_out_together_than_are_soon_handled_one_by_one() -> None:
    batcher = _suspicious()
    large = Delivery(1_000, bytes(1024 * 1024), CONTENT_TYPE_EVENT, 4)
    batcher.extend([*(_often(tag) for tag in range(1, 151)), large, _often(1_001)])
    counts = []
    for _ in range(4):
        batch = await batcher.next_batch()
        assert batch is not None
        counts.append(len(batch.suspects))
        batcher.settled()
    # By number first, then by bytes: one that is large goes out with none beside it.
    assert counts == [100, 50, 1, 1]


async def test_a_closed_batcher_still_hands_out_what_came_often() -> None:
    batcher = _suspicious()
    batcher.extend([_often(1), _single(2)])
    batcher.close()
    suspects = await batcher.next_batch()
    assert suspects is not None
    assert suspects.suspects == (_often(1),)
    batcher.settled()
    assert _tags(await batcher.next_batch()) == [2]
    batcher.settled()
    assert await batcher.next_batch() is None
