"""The spool on its own: files, locks and bounds, without a broker."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from meter.errors import ConfigurationError
from meter.events import MESSAGE_MAX_BYTES
from meter.publisher import BlockingPublisher, FsyncPolicy, Publisher
from meter.publisher.outbox import Message, Refused
from meter.publisher.spool import SpoolOutbox
from meter.publisher.spool.framing import framed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "amqp://meter:hush-hush@127.0.0.1:1/"


class Spools:
    """Outboxes on one folder, all closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: list[SpoolOutbox] = []

    def open(self, *, max_bytes: int = 1 << 30, policy: FsyncPolicy = FsyncPolicy.NONE) -> SpoolOutbox:
        outbox = SpoolOutbox(self.folder, max_bytes=max_bytes, policy=policy, wake=lambda: None)
        self._opened.append(outbox)
        return outbox

    def files(self, suffix: str = "") -> list[Path]:
        return sorted(self.folder.glob(f"*{suffix}"))

    def end(self) -> None:
        for outbox in self._opened:
            outbox.end()


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    opened = Spools(tmp_path)
    yield opened
    opened.end()


def event(number: int) -> bytes:
    return b'{"number":%d}' % number


def take_all(outbox: SpoolOutbox) -> list[Message]:
    outbox.seal()
    messages = []
    while isinstance(message := outbox.take(), Message):
        messages.append(message)
    return messages


def events_of(messages: list[Message]) -> list[bytes]:
    return [each for message in messages for each in message.events]


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


def test_an_event_larger_than_a_segment_has_one_of_its_own(spools: Spools) -> None:
    outbox = spools.open(max_bytes=3 * MESSAGE_MAX_BYTES)
    large = b"x" * (MESSAGE_MAX_BYTES - 2)
    for each in (event(0), large, event(1)):
        assert outbox.add("acme", each) is None
    assert events_of(take_all(outbox)) == [event(0), large, event(1)]


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


NO_SPACE = """
import json, os, resource, sys
from pathlib import Path
from meter.publisher import Publisher

sender = Publisher("amqp://u:p@127.0.0.1:1/", source="test", spool=sys.argv[1], spool_fsync=sys.argv[2])
folder = Path(sys.argv[1])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
ids = [sender.record("acme", "alice", "llm") for _ in range(100)]
size = sum(file.stat().st_size for file in folder.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
ids.append(sender.record("acme", "alice", "llm"))
print(json.dumps({"ids": ids, "size": size, "refused": sender.counters.spool_refused}), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("policy", FsyncPolicy)
def test_a_disk_without_space_refuses_and_leaves_no_half_event(spools: Spools, policy: FsyncPolicy) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_SPACE, str(spools.folder), policy],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = json.loads(done.stdout)
    accepted = [each for each in said["ids"] if each is not None]
    assert said["ids"][-1] is not None
    assert 0 < said["size"] <= 5_000
    assert said["refused"] == 101 - len(accepted) > 0
    assert "cannot be written" in done.stderr
    outbox = spools.open()
    found = events_of(take_all(outbox))
    assert [each.split(b'"')[3].decode() for each in found] == accepted
    assert (outbox.counters.spool_torn, outbox.counters.spool_corrupt) == (0, 0)
