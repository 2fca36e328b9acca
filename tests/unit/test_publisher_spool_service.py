"""A spool as a service meets it: settings, permissions, what ``record`` says, and the end of the process."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from meter.errors import ConfigurationError
from meter.publisher import BlockingPublisher, Publisher

if TYPE_CHECKING:
    from pathlib import Path

URL = "amqp://meter:hush-hush@127.0.0.1:1/"


def test_neither_folder_nor_files_are_for_others_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "spool"
    sender = Publisher(URL, source="test", spool=folder)
    assert list(folder.iterdir()) == []
    assert sender.record("acme", "alice", "llm") is not None
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o077, file.stat().st_mode & 0o077) == (0, 0)
    sender._outbox.end()


WRONG: dict[str, dict[str, Any]] = {
    "a file": {"spool": __file__},
    "a folder that cannot be": {"spool": f"{__file__}/spool"},
    "no such policy": {"spool_fsync": "sometimes"},
    "no bytes": {"spool_max_bytes": 0},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("kind", [Publisher, BlockingPublisher])
def test_settings_that_cannot_be_used_are_refused_at_once(
    kind: type[Publisher | BlockingPublisher], wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"spool folder|fsync policy|bounds"):
        kind(URL, source="test", **wrong)


async def test_record_says_none_and_logs_why_when_the_spool_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Publisher(URL, source="test", spool=tmp_path, spool_max_bytes=1_000)
    with caplog.at_level(logging.WARNING, logger="meter.publisher"):
        ids = [sender.record("acme", "alice", "llm") for _ in range(20)]
    assert ids[0] is not None
    assert ids[-1] is None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "holds no more than its 1000 bytes" in caplog.text
    assert sender.counters.spool_refused == ids.count(None)
    accepted = len(ids) - ids.count(None)
    assert await sender.close(0) == accepted
    assert f"{accepted} usage events" in caplog.text
    assert "are kept in" in caplog.text


@pytest.mark.parametrize("spooled", [False, True])
@pytest.mark.parametrize("kind", [Publisher, BlockingPublisher])
def test_the_exit_of_the_interpreter_waits_no_longer_than_its_deadline(
    kind: type[Publisher | BlockingPublisher],
    spooled: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = kind(URL, source="test", spool=tmp_path if spooled else None)
    assert sender.record("acme", "alice", "llm") is not None
    begun = time.monotonic()
    sender.finish_at_exit(0.2)
    assert time.monotonic() - begun < 3
    assert "closed with 1 usage events" in caplog.text
    assert sender.record("acme", "alice", "llm") is None
    assert len(list(tmp_path.iterdir())) == spooled
