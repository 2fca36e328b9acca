"""Every balance added up again from the ledger and the history, beside what is stated."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING

from meter.db.refusals import refusals_as_errors
from meter.db.statements import statement
from meter.errors import UnknownOrganization

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    import asyncpg

#: Blocks of the ledger that are added up at once: 256 MB, about a second, so that progress is seen.
_BLOCKS = 32_768

#: Of one statement, in seconds; the ledger of one organization may be long.
_TIMEOUT_S = 3_600

#: A sum has up to 38 digits, six of them decimals, and no addition may round.
_EXACT = Context(prec=60)

_ZERO = Decimal(0)

#: Balances of a pool that the ledger adds up to, and the outcome of their rows.
_OF_LEDGER = {"used": "charged", "overage": "overage", "unfunded": "unfunded"}
_OF_HISTORY = ("total", "overage_billed", "allocated")


@dataclass(frozen=True, slots=True)
class Difference:
    """A balance that is not the sum of its rows; credits, or a number of voids."""

    org_id: str
    #: ``used``, ``overage``, ``unfunded``, ``total``, ``overage_billed``, ``allocated`` or ``pending_voids``.
    balance: str
    #: Whose allocation it is a balance of; None: the pool's.
    user_id: str | None
    #: What the balance says.
    stated: Decimal
    #: What its rows add up to.
    found: Decimal


@dataclass(slots=True)
class LedgerSums:
    """Sums over ledger rows, to be added to."""

    by_outcome: defaultdict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: Of an organization, an allocation and a period.
    by_account: defaultdict[tuple[str, int, int], Decimal] = field(
        default_factory=lambda: defaultdict(Decimal)
    )

    def add(self, rows: list[asyncpg.Record]) -> None:
        """Add sums of some rows."""
        for org_id, outcome, allocation_id, period_no, credits in rows:
            self.by_outcome[org_id, outcome] += credits
            if allocation_id is not None:
                self.by_account[org_id, allocation_id, period_no] += credits


class Reconciliation:
    """Compares balances with their rows.

    Args:
        pool: connections acting as ``meter_admin``.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def differences(
        self, org_id: str | None = None, *, progress: Callable[[int, int], None] | None = None
    ) -> list[Difference]:
        """Add everything up in one snapshot, without a lock: settlement goes on meanwhile.

        Args:
            org_id: only this organization; None: all.
            progress: told how many blocks of the ledger are added up, and how many there are.

        Returns:
            The balances that are not the sum of their rows, by organization; none are expected.

        Raises:
            UnknownOrganization: there is no such organization.
        """
        with refusals_as_errors(), _exactly():
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                pools = await connection.fetch(statement("stated_pools"), org_id)
                if org_id is not None and not pools:
                    raise UnknownOrganization(f'organization "{org_id}" is not known')
                allocations = await connection.fetch(statement("stated_allocations"), org_id)
                history = {
                    (row["org_id"], row["balance"]): row["credits"]
                    for row in await connection.fetch(statement("sums_of_history"), org_id)
                }
                sums = LedgerSums()
                async for rows in _ledger(connection, org_id, progress):
                    sums.add(rows)
            return [
                *_of_pools(pools, sums, history, _promised(allocations)),
                *_of_allocations(allocations, sums),
            ]

    async def repair(self, org_id: str, *, actor: str) -> list[Difference]:
        """Set the balances of an organization to the sums of their rows, under the lock on its pool.

        Args:
            org_id: the organization.
            actor: who does it, for the history.

        Returns:
            What was changed; none where all is well by now.

        Raises:
            UnknownOrganization: there is no such organization.
        """
        with refusals_as_errors():
            rows = await self._pool.fetch(statement("repair_balances"), org_id, actor, timeout=_TIMEOUT_S)
        return [Difference(org_id, **row) for row in rows]


@contextmanager
def _exactly() -> Iterator[None]:
    with localcontext(_EXACT):
        yield


async def _ledger(
    connection: asyncpg.Connection, org_id: str | None, progress: Callable[[int, int], None] | None
) -> AsyncIterator[list[asyncpg.Record]]:
    if org_id is not None:
        yield await connection.fetch(statement("sums_of_organization"), org_id, timeout=_TIMEOUT_S)
        return
    # Asked after the snapshot was taken: what is appended later is not of it.
    blocks: int = await connection.fetchval(statement("ledger_size"))
    for first in range(0, blocks, _BLOCKS):
        yield await connection.fetch(statement("sums_of_blocks"), first, first + _BLOCKS, timeout=_TIMEOUT_S)
        if progress is not None:
            progress(min(first + _BLOCKS, blocks), blocks)


def _promised(allocations: list[asyncpg.Record]) -> Mapping[str, Decimal]:
    promised: defaultdict[str, Decimal] = defaultdict(Decimal)
    for allocation in allocations:
        promised[allocation["org_id"]] += allocation["promised"]
    return promised


def _of_pools(
    pools: list[asyncpg.Record],
    sums: LedgerSums,
    history: Mapping[tuple[str, str], Decimal],
    promised: Mapping[str, Decimal],
) -> Iterator[Difference]:
    for pool in pools:
        org_id: str = pool["org_id"]
        found = [(name, sums.by_outcome[org_id, outcome]) for name, outcome in _OF_LEDGER.items()]
        found += [(name, history.get((org_id, name), _ZERO)) for name in _OF_HISTORY]
        found.append(("allocated", promised.get(org_id, _ZERO)))
        found.append(("pending_voids", Decimal(pool["waiting_voids"])))
        for name, credits in found:
            if pool[name] != credits:
                yield Difference(org_id, name, None, Decimal(pool[name]), credits)


def _of_allocations(allocations: list[asyncpg.Record], sums: LedgerSums) -> Iterator[Difference]:
    for allocation in allocations:
        account = allocation["org_id"], allocation["id"], allocation["period_no"]
        found = sums.by_account.get(account, _ZERO)
        if allocation["used"] != found:
            yield Difference(account[0], "used", allocation["user_id"], allocation["used"], found)
