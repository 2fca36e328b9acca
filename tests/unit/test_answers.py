"""What waits for the broker ends when it is cancelled, whatever the library makes of it."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest

from meter.consumers.answers import answered


async def _forgets_that_it_was_cancelled(asked: asyncio.Event) -> int:
    """As ``asyncio.wait_for`` of Python 3.11 does when its step is done at the same moment."""
    asked.set()
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return 1


async def test_a_call_that_forgets_that_it_was_cancelled_does_not_keep_its_task_alive() -> None:
    asked = asyncio.Event()
    asking = asyncio.create_task(answered(_forgets_that_it_was_cancelled(asked)))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_answer_and_an_error_are_passed_on() -> None:
    async def call(*, fails: bool) -> int:
        if fails:
            raise LookupError
        return 7

    assert await answered(call(fails=False)) == 7
    with pytest.raises(LookupError):
        await answered(call(fails=True))


async def test_a_call_that_fails_just_as_it_is_cancelled_is_not_logged_as_forgotten() -> None:
    loop = asyncio.get_running_loop()
    forgotten: list[str] = []
    loop.set_exception_handler(lambda _loop, told: forgotten.append(told["message"]))
    try:
        await _fails_and_is_cancelled()
        await asyncio.sleep(0)
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert forgotten == []


async def _fails_and_is_cancelled() -> None:
    answer = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(answered(answer))
    await asyncio.sleep(0)
    answer.set_exception(LookupError())
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
