"""Which of several database servers is the one to write to.

A DSN may name several: a primary and its standbys. After a failover the former primary may come back and
still believe that it is the primary, and it may be named first. Every promotion begins a new timeline, so of
all servers that take writes the one on the newest timeline is right, and none is used that is behind what
this process has seen.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from meter.db.no_answer import NO_ANSWER
from meter.db.statements import statement
from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: How long one of several servers may take to let us in, in seconds: one that is gone without a word must not
#: keep us from another that was promoted meanwhile.
_ANSWER_S = 3.0
#: How long the others are waited for when one that can be written to has answered, in seconds.
_OTHERS_S = 0.5

#: What the DSN may say where the server to write to is wanted.
_PRIMARY = ("read-write", "primary")
_ATTRIBUTE = "target_session_attrs"

Task = asyncio.Task["_Server"]


class NoPrimary(MeterError, ConnectionError):
    """None of the database servers can be written to."""

    retryable = True


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that let us in; ``timeline`` is None where it is a standby."""

    connection: asyncpg.Connection
    system: int
    timeline: int | None


class Servers:
    """The servers that a DSN names.

    Args:
        dsn: the database on one server or on several; or what tells it anew for every connection.
        primary: whether the one to write to is wanted though the DSN does not say so.
    """

    def __init__(self, dsn: str | Callable[[], str], *, primary: bool) -> None:
        self._told = dsn
        self._primary = primary
        self._look_up()
        #: The newest timeline seen, by what PostgreSQL calls the system: a server and all that were copied
        #: from it.
        self._newest: dict[int, int] = {}

    async def connect(self, *_dsn: object, **options: Any) -> asyncpg.Connection:
        """Connect to the server to write to; where the DSN names only one or wants another, as it says.

        Args:
            options: as ``asyncpg.connect`` takes them.

        Returns:
            The connection.

        Raises:
            NoPrimary: none can be written to at the moment.
            PostgresError: the server to write to does not let us in.
            OSError: the only server is not there.
            TimeoutError: it did not answer.
        """
        if callable(self._told):
            self._look_up()
        if not self._dsns:
            try:
                return await asyncpg.connect(self._dsn, **options)
            except asyncpg.TargetServerAttributeNotMatched as error:
                raise NoPrimary(str(error)) from error
        options["timeout"] = min(_ANSWER_S, options.get("timeout") or _ANSWER_S)
        asked = [asyncio.create_task(_ask(dsn, options)) for dsn in self._dsns]
        chosen: asyncpg.Connection | None = None
        try:
            await self._hear(asked)
            chosen = self._choose(asked)
        finally:
            await _let_go(asked, chosen)
        return chosen

    def _look_up(self) -> None:
        self._dsn = self._told() if callable(self._told) else self._told
        self._names, self._dsns = one_by_one(self._dsn, primary=self._primary)

    async def _hear(self, asked: Sequence[Task]) -> None:
        waiting: set[Task] = set(asked)
        wait: float | None = None
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return
            if any(self._may_be_written_to(server) for server in _in(done)):
                wait = _OTHERS_S

    def _choose(self, asked: Sequence[Task]) -> asyncpg.Connection:
        found = _in(asked)
        for server in found:
            if server.timeline is not None:
                self._newest[server.system] = max(server.timeline, self._newest.get(server.system, 0))
        # Where several are on the same timeline, the first that is named.
        usable = [server for server in found if self._may_be_written_to(server)]
        if usable:
            return max(usable, key=lambda server: server.timeline or 0).connection
        for task in asked:
            # What has to be mended, such as a password; a server that starts or stops mends itself.
            if (error := _error_of(task)) and _has_to_be_mended(error):
                raise error
        said = (f"{name} {self._trouble_with(task)}" for name, task in zip(self._names, asked, strict=True))
        raise NoPrimary(f"no database server can be written to: {', '.join(said)}")

    def _may_be_written_to(self, server: _Server) -> bool:
        return server.timeline is not None and server.timeline >= self._newest.get(server.system, 0)

    def _trouble_with(self, task: Task) -> str:
        if not task.done():
            return "does not answer"
        if (error := _error_of(task)) is not None:
            return "does not answer" if isinstance(error, OSError | TimeoutError) else "lets nobody in"
        return "is a standby" if task.result().timeline is None else "was replaced by another"


async def _ask(dsn: str, options: dict[str, Any]) -> _Server:
    connection = await asyncpg.connect(dsn, **options)
    try:
        async with asyncio.timeout(_ANSWER_S):
            row = await connection.fetchrow(statement("which_server"))
    except BaseException:
        connection.terminate()
        raise
    assert row is not None  # noqa: S101 - it asks for one row
    return _Server(connection, row["system_identifier"], row["timeline"])


def _in(tasks: Sequence[Task] | set[Task]) -> list[_Server]:
    return [task.result() for task in tasks if task.done() and _error_of(task) is None]


def _error_of(task: Task) -> BaseException | None:
    if not task.done():
        return None
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _has_to_be_mended(error: BaseException) -> bool:
    if not isinstance(error, asyncpg.PostgresError):
        return not isinstance(error, NO_ANSWER)
    return not isinstance(error, asyncpg.CannotConnectNowError | asyncpg.AdminShutdownError)


async def _let_go(asked: Sequence[Task], chosen: asyncpg.Connection | None) -> None:
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    for server in _in(asked):
        if server.connection is not chosen:
            # Who is not used is not waited for either.
            server.connection.terminate()


def one_by_one(dsn: str, *, primary: bool) -> tuple[list[str], list[str]]:
    """Split a DSN that names several servers of which the primary is wanted.

    Args:
        dsn: as it was set.
        primary: whether the primary is wanted though the DSN does not say so.

    Returns:
        The names of the servers, and a DSN for each; nothing where there is only one, or another is wanted.
    """
    parts = urlsplit(dsn)
    query = parse_qsl(parts.query, keep_blank_values=True)
    wanted = dict(query).get(_ATTRIBUTE, _PRIMARY[0] if primary else "any")
    login, at, servers = parts.netloc.rpartition("@")
    names = servers.split(",")
    if len(names) == 1 or wanted not in _PRIMARY:
        return [], []
    rest = urlencode([(key, text) for key, text in query if key != _ATTRIBUTE])
    return names, [urlunsplit(parts._replace(netloc=f"{login}{at}{name}", query=rest)) for name in names]
