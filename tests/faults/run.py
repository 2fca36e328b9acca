"""One run: faults under load, then everything drains, then the verdict."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.faults import cluster_faults, database_faults, disk_faults, standby_faults
from tests.faults.accepted import read_accepted
from tests.faults.course import Course, Recovered
from tests.faults.draining import drain
from tests.faults.finding import find_all
from tests.faults.kinds import FAMILIES
from tests.faults.lasting_faults import with_lasting
from tests.faults.plan import draw
from tests.faults.report import Report, complaints_of
from tests.faults.scene import running_scene
from tests.faults.verdict import judge
from tests.faults.watch import Counters, log_lines, now_ms, until_settling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from tests.faults.kinds import Act
    from tests.faults.plan import Fault
    from tests.faults.scene import Scene, Stage

SERVICES = 4
_ON_STAGE: dict[Stage, dict[str, dict[str, Act]]] = {
    "parts": FAMILIES,
    "cluster": cluster_faults.FAMILIES,
    "standby": standby_faults.FAMILIES,
    "disks": disk_faults.FAMILIES,
}
_POLL_S = 0.2


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
        logs: the folder that what everything wrote is kept in.
        stage: what there is to break.
        only: only kinds with one of these in their names happen, where there are any.
    """

    seed: int
    events: int
    faults: int
    rate: float
    durable: int
    brief: bool
    logs: Path | None = None
    stage: Stage = "parts"
    only: tuple[str, ...] = ()

    def families(self) -> dict[str, dict[str, Act]]:
        """What can happen."""
        families = _ON_STAGE[self.stage]
        if self.stage == "parts" and not self.brief:
            families = with_lasting(families)
        if not self.only:
            return families
        chosen = {
            family: {kind: act for kind, act in acts.items() if any(part in kind for part in self.only)}
            for family, acts in families.items()
        }
        return {family: acts for family, acts in chosen.items() if acts}


class Run:
    """One run.

    Args:
        plan: how much.
        step: told what happens, with what is known by then.
    """

    def __init__(self, plan: Plan, step: Callable[[str, Report], None]) -> None:
        self._plan = plan
        self._step = step
        self._course = Course()
        self._began = time.monotonic()

    async def run(self) -> Report:
        """Break things under load, and judge."""
        plan = self._plan
        async with running_scene(
            rate=plan.rate,
            services=SERVICES,
            durable=plan.durable,
            logs=plan.logs,
            stage=plan.stage,
            with_clocks=plan.stage == "parts" and not plan.brief,
        ) as scene:
            counters = Counters(scene)
            async with beside(counters.keep()), beside(scene.readiness.keep()):
                missing = await until_settling(scene, now_ms())
                assert missing is None, f"nothing is settled though nothing is broken: {missing}"
                await self._break_things(scene)
                while scene.events < plan.events:
                    self._tell(scene, "load without faults")
                    await asyncio.sleep(_POLL_S)
            self._tell(scene, "draining")
            self._course.troubles += await drain(scene, counters)
            self._tell(scene, "looking for every event")
            return await self._judged(scene, counters)

    async def _break_things(self, scene: Scene) -> None:
        families = self._plan.families()
        acts = {kind: act for kinds in families.values() for kind, act in kinds.items()}
        kinds = {family: list(kinds) for family, kinds in families.items()}
        for group in draw(self._plan.seed, self._plan.faults, kinds, brief=self._plan.brief):
            self._tell(scene, " and ".join(fault.kind for fault in group))
            try:
                async with asyncio.TaskGroup() as tasks:
                    for fault in group:
                        tasks.create_task(acts[fault.kind](scene, fault))
            except ExceptionGroup as failed:
                await self._mend(scene, group, failed)
            back, back_at, since = time.monotonic(), datetime.now(UTC), now_ms()
            missing = await until_settling(scene, since)
            self._course.recovered.append(Recovered(group, back_at, time.monotonic() - back, missing))

    async def _mend(self, scene: Scene, group: list[Fault], failed: ExceptionGroup) -> None:
        """A fault that could not be done may have left something broken; a long run goes on all the same."""
        kinds = " and ".join(fault.kind for fault in group)
        reasons = "; ".join(f"{type(error).__name__}: {error}" for error in failed.exceptions)
        self._course.troubles.append(f"{kinds} could not be done as meant: {reasons}")
        for restart in (scene.postgres.restart, scene.rabbitmq.restart):
            await restart()
        await database_faults.mend(scene)

    def _tell(self, scene: Scene, what: str) -> None:
        self._step(what, self._so_far(scene))

    def _so_far(self, scene: Scene) -> Report:
        course = self._course
        kept = (*scene.workers, *scene.services)
        return Report(
            seed=self._plan.seed,
            events=scene.events,
            faults=course.faults,
            by_kind=course.by_kind(),
            recovery_seconds=course.recovery(),
            seconds=round(time.monotonic() - self._began, 1),
            readiness_denials=scene.readiness.denials,
            complaints=[
                *course.troubles,
                *course.slow(),
                *scene.readiness.lies,
                *(sentence for each in kept for sentence in each.unasked),
                *(f"{each.name} did not end in time {each.overdue} times" for each in kept if each.overdue),
            ],
        )

    async def _judged(self, scene: Scene, counters: Counters) -> Report:
        found = await find_all(scene)
        verdict = judge(scene.all_accepted(), found)
        said = log_lines(scene)
        lines = said.total() - said["dead letter"]
        so_far = self._so_far(scene)
        return replace(
            so_far,
            finished=True,
            lost=verdict.lost,
            charged_twice=verdict.charged_twice,
            reconcile_differences=verdict.reconcile_differences,
            duplicates_absorbed=int(counters.total("meter_events_total/duplicate")),
            duplicates_sent=sum(len(read_accepted(scene.again(number))) for number in range(SERVICES)),
            valid_dead_letters=verdict.valid_dead_letters,
            dead_letters=len(found.dead),
            log_lines=lines,
            complaints=complaints_of(
                verdict, told=so_far.complaints, log_lines=lines, faults=self._plan.faults
            ),
        )


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do something for as long as the context lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
