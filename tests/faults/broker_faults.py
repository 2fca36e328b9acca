"""A broker that stops, and one that dies."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from meter.local.machine import LOOPBACK
from meter.local.rabbitmq import _ELECT_LEADERS

if TYPE_CHECKING:
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

_DEADLINE_S = 60.0
_POLL_S = 0.1


async def application_stopped(scene: Scene, fault: Fault) -> None:
    """As ``rabbitmqctl stop_app`` and ``start_app`` do."""
    server = scene.rabbitmq
    await server.evaluate("rabbit:stop().")
    await _deaf(server.ports["amqp"])
    with scene.readiness.away("the broker"):
        await asyncio.sleep(fault.seconds)
    await server.evaluate("rabbit:start().")
    await server.answers()
    await server.evaluate(_ELECT_LEADERS)


async def node_killed(scene: Scene, fault: Fault) -> None:
    """As the machine's kernel does when memory runs out."""
    server = scene.rabbitmq
    assert server.child.pid is not None
    os.kill(server.child.pid, signal.SIGKILL)
    await server.child.wait()
    with scene.readiness.away("the broker"):
        await asyncio.sleep(fault.seconds)
    await server.restart()


async def _deaf(port: int) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(_POLL_S)
