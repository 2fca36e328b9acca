from __future__ import annotations

import asyncio

import pytest
from pamqp.commands import Basic
from pamqp.frame import marshal
from tests.frames import delivery

from meter.consumers import tap as tapping
from meter.consumers.allowance import Allowance
from meter.consumers.frames import HEARTBEAT_FRAME, NotAmqp
from meter.consumers.tap import Tap, TappedReader

QOS_OK = marshal(Basic.QosOk(), 1)
DEADLINE_S = 30.0
#: How often the library is told that the connection lives; a second where it is not a test.
TOLD_EVERY_S = 0.2


@pytest.fixture(autouse=True)
def told_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapping, "_HEARTBEAT_INTERVAL_S", TOLD_EVERY_S)


class Tapped:
    """A tapped reader, the socket's side of it, and what came through the tap."""

    def __init__(self, max_bytes: int = 1024 * 1024) -> None:
        self.socket = asyncio.StreamReader()
        self.allowance = Allowance(max_bytes)
        self.taken: list[int] = []
        tap = Tap()
        tap.open(1, self.allowance, lambda some: self.taken.extend(one.tag for one in some))
        self.reader = TappedReader(self.socket, tap)

    async def frame(self) -> bytes:
        """Read a frame as the library does."""
        async with asyncio.timeout(DEADLINE_S):
            frame = await self.reader.readexactly(1)
            frame += await self.reader.readexactly(6)
            return frame + await self.reader.readexactly(int.from_bytes(frame[3:7], "big") + 1)


async def test_the_library_gets_every_frame_but_those_of_deliveries() -> None:
    tapped = Tapped()
    tapped.socket.feed_data(
        b"".join([*delivery(1, [b"one"]), QOS_OK, *delivery(2, [b"two"]), HEARTBEAT_FRAME])
    )
    assert await tapped.frame() == QOS_OK
    assert tapped.taken == [1]
    assert await tapped.frame() == HEARTBEAT_FRAME
    assert tapped.taken == [1, 2]


async def test_a_connection_that_only_delivers_is_alive_to_the_library() -> None:
    tapped = Tapped()
    reading = asyncio.ensure_future(tapped.frame())
    tag = 0
    async with asyncio.timeout(DEADLINE_S):
        while not reading.done():
            tag += 1
            tapped.socket.feed_data(b"".join(delivery(tag, [b"body"])))
            await asyncio.wait([reading], timeout=TOLD_EVERY_S / 20)
    assert await reading == HEARTBEAT_FRAME
    assert tapped.taken == list(range(1, len(tapped.taken) + 1))
    assert len(tapped.taken) >= tag - 1


async def test_a_connection_that_is_held_back_is_alive_to_the_library_and_nothing_more_is_read() -> None:
    tapped = Tapped(max_bytes=4)
    tapped.socket.feed_data(b"".join([*delivery(1, [b"body"]), *delivery(2, [b"next"])]))
    reading = asyncio.ensure_future(tapped.frame())
    await asyncio.sleep(0)
    tapped.socket.feed_data(QOS_OK)
    assert await reading == HEARTBEAT_FRAME
    assert tapped.taken == [1]
    tapped.allowance.release(4)
    assert await tapped.frame() == QOS_OK
    assert tapped.taken == [1, 2]


async def test_a_connection_that_says_nothing_is_not_said_to_be_alive() -> None:
    tapped = Tapped()
    reading = asyncio.ensure_future(tapped.frame())
    done, _ = await asyncio.wait([reading], timeout=1.5 * TOLD_EVERY_S)
    assert not done
    reading.cancel()


async def test_a_connection_closed_between_frames_has_ended() -> None:
    tapped = Tapped()
    tapped.socket.feed_data(b"".join([*delivery(1, [b"one"]), QOS_OK]))
    tapped.socket.feed_eof()
    assert not tapped.reader.at_eof()
    await tapped.frame()
    assert tapped.reader.at_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await tapped.frame()


@pytest.mark.parametrize("sent", [QOS_OK[:3], b"".join(delivery(1, [b"one"]))[:-2]])
async def test_a_connection_closed_within_a_frame_is_an_incomplete_read(sent: bytes) -> None:
    tapped = Tapped()
    tapped.socket.feed_data(sent)
    tapped.socket.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await tapped.frame()
    assert tapped.taken == []


async def test_a_lost_connection_is_an_error_as_the_library_expects_it() -> None:
    tapped = Tapped()
    tapped.socket.set_exception(ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        await tapped.frame()


async def test_what_is_no_amqp_is_an_error_of_the_connection() -> None:
    tapped = Tapped()
    tapped.socket.feed_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(NotAmqp):
        await tapped.frame()
    assert await tapped.reader.read() == b"HTTP/1.1 400 Bad Request\r\n\r\n"


async def test_reading_can_be_cancelled_and_goes_on_where_it_was() -> None:
    tapped = Tapped()
    tapped.socket.feed_data(b"".join(delivery(1, [b"one"])) + QOS_OK[:4])
    reading = asyncio.ensure_future(tapped.frame())
    await asyncio.wait([reading], timeout=0.01)
    reading.cancel()
    tapped.socket.feed_data(QOS_OK[4:])
    assert await tapped.frame() == QOS_OK
    assert tapped.taken == [1]
