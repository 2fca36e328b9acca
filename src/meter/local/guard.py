"""Runs one server and ends it when meter goes away, however meter goes away.

Not imported but run as a program of its own, with nothing but the standard library:
``python -I -S guard.py JSON``. Its standard input is a pipe that only meter holds the other end of, so the
kernel closes it even when meter is killed with SIGKILL.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


def main(specification: str) -> int:
    """Run the command until it ends or standard input closes.

    Args:
        specification: JSON with ``command``, ``log``, ``stop_signal``, ``grace_seconds`` and ``account``,
            which is ``[uid, gid]`` or null.

    Returns:
        The command's exit code; 128 plus the signal's number when a signal ended it.
    """
    wanted: dict[str, Any] = json.loads(specification)
    child = _spawn(wanted)
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()

    def stop(*_: object) -> None:
        _stop(child, wanted["stop_signal"], wanted["grace_seconds"])

    def stop_when_orphaned() -> None:
        while os.read(0, 64):
            pass
        stop()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop, daemon=True).start())
    threading.Thread(target=stop_when_orphaned, daemon=True).start()
    code = child.wait()
    _kill_group(child.pid)
    return code if code >= 0 else 128 - code


def _spawn(wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
    demotion: dict[str, Any] = {}
    if wanted["account"] is not None:
        uid, gid = wanted["account"]
        demotion = {"user": uid, "group": gid, "extra_groups": []}
    with Path(wanted["log"]).open("ab", buffering=0) as log:
        return subprocess.Popen(  # noqa: S603 - what to run is meter's own choice
            wanted["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            **demotion,
        )


def _stop(child: subprocess.Popen[bytes], stop_signal: str, grace_seconds: float) -> None:
    child.send_signal(signal.Signals[stop_signal])
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        _kill_group(child.pid)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
