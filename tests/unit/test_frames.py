from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic, Channel
from pamqp.frame import marshal
from tests.frames import END, delivery

from meter.consumers.allowance import Allowance
from meter.consumers.frames import HEARTBEAT_FRAME, Frames, NotAmqp
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pamqp.common import FieldTable

CHANNEL = 1
MIB = 1024 * 1024

#: What is no delivery of the channel, whatever comes before and after.
OTHERS = (
    HEARTBEAT_FRAME,
    marshal(Basic.QosOk(), 2),
    *delivery(7, [b"of another channel"], channel=2),
)
#: Not within a delivery: a broker sends a message of a channel in one piece.
BETWEEN = (marshal(Basic.ConsumeOk("ctag1.0a1b2c"), CHANNEL), marshal(Basic.Cancel("ctag1.0a1b2c"), CHANNEL))

_parts = st.lists(st.binary(min_size=1, max_size=40), max_size=4)
_properties = st.sampled_from(
    [
        Basic.Properties(),
        Basic.Properties(
            content_type=CONTENT_TYPE_EVENT, headers={"meter-published-at": 1_760_000_000_000_000}
        ),
        Basic.Properties(content_type=CONTENT_TYPE_BATCH, delivery_mode=2, headers={"x-delivery-count": 2}),
    ]
)


def _opened(max_bytes: int = MIB) -> tuple[Frames, Allowance]:
    frames, allowance = Frames(), Allowance(max_bytes)
    frames.take_from(CHANNEL, allowance)
    return frames, allowance


def _through(frames: Frames, chunks: Iterable[bytes]) -> list[bytes | tuple[int, bytes]]:
    """Feed chunks; return tag and body of deliveries, and other frames, as they came out."""
    came: list[bytes | tuple[int, bytes]] = []
    for chunk in chunks:
        frames.feed(chunk)
        while True:
            frame = frames.next_frame()
            came += [(taken.tag, taken.body) for taken in frames.take_deliveries()]
            if frame is None:
                break
            came.append(frame)
    return came


@st.composite
def _streams(draw: st.DrawFn) -> tuple[bytes, list[bytes | tuple[int, bytes]]]:
    """A stream of frames, and what should come out of it."""
    sent: list[bytes] = []
    expected: list[bytes | tuple[int, bytes]] = []

    def others(choice: tuple[bytes, ...]) -> None:
        some = draw(st.lists(st.sampled_from(choice), max_size=2))
        sent.extend(some)
        expected.extend(some)

    for tag in range(1, draw(st.integers(1, 4)) + 1):
        others(OTHERS + BETWEEN)
        parts = draw(_parts)
        for frame in delivery(tag, parts, properties=draw(_properties)):
            sent.append(frame)
            if len(sent) % 3 == 0 and draw(st.booleans()):
                sent.append(OTHERS[0])
                expected.append(OTHERS[0])
        # The last frame of a delivery may have been followed by another channel's.
        if sent[-1] == OTHERS[0] and expected and expected[-1] == OTHERS[0]:
            expected.insert(len(expected) - 1, (tag, b"".join(parts)))
        else:
            expected.append((tag, b"".join(parts)))
    others(OTHERS + BETWEEN)
    return b"".join(sent), expected


@given(_streams(), st.data())
def test_deliveries_are_taken_out_and_all_else_is_left_in_order_wherever_the_chunks_end(
    stream: tuple[bytes, list[bytes | tuple[int, bytes]]], data: st.DataObject
) -> None:
    sent, expected = stream
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent) - 1), max_size=12)))
    chunks = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    frames, _ = _opened()
    assert _through(frames, chunks) == expected
    assert not frames.has_rest


STREAM = b"".join(
    [
        BETWEEN[0],
        *delivery(1, [b"one"], properties=Basic.Properties(content_type=CONTENT_TYPE_EVENT)),
        *delivery(2, []),
        HEARTBEAT_FRAME,
        *delivery(3, [b"in ", b"three ", b"parts"]),
        BETWEEN[1],
    ]
)
CAME = [BETWEEN[0], (1, b"one"), (2, b""), HEARTBEAT_FRAME, (3, b"in three parts"), BETWEEN[1]]


