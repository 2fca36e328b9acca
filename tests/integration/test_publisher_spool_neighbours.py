"""Processes that share a spool folder and are killed at any moment: every accepted event gets confirmed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

from meter.publisher import FsyncPolicy
from meter.publisher.outbox import Message
from meter.publisher.spool import SpoolOutbox

if TYPE_CHECKING:
    from pathlib import Path

#: Records, takes, confirms, gives back, ends, begins again; and notes what was accepted and confirmed.
NEIGHBOUR = """
import os, random, sys
from pathlib import Path
from meter.publisher import FsyncPolicy
from meter.publisher.outbox import Message
from meter.publisher.spool import SpoolOutbox

folder, notes, seed = sys.argv[1:]
choices, number = random.Random(seed), 0
accepted = os.open(f"{notes}/accepted-{os.getpid()}", os.O_CREAT | os.O_WRONLY)
confirmed = os.open(f"{notes}/confirmed-{os.getpid()}", os.O_CREAT | os.O_WRONLY)
while True:
    policy = choices.choice((FsyncPolicy.EVERY_10_MS, FsyncPolicy.NONE))
    bound = choices.choice((50_000, 1_000_000))
    outbox, held = SpoolOutbox(Path(folder), max_bytes=bound, policy=policy, wake=lambda: None), []
    for _ in range(choices.randint(1, 20)):
        for _ in range(choices.randint(0, 60)):
            number += 1
            event = b"%d-%d" % (os.getpid(), number)
            if outbox.add("acme", event) is None:
                os.write(accepted, event + b"\\n")
        outbox.seal()
        while isinstance(message := outbox.take(), Message):
            held.append(message)
        choices.shuffle(held)
        for message in [held.pop() for _ in range(choices.randint(0, len(held)))]:
            if choices.random() < 0.2:
                outbox.give_back(message)
            else:
                os.write(confirmed, b"\\n".join(message.events) + b"\\n")
                outbox.confirm(message)
        os.write(1, b".")
    outbox.end()
"""


def noted(notes: Path, kind: str) -> set[bytes]:
    # The last line of a killed process may be half of one, which it never knew to be written.
    return {line for file in notes.glob(f"{kind}-*") for line in file.read_bytes().split(b"\n")[:-1]}


def test_whoever_is_killed_whenever_every_accepted_event_is_confirmed(tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4))
    moments = random.Random(seed)
    folder, notes = tmp_path / "spool", tmp_path / "notes"
    notes.mkdir()

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", NEIGHBOUR, str(folder), str(notes), str(moments.random())]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    neighbours = [start() for _ in range(3)]
    # Other moments each time it runs, so that few kills a run are many.
    for kill in range(6):
        victim = neighbours.pop(moments.randrange(len(neighbours)))
        assert victim.stdout is not None
        assert victim.stdout.read(moments.randint(1, 60)), f"ended by itself; seed {seed}"
        victim.kill()
        victim.communicate()
        if kill < 3:
            neighbours.append(start())

    heir = SpoolOutbox(folder, max_bytes=1 << 30, policy=FsyncPolicy.NONE, wake=lambda: None)
    left: set[bytes] = set()
    while isinstance(message := heir.take(), Message):
        left |= set(message.events)
        heir.confirm(message)
    accepted = noted(notes, "accepted")
    assert len(accepted) > 500
    assert accepted <= noted(notes, "confirmed") | left, f"seed {seed}"
    assert heir.counters.spool_corrupt == 0
    assert list(folder.iterdir()) == []
