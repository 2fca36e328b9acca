"""R1: how long ``meter reconcile`` takes to add a long ledger up."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from bench import history
from bench.databases import SQL, execute
from bench.figures import Figure, Target

if TYPE_CHECKING:
    from bench.measuring import Bench

_R1 = Target("R1", "meter reconcile", "10 million rows, all organizations", 60, "s", "most")
_SUM = Target("R1", "one plain sum, parallel workers", "the same ledger", None, "s", "most")
TARGETS = (_R1,)

_DATABASE = "bench_reconciling"
_PAST = timedelta(days=365)
_PLAIN_SUM = "select sum(credits_used) from credit_usage_attribution"
_LOADING_STEPS = history.STEPS + 2


def steps(bench: Bench) -> int:
    """How many steps will be reported."""
    return _LOADING_STEPS + 2 * bench.size.rounds


async def measure(bench: Bench) -> list[Figure]:
    """Load rows, and let the command add them up; it must find nothing, or the line has no figure."""
    databases = bench.stack.databases
    bench.step("rows to repeat")
    dsn = await bench.add_settled(_DATABASE)
    await history.multiply(dsn, rows=bench.size.period_rows, past=_PAST, step=bench.step)
    await databases.checkpoint()
    bench.step("balances of the past")
    await execute(dsn, (SQL / "books_of_the_past.sql").read_text())
    reconciled: list[float] = []
    summed: list[float] = []
    for _ in range(bench.size.rounds):
        bench.step(_R1.title)
        reconciled.append(await _reconciled(dsn))
        bench.step(_SUM.title)
        began = time.perf_counter()
        await execute(dsn, _PLAIN_SUM)
        summed.append(time.perf_counter() - began)
    await databases.drop(_DATABASE)
    return [Figure(_R1, reconciled, {}), Figure(_SUM, summed, {})]


async def _reconciled(dsn: str) -> float:
    """Run the command as an operator does; returns how many seconds it took, its start included."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "meter", "reconcile"),
        env=os.environ | {"METER_DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"meter reconcile found: {said.decode()[:500]}")
    return time.perf_counter() - began
