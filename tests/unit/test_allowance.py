from __future__ import annotations

import asyncio

from meter.consumers.allowance import Allowance


async def test_what_fits_is_held_at_once() -> None:
    allowance = Allowance(100)
    await allowance.acquire(60)
    await allowance.acquire(40)
    assert allowance.held_bytes == 100


async def test_who_brings_more_waits_until_enough_is_given_back() -> None:
    allowance = Allowance(100)
    await allowance.acquire(60)
    await allowance.acquire(40)
    waiting = asyncio.ensure_future(allowance.acquire(50))
    await asyncio.sleep(0)
    allowance.release(40)
    await asyncio.sleep(0)
    assert not waiting.done()
    allowance.release(60)
    await waiting
    assert allowance.held_bytes == 50


async def test_a_message_larger_than_the_bound_is_held_alone() -> None:
    allowance = Allowance(100)
    await allowance.acquire(500)
    waiting = asyncio.ensure_future(allowance.acquire(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    allowance.release(500)
    await waiting


async def test_a_lifted_allowance_lets_everyone_through() -> None:
    allowance = Allowance(100)
    await allowance.acquire(100)
    waiting = asyncio.ensure_future(allowance.acquire(100))
    await asyncio.sleep(0)
    allowance.lift()
    await waiting
    await allowance.acquire(1_000)
    assert allowance.held_bytes == 1_200
