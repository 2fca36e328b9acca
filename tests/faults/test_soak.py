"""The soak test in short; ``make soak`` measures for half an hour."""

from __future__ import annotations

from tests.faults.soak import soak


async def test_steady_load_grows_neither_memory_nor_open_files_nor_lag() -> None:
    samples, wrong = await soak(seconds=12, warm_up=5, rate=1_000, step=lambda _over: None)
    assert wrong == [], samples.text()
    assert len(samples.memory) == 6
    assert len(samples.times) >= 10
