"""A database that gives no answer is one that cannot be reached, however the driver says it."""

from __future__ import annotations

import asyncpg
import pytest

from meter.db.refusals import DatabaseNotReachable, refusals_as_errors


@pytest.mark.parametrize(
    "said",
    [
        ConnectionResetError("connection reset by peer"),
        TimeoutError(),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    ],
    ids=lambda said: type(said).__name__,
)
def test_no_answer_is_an_error_that_a_retry_can_help(said: Exception) -> None:
    with pytest.raises(DatabaseNotReachable) as raised, refusals_as_errors():
        raise said
    assert raised.value.retryable
