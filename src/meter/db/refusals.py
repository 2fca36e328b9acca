"""From SQLSTATE to the error that says the same: never by the text of a message."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from meter.db.no_answer import NO_ANSWER
from meter.errors import MeterError, SettlementError

if TYPE_CHECKING:
    from collections.abc import Iterator


class DatabaseNotReachable(MeterError):
    """The database does not answer, or does not let us in."""

    retryable = True


class SchemaNotCurrent(DatabaseNotReachable):
    """The database does not have the schema of this version; run: meter migrate."""


#: What a database answers that was never migrated, or by another version; a missing role is refused as the
#: value of a parameter.
_NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidParameterValueError,
)


def _by_sqlstate(base: type[SettlementError]) -> dict[str, type[SettlementError]]:
    found = {base.sqlstate: base} if base.sqlstate else {}
    for child in base.__subclasses__():
        found |= _by_sqlstate(child)
    return found


@contextmanager
def refusals_as_errors() -> Iterator[None]:
    """Turn what the database's functions refuse into the errors of ``meter.errors``.

    Raises:
        SettlementError: one of our own SQLSTATEs; the message is the database's, with its hint.
        DatabaseNotReachable: no connection, or no permission to connect.
        SchemaNotCurrent: no tables, functions or roles of this version.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        refusal = _by_sqlstate(SettlementError).get(error.sqlstate or "")
        if refusal is not None:
            sentence = ". ".join(filter(None, [str(error.message), error.hint]))
            raise refusal(sentence, error.detail) from error
        if isinstance(
            error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.PostgresConnectionError
        ):
            raise DatabaseNotReachable(f"the database refused the connection ({error.sqlstate})") from error
        if isinstance(error, _NOT_MIGRATED):
            raise SchemaNotCurrent from error
        raise
    except NO_ANSWER as error:
        raise DatabaseNotReachable(f"the database does not answer ({type(error).__name__})") from error
