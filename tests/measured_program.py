"""A program that is run as those of the bench are: it answers, fails, or goes on until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from bench.peers.process import AMQP_URL, DATABASE_URL, say
from bench.programs import Programs


async def fork_one_that_goes_on(folder: Path) -> None:
    """Start another of these as a fork, say its number, and go on."""
    fork = Programs(folder, "", in_haste=True).program("fork", (__spec__.name, "go on"), {})
    await fork.start()
    sys.stdout.write(f"{fork.pid}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["answer", *numbers]:
            sys.stderr.write("about to answer\n")
            sys.stderr.flush()
            addresses = len(os.environ[AMQP_URL]), len(os.environ[DATABASE_URL])
            say({"sum": sum(map(float, numbers)), "addresses": sum(addresses)})
        case ["fail"]:
            sys.exit("out of luck")
        case ["go on"]:
            signal.pause()
        case ["fork", folder]:
            asyncio.run(fork_one_that_goes_on(Path(folder)))
