from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from meter.consumers.transport import with_readable_properties

END = b"\xce"


def _header(body_size: int, properties: Basic.Properties) -> bytes:
    return ContentHeader(0, body_size, properties).marshal() + END


def test_properties_that_can_be_read_are_left_alone() -> None:
    header = _header(17, Basic.Properties(content_type="text/plain", headers={"meter-published-at": 1}))
    assert with_readable_properties(header) == header


def test_properties_that_cannot_be_read_are_gone_and_the_body_is_as_long_as_before() -> None:
    header = _header(17, Basic.Properties(content_type="plain")).replace(b"plain", b"pl\xffin")
    guarded = with_readable_properties(header)
    assert len(guarded) == len(header)
    read = ContentHeader()
    read.unmarshal(guarded[:-1])
    assert read.body_size == 17
    assert read.properties.content_type is None


@given(st.binary(max_size=200))
def test_whatever_the_properties_are_the_header_can_be_read(properties: bytes) -> None:
    header = _header(300, Basic.Properties())[:12] + b"\xff\xfc" + properties + END
    guarded = with_readable_properties(header)
    assert len(guarded) == len(header)
    read = ContentHeader()
    read.unmarshal(guarded[:-1])
    assert read.body_size == 300
