"""What becomes of publishers when the process forks and when it ends."""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import time
import weakref
from typing import Any, Protocol

#: How long closing may take by default, and the exit for all publishers together, in seconds: orchestrators
#: grant as much before they kill.
CLOSE_SECONDS = 10.0


class Living(Protocol):
    """A publisher, as far as the life of its process goes."""

    def begin_in_child(self) -> None:
        """Forget everything of the parent's, in a forked child."""

    def finish_at_exit(self, timeout: float) -> None:
        """Send what is left, within so many seconds, when the interpreter exits."""


#: Every publisher that may have something to send when the process forks or exits.
_living: weakref.WeakSet[Living] = weakref.WeakSet()
#: Loops, tasks and connections of the parent, or of a loop that is gone. They must not be finalised here:
#: closing a loop of the parent's would take its sockets out of the epoll set that both processes share.
_never_finalised: list[object] = []


def watch_over(publisher: Living) -> None:
    """Have a publisher told of forks and of the exit, for as long as somebody holds it."""
    _living.add(publisher)


def leave_behind(*what: object) -> None:
    """Keep objects that belong to somebody else from being finalised by us."""
    _never_finalised.extend(each for each in what if each is not None)


class SendingLoop(asyncio.SelectorEventLoop):
    """An event loop that still finds the broker's address when the interpreter is about to exit."""

    async def getaddrinfo(self, *address: Any, **hints: Any) -> Any:
        """Resolve in a thread, or in ours once no other is to be had."""
        try:
            return await super().getaddrinfo(*address, **hints)
        except RuntimeError:  # executors end before the functions that are called at exit
            return socket.getaddrinfo(*address, **hints)


def _finish_all() -> None:
    deadline = time.monotonic() + CLOSE_SECONDS
    for publisher in list(_living):
        publisher.finish_at_exit(max(0.0, deadline - time.monotonic()))


def _begin_all_anew() -> None:
    for publisher in list(_living):
        publisher.begin_in_child()


atexit.register(_finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_anew)
