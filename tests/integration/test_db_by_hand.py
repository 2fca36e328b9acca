"""The functions called by hand in psql: what they return, what they refuse, and with which SQLSTATE."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meter.events import event_key
from meter.local.postgres_binaries import postgres_bin_dir
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.private_servers import FreshDatabase

    Psql = Callable[[str], Awaitable[str]]


class Refused(Exception):
    """psql ended with an error; the message begins with its SQLSTATE."""


@pytest.fixture
async def psql(database: FreshDatabase) -> Psql:
    program = await postgres_bin_dir(load_settings().cache_dir) / "psql"

    async def run(command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            program, "--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose",
            database.dsn, "-c", command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            raise Refused(err.decode().removeprefix("ERROR:").strip())
        return out.decode().strip()

    await run("select create_organization('acme')")
    await run("select add_credits_to_pool('acme', 100)")
    await run("select allocate_credits_to_user('acme', 'alice', 60)")
    return run


async def test_a_charge_is_made_once_however_often_it_is_asked_for(psql: Psql) -> None:
    call = """
        select outcome, credits_used, repeated, available_credits
        from deduct_credits('acme', 'alice', 12.5, 'llm', p_event_id => 'e1')
    """
    assert await psql(call) == "charged|12.500000|f|87.500000"
    assert await psql(call) == "charged|12.500000|t|87.500000"
    assert await psql("select used_credits from user_credit_allocations") == "12.500000"
    assert await psql("select count(*) from credit_usage_attribution") == "1"


@pytest.mark.parametrize(
    ("call", "sqlstate"),
    [
        ("select deduct_credits('acme', 'alice', 60.000001, 'llm')", "MT001"),
        ("select deduct_credits('acme', 'bob', 1, 'llm')", "MT002"),
        ("select deduct_credits('ghost', 'bob', 1, 'llm')", "MT003"),
        ("select deduct_credits('acme', 'alice', 2, 'llm', p_event_id => 'taken')", "MT004"),
        ("select deduct_credits('acme', 'alice', -1, 'llm')", "MT006"),
        ("select deduct_credits('acme', 'alice', 'NaN', 'llm')", "MT006"),
        ("select deduct_credits('acme', 'alice', 0.0000001, 'llm')", "MT006"),
        ("select deduct_credits('acme', 'alice', 1e14, 'llm')", "MT006"),
        ("select deduct_credits('acme', '', 1, 'llm')", "MT006"),
        (
            "select deduct_credits('acme', 'alice', 1, 'llm', p_occurred_at => now() + interval '6 min')",
            "MT006",
        ),
        ("select add_credits_to_pool('acme', 0)", "MT006"),
        ("select add_credits_to_pool('ghost', 1)", "MT003"),
        ("select add_credits_to_pool('acme', 2, p_idempotency_key => 'key')", "MT004"),
        ("select allocate_credits_to_user('acme', 'bob', 41.000001)", "MT009"),
        ("select allocate_credits_to_user('acme', 'bob', 1, p_reset_period => 'hourly')", "MT006"),
        ("select create_organization('user')", "MT006"),
        ("select create_organization('-x')", "MT006"),
        ("begin isolation level serializable; select deduct_credits('acme', 'alice', 1, 'llm')", "25000"),
    ],
)
async def test_a_refusal_carries_its_sqlstate_and_writes_nothing(
    psql: Psql, call: str, sqlstate: str
) -> None:
    await psql("select deduct_credits('acme', 'alice', 1, 'llm', p_event_id => 'taken')")
    await psql("select add_credits_to_pool('acme', 1, p_idempotency_key => 'key')")
    everything = """
        select * from organization_credit_pools; select * from user_credit_allocations;
        select count(*) from credit_usage_attribution; select count(*) from org_billing_history
    """
    before = await psql(everything)
    with pytest.raises(Refused, match=f"^{sqlstate}: "):
        await psql(call)
    assert await psql(everything) == before


async def test_a_closed_organization_is_charged_nothing(psql: Psql) -> None:
    assert await psql("select close_organization('acme')") == "t"
    with pytest.raises(Refused, match=r"^MT005: "):
        await psql("select deduct_credits('acme', 'alice', 1, 'llm')")
    assert await psql("select outcome from deduct_credits('acme', 'alice', 0, 'llm')") == "charged"


async def test_has_sufficient_credits_says_what_a_charge_would(psql: Psql) -> None:
    asked = """
        select has_sufficient_credits('acme', 'alice', 60),
               has_sufficient_credits('acme', 'alice', 60.000001),
               has_sufficient_credits('acme', 'bob', 1), has_sufficient_credits('ghost', 'bob', 0)
    """
    assert await psql(asked) == "t|f|f|f"
    await psql("select set_pool_terms('acme', p_allocation_required => false)")
    assert await psql(asked) == "t|f|t|f"


async def test_a_repeated_top_up_adds_once_and_answers_alike(psql: Psql) -> None:
    call = "select * from add_credits_to_pool('acme', 50, 5, p_idempotency_key => 'invoice-1')"
    first = await psql(call)
    await psql("select add_credits_to_pool('acme', 1)")
    assert await psql(call) == first == "150.000000|150.000000|0"
    assert (
        await psql("select total_credits, lifetime_spent_amount from organization_credit_pools")
        == "151.000000|5.000000"
    )


async def test_a_key_computed_in_sql_is_the_key_of_the_contract(psql: Psql) -> None:
    cases = [
        ("svc", "1"),
        ('a"b\\c', "tab\tand\x7f\x01"),
        ("ünï/コード", "🙂" * 60),
        ("svc", "0190a8f2-7b1c-7cc3-98c4-dc0c0c07398f"),
        ("svc", "0190A8F2-7B1C-7CC3-98C4-DC0C0C07398F"),
    ]
    for source, identifier in cases:
        quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in (source, identifier))
        assert await psql(f"select usage_event_key({quoted})") == str(event_key(source, identifier))


async def test_a_purged_organization_leaves_only_its_tombstone(psql: Psql) -> None:
    await psql("select deduct_credits('acme', 'alice', 1, 'llm')")
    assert await psql("select purge_organization('acme')") == "1"
    counts = """
        select (select count(*) from credit_usage_attribution), (select count(*) from org_billing_history),
               (select count(*) from purged_organizations)
    """
    assert await psql(counts) == "0|0|1"
    with pytest.raises(Refused, match=r"^MT006: .* was purged"):
        await psql("select create_organization('acme')")


async def test_views_sum_each_side_of_a_join_once(psql: Psql) -> None:
    await psql("select allocate_credits_to_user('acme', 'bob', 40)")
    for user in ("alice", "bob"):
        await psql(f"select add_organization_member('acme', '{user}')")
        for service in ("llm", "valuation"):
            await psql(f"select deduct_credits('acme', '{user}', 5, '{service}')")
    summary = """
        select total_credits, used_credits, members, active_allocations, promised_credits
        from org_billing_summary
    """
    assert await psql(summary) == "100.000000|20.000000|2|2|80.000000"
    assert await psql("select sum(credits), sum(events) from credit_usage_by_service") == "20.000000|4"
    assert await psql("select sum(credits) from top_credit_users_by_org") == "20.000000"
    assert await psql("select used_credits, organizations from org_billing_metrics") == "20.000000|1"
    assert await psql("select sum(spendable_credits) from user_multi_org_credits") == "80.000000"
