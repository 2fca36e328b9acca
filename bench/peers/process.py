"""What a program that measures is told by the process that waits for it, and how it answers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

#: In the environment.
AMQP_URL = "BENCH_AMQP_URL"
DATABASE_URL = "BENCH_DATABASE_URL"


def answer(measuring: Coroutine[Any, Any, dict[str, float]]) -> None:
    """Measure with the loop the worker has, and say what came of it."""
    import uvloop  # noqa: PLC0415 - only the process of a peer needs it

    say(uvloop.run(measuring))


def say(measured: dict[str, float]) -> None:
    """Say what was measured, in one line."""
    sys.stdout.write(f"{json.dumps(measured)}\n")
