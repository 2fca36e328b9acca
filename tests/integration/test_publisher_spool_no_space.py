"""A spool on a disk without space, as a limit on the size of files has it for a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.spools import events_of, take_all

from meter.publisher import FsyncPolicy
from meter.publisher.spool import SpoolOutbox

if TYPE_CHECKING:
    from pathlib import Path

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
def test_a_disk_without_space_refuses_and_leaves_no_half_event(tmp_path: Path, policy: FsyncPolicy) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_SPACE, str(tmp_path), policy],
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
    outbox = SpoolOutbox(tmp_path, max_bytes=1 << 30, policy=FsyncPolicy.NONE, wake=lambda: None)
    found = events_of(take_all(outbox))
    assert [each.split(b'"')[3].decode() for each in found] == accepted
    assert (outbox.counters.spool_torn, outbox.counters.spool_corrupt) == (0, 0)
    outbox.end()
