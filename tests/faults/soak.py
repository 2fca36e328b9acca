"""``python -m tests.faults.soak``: steady load for long; memory, open files and lag must not grow."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
import httpx
import psutil
from rich.console import Console
from rich.progress import Progress
from tests.faults.draining import drain
from tests.faults.finding import find_all
from tests.faults.run import SERVICES, beside
from tests.faults.scene import running_scene
from tests.faults.slope import growth
from tests.faults.verdict import judge
from tests.faults.watch import Counters, now_ms, until_settling

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.scene import Scene

_MIB = 1024 * 1024
#: A process may rise by so much from warm-up to end: allocators keep the room of bursts for a while.
#: Five bytes leaked of each of the 1.8 million events of half an hour would be more.
MEMORY_GROWTH_BYTES = 8 * _MIB
#: Connections come and go; one that leaked once a minute would be thirty.
FILES_GROWTH = 3.0
#: From publishing to commit, on average of any second; milliseconds when the machine has nothing else to do.
LAG_MAX_S = 2.0
_SAMPLE_S = 0.5
_LAG = "meter_publish_to_commit_seconds"


@dataclass(frozen=True)
class Samples:
    """What was measured, by process: when, how many bytes are resident, and how many files are open."""

    times: list[float] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)
    files: dict[str, list[float]] = field(default_factory=dict)
    lag: list[float] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """Say what grows or lags, in sentences."""
        grown = [
            f"{name} grew by {rise / _MIB:.1f} MiB"
            for name, values in self.memory.items()
            if (rise := growth(self.times, values)) > MEMORY_GROWTH_BYTES
        ]
        opened = [
            f"{name} has {rise:.1f} more files open"
            for name, values in self.files.items()
            if (rise := growth(self.times, values)) > FILES_GROWTH
        ]
        late = [f"usage took {max(self.lag):.1f} s to be settled"] if max(self.lag) > LAG_MAX_S else []
        return [*grown, *opened, *late]

    def text(self) -> str:
        """Put what was measured into words."""
        lines = [
            f"{name}: {values[-1] / _MIB:.0f} MiB, {growth(self.times, values) / _MIB:+.1f} MiB by slope; "
            f"{self.files[name][-1]:.0f} files, {growth(self.times, self.files[name]):+.1f}"
            for name, values in self.memory.items()
        ]
        lag = f"lag {statistics.median(self.lag):.3f} s in the median, {max(self.lag):.3f} s at the most"
        return "\n".join([*lines, lag])


async def soak(
    *, seconds: float, warm_up: float, rate: float, step: Callable[[float], None]
) -> tuple[Samples, list[str]]:
    """Load everything steadily and measure.

    Args:
        seconds: how long is measured.
        warm_up: how long nothing is measured before.
        rate: events a second, of all services.
        step: told how many seconds are over.

    Returns:
        What was measured, and everything that is wrong.
    """
    async with running_scene(rate=rate, services=SERVICES, durable=SERVICES // 2) as scene:
        counters = Counters(scene)
        async with beside(counters.keep()):
            assert await until_settling(scene, now_ms()) is None, "nothing is settled"
            await asyncio.sleep(warm_up)
            samples = await _measure(scene, counters, seconds, step)
        left = await drain(scene, counters)
        verdict = judge(scene.all_accepted(), await find_all(scene))
        wrong = [f"{verdict.lost} events are lost"] if verdict.lost else []
        ended = [sentence for kept in (*scene.workers, *scene.services) for sentence in kept.unasked]
        return samples, [*samples.complaints(), *left, *wrong, *verdict.examples, *ended]


async def _measure(
    scene: Scene, counters: Counters, seconds: float, step: Callable[[float], None]
) -> Samples:
    samples = Samples()
    processes = {kept.name: psutil.Process(kept.pid) for kept in (*scene.workers, *scene.services)}
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=5) as client:
        await counters.ask(client)
        settled, waited = counters.total(f"{_LAG}_count"), counters.total(f"{_LAG}_sum")
        while (over := time.monotonic() - began) < seconds:
            await asyncio.sleep(_SAMPLE_S)
            await counters.ask(client)
            before, waited_before = settled, waited
            settled, waited = counters.total(f"{_LAG}_count"), counters.total(f"{_LAG}_sum")
            # Nothing settled at all is as late as it gets.
            samples.lag.append(
                (waited - waited_before) / (settled - before) if settled > before else LAG_MAX_S * 2
            )
            samples.times.append(over)
            for name, process in processes.items():
                samples.memory.setdefault(name, []).append(process.memory_info().rss)
                samples.files.setdefault(name, []).append(process.num_fds())
            step(over)
    return samples


@click.command(name="soak")
@click.option(
    "--minutes", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="How long is measured."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=1_000.0,
    show_default=True,
    help="Events a second, of all services.",
)
def main(minutes: float, rate: float) -> None:
    """Load meter steadily, and see that memory, open files and lag do not grow.

    \b
    For instance:
      python -m tests.faults.soak --minutes 5
    """
    console = Console()
    seconds = minutes * 60
    with Progress(console=console) as progress:
        task = progress.add_task("steady load", total=seconds)
        samples, wrong = asyncio.run(
            soak(
                seconds=seconds,
                # Caches fill, and the allocator finds its size, within minutes.
                warm_up=min(120.0, seconds / 4),
                rate=rate,
                step=lambda over: progress.update(task, completed=over),
            )
        )
    console.print(samples.text(), highlight=False, markup=False)
    for sentence in wrong:
        console.print(f"WRONG: {sentence}", highlight=False, markup=False)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