def test_a_chunk_may_end_at_every_byte() -> None:
    for cut in range(len(STREAM) + 1):
        frames, allowance = _opened()
        assert _through(frames, [STREAM[:cut], STREAM[cut:]]) == CAME, f"cut at {cut}"
        assert allowance.held_bytes == len(b"onein three parts"), f"cut at {cut}"


def test_every_byte_may_come_alone() -> None:
    frames, _ = _opened()
    assert _through(frames, [bytes((byte,)) for byte in STREAM]) == CAME


def test_nothing_is_taken_before_it_is_asked_for() -> None:
    sent = delivery(1, [b"body"])
    assert _through(Frames(), [b"".join(sent)]) == sent


@pytest.mark.parametrize("whole", [True, False])
def test_what_may_not_be_held_waits_and_the_rest_behind_it(whole: bool) -> None:
    parts = [b"b" * 60] if whole else [b"b" * 30] * 2
    frames, allowance = _opened(max_bytes=100)
    sent = [*delivery(1, [b"a" * 50]), *delivery(2, parts), *delivery(3, [b"c"])]
    assert _through(frames, [b"".join(sent)]) == [(1, b"a" * 50)]
    assert frames.held_back == 60
    assert _through(frames, []) == []
    allowance.release(50)
    assert frames.next_frame() is None
    assert frames.held_back is None
    assert [taken.tag for taken in frames.take_deliveries()] == [2, 3]
    assert allowance.held_bytes == 61


@given(st.binary(max_size=120))
def test_whatever_the_properties_are_the_message_is_delivered(properties: bytes) -> None:
    frames, _ = _opened()
    sent = [*delivery(1, [b"body"], raw_properties=properties), *delivery(2, [b"next"])]
    assert _through(frames, [b"".join(sent)]) == [(1, b"body"), (2, b"next")]


def test_a_delivery_carries_what_its_header_says() -> None:
    frames, _ = _opened()
    headers: FieldTable = {"meter-published-at": 1_760_000_000_000_000, "x-delivery-count": 2}
    properties = Basic.Properties(content_type="text/plain", headers=headers)
    frames.feed(b"".join(delivery(9, [b"body"], properties=properties)))
    frames.next_frame()
    (taken,) = frames.take_deliveries()
    assert (taken.tag, taken.body, taken.content_type) == (9, b"body", "text/plain")
    assert (taken.attempts, taken.published_us) == (3, 1_760_000_000_000_000)
    assert taken.received_at > 0


def _frame(kind: int, payload: bytes, channel: int = CHANNEL, end: bytes = END) -> bytes:
    return pack(">BHI", kind, channel, len(payload)) + payload + end


_METHOD, _HEADER, _BODY = delivery(1, [b"body"])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"AMQP\x00\x00\x09\x01", id="another version of the protocol"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another protocol"),
        pytest.param(_frame(1, b"\x00\x0a\x00\x0a", end=b"\x00"), id="a frame without its end mark"),
        pytest.param(_METHOD + _HEADER[:-1] + b"\x00" + _BODY, id="a header without its end mark"),
        pytest.param(_METHOD + _HEADER + _BODY[:-1] + b"\x00", id="a body without its end mark"),
        pytest.param(_frame(1, b"\x00\x3c\x00\x3c"), id="a delivery without a consumer"),
        pytest.param(_frame(1, b"\x00\x3c\x00\x3c\x01a\x00"), id="a delivery without a tag"),
        pytest.param(_METHOD + _BODY, id="a body without a header"),
        pytest.param(_METHOD + _frame(2, b"\x00\x3c"), id="a header cut short"),
        pytest.param(_METHOD + _HEADER + _HEADER, id="two headers"),
        pytest.param(_METHOD + _HEADER + _frame(3, b"body and more"), id="more of a body than was said"),
        pytest.param(_METHOD + _METHOD, id="a delivery within a delivery"),
        pytest.param(
            _METHOD + _HEADER + marshal(Channel.CloseOk(), CHANNEL), id="a method within a delivery"
        ),
    ],
)
def test_what_makes_no_sense_is_an_error_of_the_connection(sent: bytes) -> None:
    frames, _ = _opened()
    with pytest.raises(NotAmqp):
        _through(frames, [sent])
