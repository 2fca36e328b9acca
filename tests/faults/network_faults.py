"""What a network does between two parts; here one of our proxies does it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.plan import Fault
    from tests.faults.scene import Scene
    from tests.tcp_proxy import TcpProxy

_DELAY_S = 0.2
_BYTES_PER_SECOND = 32_768


def between(
    name: str, proxy_of: Callable[[Scene], TcpProxy], *, lost_to_workers: str | None = None
) -> dict[str, Callable[[Scene, Fault], Awaitable[None]]]:
    """Every fault of the network between two parts, by its name.

    Args:
        name: of the two.
        proxy_of: finds the proxy between them.
        lost_to_workers: what workers cannot use while nothing gets through, where one of the two is a worker.
    """
    acts = {
        "cut": _cut,
        "stalled": _stalled,
        "half open": _half_open,
        "slow to answer": _slow_to_answer,
        "throttled": _throttled,
        "cut in a frame": _cut_in_a_frame,
    }

    def at(act: Callable[[TcpProxy, float], Awaitable[None]]) -> Callable[[Scene, Fault], Awaitable[None]]:
        return lambda scene, fault: act(proxy_of(scene), fault.seconds)

    async def away(scene: Scene, fault: Fault) -> None:
        await _away(scene, proxy_of(scene), fault.seconds, lost_to_workers)

    return {f"{name} {what}": at(act) for what, act in acts.items()} | {f"{name} away": away}


async def _cut(proxy: TcpProxy, _seconds: float) -> None:
    proxy.cut()


async def _away(scene: Scene, proxy: TcpProxy, seconds: float, part: str | None) -> None:
    await proxy.refuse()
    try:
        with scene.readiness.away(part) if part else nullcontext():
            await asyncio.sleep(seconds)
    finally:
        await proxy.listen()


async def _stalled(proxy: TcpProxy, seconds: float) -> None:
    flowing = proxy.stall()
    try:
        await asyncio.sleep(seconds)
    finally:
        flowing.set()


async def _half_open(proxy: TcpProxy, _seconds: float) -> None:
    """The connections there are never speak again, new ones do: whoever holds one has to notice."""
    proxy.silence()


async def _slow_to_answer(proxy: TcpProxy, seconds: float) -> None:
    proxy.delay_s = _DELAY_S
    try:
        await asyncio.sleep(seconds)
    finally:
        proxy.delay_s = 0


async def _throttled(proxy: TcpProxy, seconds: float) -> None:
    proxy.bytes_per_second = _BYTES_PER_SECOND
    try:
        await asyncio.sleep(seconds)
    finally:
        proxy.bytes_per_second = 0


async def _cut_in_a_frame(proxy: TcpProxy, _seconds: float) -> None:
    proxy.halve()
