from __future__ import annotations

import asyncio

from meter.consumers.allowance import Allowance


async def test_what_fits_is_held_at_once() -> None:
    allowance = Allowance(100)
    assert allowance.hold(60)
    assert allowance.hold(40)
    assert allowance.held_bytes == 100


async def test_who_brings_more_waits_until_enough_is_given_back() -> None:
    allowance = Allowance(100)
    allowance.hold(60)
    allowance.hold(40)
    assert not allowance.hold(50)
    waiting = asyncio.ensure_future(allowance.room_for(50))
    await asyncio.sleep(0)
    allowance.release(40)
    await asyncio.sleep(0)
    assert not waiting.done()
    allowance.release(60)
    await waiting
    assert allowance.held_bytes == 0
    assert allowance.hold(50)


async def test_a_message_larger_than_the_bound_is_held_alone() -> None:
    allowance = Allowance(100)
    assert allowance.hold(500)
    assert not allowance.hold(1)
    allowance.release(500)
    await allowance.room_for(1)
    assert allowance.hold(1)


async def test_a_lifted_allowance_lets_everyone_through() -> None:
    allowance = Allowance(100)
    allowance.hold(100)
    waiting = asyncio.ensure_future(allowance.room_for(100))
    await asyncio.sleep(0)
    allowance.lift()
    await waiting
    assert allowance.hold(1_000)
    assert allowance.held_bytes == 1_100
