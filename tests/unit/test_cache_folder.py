"""The cache folder when several processes fill it at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meter.local.cache_folder import filling

if TYPE_CHECKING:
    from pathlib import Path


async def test_who_comes_second_finds_what_the_first_made(tmp_path: Path) -> None:
    folder, begun, made = tmp_path / "packages", asyncio.Event(), asyncio.Event()
    seen: list[bool] = []

    async def first() -> None:
        async with filling(folder):
            begun.set()
            await made.wait()
            (folder / "tool").mkdir()

    async def second() -> None:
        await begun.wait()
        asyncio.get_running_loop().call_later(0.2, made.set)
        async with filling(folder):
            seen.append((folder / "tool").exists())

    async with asyncio.timeout(20):
        await asyncio.gather(first(), second())

    assert seen == [True]
    assert [path.name for path in folder.iterdir()] == ["tool"]


async def test_a_folder_is_given_back_by_who_fails(tmp_path: Path) -> None:
    async with asyncio.timeout(20):
        for _ in range(2):
            with pytest.raises(LookupError):
                async with filling(tmp_path):
                    raise LookupError
