"""One run: faults under load, then everything drains, then the verdict."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from aiormq import connect
from tests.faults.accepted import read_accepted
from tests.faults.kinds import ACTS, KINDS_BY_FAMILY
from tests.faults.plan import draw
from tests.faults.report import RECOVERY_MAX_S, Recovery, Report, complaints_of
from tests.faults.scene import running_scene
from tests.faults.verdict import Found, judge
from tests.faults.watch import GIVE_UP_S, Counters, log_lines, now_ms, until_settling

from meter.consumers import DEAD_QUEUE, USAGE_QUEUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

SERVICES = 4
_POLL_S = 0.2
_DRAIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything.

    Attributes:
        seed: decides which faults happen.
        events: at least so many are counted on.
        faults: how many happen.
        rate: events a second, of all services.
        durable: how many of the services have a spool.
        brief: no fault lasts long.
    """

    seed: int
    events: int
    faults: int
    rate: float
    durable: int
    brief: bool


@dataclass(frozen=True, slots=True)
class Recovered:
    """How long meter took after a group of faults."""

    faults: list[Fault]
    seconds: float
    missing: str | None


async def run(plan: Plan, step: Callable[[str, int, int], None]) -> Report:
    """Break things under load, and judge.

    Args:
        plan: how much.
        step: told what happens, how many faults are over, and how many events are counted on.
    """
    began = time.monotonic()
    step("starting the servers", 0, 0)
    async with running_scene(rate=plan.rate, services=SERVICES, durable=plan.durable) as scene:
        counters = Counters(scene)
        async with beside(counters.keep()):
            assert await until_settling(scene, now_ms()) is None, (
                "nothing is settled though nothing is broken"
            )
            recovered = await _break_things(scene, plan, step)
            while (events := scene.events) < plan.events:
                step("load without faults", plan.faults, events)
                await asyncio.sleep(_POLL_S)
        step("draining", plan.faults, scene.events)
        await drain(scene, counters)
        return await _judged(scene, plan, recovered, counters, time.monotonic() - began)


async def _break_things(scene: Scene, plan: Plan, step: Callable[[str, int, int], None]) -> list[Recovered]:
    recovered: list[Recovered] = []
    over = 0
    for group in draw(plan.seed, plan.faults, KINDS_BY_FAMILY, brief=plan.brief):
        step(" and ".join(fault.kind for fault in group), over, scene.events)
        async with asyncio.TaskGroup() as tasks:
            for fault in group:
                tasks.create_task(ACTS[fault.kind](scene, fault))
        back, since = time.monotonic(), now_ms()
        missing = await until_settling(scene, since)
        recovered.append(Recovered(group, time.monotonic() - back, missing))
        over += len(group)
    return recovered


async def drain(scene: Scene, counters: Counters) -> None:
    """Let services end first, then the queue run empty, then workers end.

    Args:
        scene: where nothing is broken any more.
        counters: asked before workers end.
    """
    await asyncio.gather(*(service.stop() for service in scene.services))
    deadline = time.monotonic() + _DRAIN_S
    async with connect(scene.operator_url) as connection:
        channel = await connection.channel()
        while (await channel.queue_declare(USAGE_QUEUE, passive=True)).message_count:
            assert time.monotonic() < deadline, f"the queue is not empty after {_DRAIN_S:g} s"
            await asyncio.sleep(_POLL_S)
        # What a worker still holds it settles; what it could not is in the queue again.
        async with httpx.AsyncClient(timeout=2) as client:
            await counters.ask(client)
            while counters.present("meter_in_flight_events"):
                assert time.monotonic() < deadline, f"workers still hold events after {_DRAIN_S:g} s"
                await asyncio.sleep(_POLL_S)
                await counters.ask(client)
        await asyncio.gather(*(worker.stop() for worker in scene.workers))
        left = (await channel.queue_declare(USAGE_QUEUE, passive=True)).message_count
        assert left == 0, f"{left} messages were given back by workers that had nothing else to do"


async def find_all(scene: Scene) -> Found:
    """Look everywhere for events, once everything is drained."""
    return Found(
        ledger=[each async for each in scene.books.events()],
        pending=await scene.books.pending_voids(),
        dead=await _dead_letters(scene),
        twice=await scene.books.twice(),
        taken=await scene.books.taken(),
        differences=await scene.books.differences(),
    )


async def _judged(
    scene: Scene, plan: Plan, recovered: list[Recovered], counters: Counters, seconds: float
) -> Report:
    accepted = scene.all_accepted()
    again = sum(len(read_accepted(scene.again(number))) for number in range(SERVICES))
    found = await find_all(scene)
    verdict = judge(accepted, found)
    said = log_lines(scene)
    lines = said.total() - said["dead letter"]
    kept = (*scene.workers, *scene.services)
    took = [each.seconds for each in recovered]
    return Report(
        seed=plan.seed,
        events=len(accepted),
        faults=plan.faults,
        by_kind=dict(sorted(Counter(fault.kind for each in recovered for fault in each.faults).items())),
        lost=verdict.lost,
        charged_twice=verdict.charged_twice,
        reconcile_differences=verdict.reconcile_differences,
        recovery_seconds=Recovery(round(statistics.median(took), 2), round(max(took), 2)),
        duplicates_absorbed=int(counters.total("meter_events_total/duplicate")),
        duplicates_sent=again,
        valid_dead_letters=verdict.valid_dead_letters,
        dead_letters=len(found.dead),
        log_lines=lines,
        complaints=complaints_of(
            verdict,
            slow=[_slowness(each) for each in recovered if each.seconds > RECOVERY_MAX_S],
            unasked=[
                *(sentence for each in kept for sentence in each.unasked),
                *(f"{each.name} did not end in time {each.overdue} times" for each in kept if each.overdue),
            ],
            log_lines=lines,
            faults=plan.faults,
        ),
        seconds=round(seconds, 1),
    )


def _slowness(each: Recovered) -> str:
    what = " and ".join(f"{fault.kind} for {fault.seconds:g} s" for fault in each.faults)
    given_up = f"; given up after {GIVE_UP_S:g} s: {each.missing}" if each.missing else ""
    return f"recovery took {each.seconds:.1f} s after: {what}{given_up}"


async def _dead_letters(scene: Scene) -> list[UUID]:
    """Take every dead letter, and look into its body: a header could be wrong."""
    found: list[UUID] = []
    async with connect(scene.operator_url) as connection:
        channel = await connection.channel()
        while (letter := await channel.basic_get(DEAD_QUEUE, no_ack=True)).delivery_tag:
            body = json.loads(letter.body)
            found.extend(UUID(event["id"]) for event in (body if isinstance(body, list) else [body]))
    return found


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do something for as long as the context lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
