"""Watching the scene from outside: is it settling again, and what do the workers' counters and logs say."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import httpx
from prometheus_client.parser import text_string_to_metric_families

from meter.local.machine import LOOPBACK

if TYPE_CHECKING:
    from tests.faults.scene import Scene

#: What has not recovered by then is told as it is, and the next fault comes.
GIVE_UP_S = 90.0
_POLL_S = 0.1
_SCRAPE_S = 0.5


def now_ms() -> int:
    """The present moment, as ids tell it."""
    return time.time_ns() // 1_000_000


async def until_settling(scene: Scene, since_ms: int) -> str | None:
    """Wait until every worker is ready and an event of every service, of a moment or later, is settled.

    Args:
        scene: where.
        since_ms: the moment.

    Returns:
        None, or what is missing when it is given up.
    """
    deadline = time.monotonic() + GIVE_UP_S
    everyone = set(range(len(scene.services)))
    while True:
        silent = everyone - await _settled_since(scene, since_ms)
        ready = await ready_workers(scene)
        if not silent and ready == len(scene.workers):
            return None
        if time.monotonic() > deadline:
            return f"{ready} workers ready, nothing settled of services {sorted(silent) or 'none'}"
        await asyncio.sleep(_POLL_S)


async def ready_workers(scene: Scene) -> int:
    """How many workers say that they are ready."""
    async with httpx.AsyncClient(timeout=3) as client:
        codes = await asyncio.gather(
            *(client.get(f"http://{LOOPBACK}:{port}/readyz") for port in scene.worker_ports),
            return_exceptions=True,
        )
    return sum(isinstance(answer, httpx.Response) and answer.status_code == 200 for answer in codes)


async def _settled_since(scene: Scene, since_ms: int) -> set[int]:
    try:
        return await scene.books.services_since(since_ms)
    except (asyncpg.PostgresError, OSError, TimeoutError):
        return set()


class Counters:
    """The counters of all workers, of those that ended too: as they were when asked last."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._last: dict[tuple[str, int], dict[str, float]] = {}

    async def keep(self) -> None:
        """Ask again and again, until cancelled."""
        async with httpx.AsyncClient(timeout=2) as client:
            while True:
                await self.ask(client)
                await asyncio.sleep(_SCRAPE_S)

    async def ask(self, client: httpx.AsyncClient) -> None:
        """Ask every worker once."""
        for worker, port in zip(self._scene.workers, self._scene.worker_ports, strict=True):
            run = worker.starts
            try:
                answer = await client.get(f"http://{LOOPBACK}:{port}/metrics")
            except httpx.HTTPError:
                continue
            if worker.starts == run:
                self._last[worker.name, run] = _samples(answer.text)

    def present(self, sample: str) -> float:
        """The sum of a gauge over the workers as they run now."""
        running = [(worker.name, worker.starts) for worker in self._scene.workers]
        return float(sum(self._last.get(run, {}).get(sample, 0) for run in running))

    def total(self, sample: str) -> float:
        """The sum of a counter over all runs of all workers."""
        return float(sum(samples.get(sample, 0) for samples in self._last.values()))


def _samples(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f"/{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def log_lines(scene: Scene) -> Counter[str]:
    """What workers wrote, by what each line is about; what is no line of theirs counts as "unreadable"."""
    said: Counter[str] = Counter()
    for worker in scene.workers:
        for line in worker.log.read_text(errors="replace").splitlines():
            try:
                said[json.loads(line)["event"]] += 1
            except (ValueError, KeyError, TypeError):
                said["unreadable"] += 1
    return said
