"""What is said about the database while attempts wait, fail and are answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from meter.consumers import deadline
from meter.consumers.database_state import DatabaseState
from meter.consumers.patience import until_answered
from meter.db.outcomes import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from typing import Any

_PATIENCE_S = 0.02
_FAILS = "the database does not settle, trying again"
_WAITS = "the database does not settle, waiting for it"
_BACK = "the database settles again"


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


def said(lines: list[MutableMapping[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


async def test_an_attempt_without_an_answer_is_trouble_until_it_is_answered(
    lines: list[MutableMapping[str, Any]],
) -> None:
    database = DatabaseState(_PATIENCE_S)
    answer = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(until_answered(database, lambda: answer))
    await asyncio.wait_for(database.away_for(0), 5)
    assert database.trouble == "the database does not settle: it has given no answer for 0 s"
    answer.set_result(1)
    assert await asking == 1
    assert database.trouble is None
    assert said(lines) == [_WAITS, _BACK]


async def test_what_others_hear_is_no_answer_to_who_waits(lines: list[MutableMapping[str, Any]]) -> None:
    database = DatabaseState(_PATIENCE_S)
    answer = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(until_answered(database, lambda: answer))
    await asyncio.wait_for(database.away_for(0), 5)
    database.lost(DatabaseUnavailable("refused"))
    assert database.trouble == "the database does not settle: refused"
    database.answered()
    assert database.trouble is not None
    answer.set_result(None)
    await asking
    assert database.trouble is None
    assert said(lines) == [_WAITS, _BACK]


async def test_an_attempt_that_was_overdue_and_failed_is_one_outage_with_those_that_follow(
    lines: list[MutableMapping[str, Any]],
) -> None:
    database = DatabaseState(_PATIENCE_S)
    attempts = 0

    async def attempt() -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await database.away_for(0)
            # Another batch was settled meanwhile.
            database.answered()
            raise DatabaseUnavailable("no answer")
        return attempts

    assert await until_answered(database, attempt) == 3
    assert said(lines) == [_WAITS, _BACK]


async def test_an_attempt_that_began_while_the_database_was_away_says_nothing_once_it_is_back(
    lines: list[MutableMapping[str, Any]],
) -> None:
    database = DatabaseState()
    answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
    remaining = iter(answers)
    database.lost(DatabaseUnavailable("gone"))
    asking = asyncio.create_task(until_answered(database, lambda: next(remaining)))
    await asyncio.sleep(0)
    database.answered()
    answers[0].set_exception(DatabaseUnavailable("gone"))
    answers[1].set_result(None)
    await asking
    assert said(lines) == [_FAILS, _BACK]


async def test_who_gives_up_without_an_answer_leaves_the_trouble_behind() -> None:
    database = DatabaseState(_PATIENCE_S)
    asking = asyncio.create_task(until_answered(database, lambda: asyncio.get_running_loop().create_future()))
    await asyncio.wait_for(database.away_for(0), 5)
    asking.cancel()
    await asyncio.wait((asking,))
    assert database.trouble is not None
    database.answered()
    assert database.trouble is None


async def test_a_process_that_stood_still_blames_nobody(
    lines: list[MutableMapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "_STOOD_STILL_S", 0.2)
    database = DatabaseState(_PATIENCE_S)
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def stand_still() -> None:
        time.sleep(0.3)
        # The answer is there, but the timer goes off before who waits for it goes on.
        loop.call_soon(answer.set_result, None)

    asking = asyncio.create_task(until_answered(database, lambda: answer))
    await asyncio.sleep(0)
    loop.call_soon(stand_still)
    await asking
    assert said(lines) == []
