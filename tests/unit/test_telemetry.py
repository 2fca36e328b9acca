from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
from tests.written_log import written_log

from meter.telemetry import correlation, first_line, get_logger, redact_text

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with written_log("debug") as lines:
        yield lines


def _written(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_carries_the_correlation_id_of_its_block(lines: io.StringIO) -> None:
    log = get_logger("meter.test")
    with correlation(correlation_id="event-1", request_id=None):
        log.info("inside")
    log.info("outside")
    inside, outside = _written(lines)
    assert inside["correlation_id"] == "event-1"
    assert "request_id" not in inside
    assert "correlation_id" not in outside


def test_secrets_and_payloads_are_cut_out_of_every_field(lines: io.StringIO) -> None:
    get_logger("meter.test").info(
        "connected to amqp://meter:s3cret@broker/",
        url="postgresql://meter:s3cret@db/meter",
        admin_password="s3cret",
        body="s3cret",
        nested={"access_token": "s3cret", "list": [b"s3cret"]},
        header="Bearer s3cret",
    )
    assert "s3cret" not in lines.getvalue()
    assert "broker" in lines.getvalue()


def test_of_an_error_only_its_first_line_is_written(lines: io.StringIO) -> None:
    def insert() -> None:
        raise ValueError("refused for amqp://meter:s3cret@broker/\nDETAIL: Failing row contains (s3cret)")

    try:
        insert()
    except ValueError:
        get_logger("meter.test").exception("failed")
    (line,) = _written(lines)
    assert line["error"] == "ValueError"
    assert line["error_text"] == "refused for amqp://meter:***@broker/"
    assert "test_telemetry.py" in str(line["error_at"])
    assert "s3cret" not in lines.getvalue()


def test_libraries_write_through_the_same_redaction(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("lost amqp://meter:s3cret@broker/")
    (line,) = _written(lines)
    assert line["event"] == "lost amqp://meter:***@broker/"
    assert line["level"] == "warning"


@pytest.mark.parametrize("password", ["plain", "with@sign", "with:colon"])
def test_the_password_of_a_url_is_never_shown(password: str) -> None:
    assert (
        redact_text(f"at amqps://meter:{password}@broker:5671/vhost")
        == "at amqps://meter:***@broker:5671/vhost"
    )


def test_an_error_without_words_is_named_by_its_class() -> None:
    assert first_line(TimeoutError()) == "TimeoutError"
