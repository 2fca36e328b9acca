"""``meter members``: an operator adds, promotes and removes, by the rules of the books."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from meter.cli.commands import meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
SEED = """
select create_organization('acme', p_owner => 'olga', p_max_seats => 3);
select add_organization_member('acme', 'alice');
select add_credits_to_pool('acme', 1000);
select allocate_credits_to_user('acme', 'alice', 400);
"""


@pytest.fixture
async def books(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane


async def meter_members(books: AdminClient, *arguments: str) -> Result:
    runner = CliRunner(env={"METER_DATABASE_URL": books.dsn})
    return await asyncio.to_thread(runner.invoke, meter, ["members", *arguments])


async def said(books: AdminClient, *arguments: str) -> str:
    done = await meter_members(books, *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


async def refused(books: AdminClient, *arguments: str) -> str:
    done = await meter_members(books, *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    return done.stderr.strip()


async def roles(books: AdminClient) -> dict[str, str]:
    listed: list[dict[str, Any]] = json.loads(await said(books, "list", "acme", "--json"))
    return {member["user_id"]: member["role"] for member in listed}


async def last_change(books: AdminClient) -> tuple[object, ...]:
    row = await books.owner.fetchrow(
        "select event_type, user_id, actor from org_billing_history order by id desc limit 1"
    )
    return tuple(row)


async def test_a_member_is_given_another_role_once_and_it_is_written_down(books: AdminClient) -> None:
    arguments = ("set-role", "acme", "alice", "admin")
    assert await said(books, *arguments) == 'user "alice" is now admin of organization "acme"'
    assert await roles(books) == {"alice": "admin", "olga": "owner"}
    assert await last_change(books) == ("member_role_changed", "alice", f"cli:{getpass.getuser()}")
    again = json.loads(await said(books, *arguments, "--json"))
    assert again == {"org_id": "acme", "user_id": "alice", "role": "admin", "changed": False}


async def test_who_is_removed_may_spend_nothing_any_more(books: AdminClient) -> None:
    assert await said(books, "remove", "acme", "alice") == (
        'user "alice" is no member of organization "acme" any more'
    )
    assert await roles(books) == {"olga": "owner"}
    assert await last_change(books) == ("allocation_deactivated", "alice", f"cli:{getpass.getuser()}")
    assert await books.owner.fetchval("select is_active from user_credit_allocations") is False
    assert await books.owner.fetchval("select allocated_credits from organization_credit_pools") == 0
    assert await books.owner.fetchval("select has_sufficient_credits('acme', 'alice', 1)") is False


@pytest.mark.parametrize(
    "arguments",
    [("remove", "acme", "olga"), ("set-role", "acme", "olga", "admin"), ("add", "acme", "olga")],
)
async def test_the_last_owner_stays(books: AdminClient, arguments: tuple[str, ...]) -> None:
    assert await refused(books, *arguments) == (
        'Error: user "olga" is the last owner of organization "acme". Appoint another owner first.'
    )
    assert (await roles(books))["olga"] == "owner"
    await said(books, "set-role", "acme", "alice", "owner")
    await said(books, *arguments)
    assert (await roles(books)).get("olga") != "owner"


@pytest.mark.parametrize("arguments", [("remove", "acme", "eve"), ("set-role", "acme", "eve", "admin")])
async def test_who_is_no_member_is_not_made_one(books: AdminClient, arguments: tuple[str, ...]) -> None:
    assert await refused(books, *arguments) == 'Error: user "eve" is no member of organization "acme"'
    assert await roles(books) == {"alice": "member", "olga": "owner"}


async def test_an_organization_that_is_not_there_and_a_full_one_are_told(books: AdminClient) -> None:
    assert await refused(books, "remove", "nobody", "alice") == 'Error: organization "nobody" is not known'
    await said(books, "add", "acme", "bob")
    assert "all 3 seats" in await refused(books, "add", "acme", "carol")
    await said(books, "remove", "acme", "bob")
    await said(books, "add", "acme", "carol")


async def test_the_commands_of_the_page_work(books: AdminClient) -> None:
    commands = [line.split() for line in re.findall(r"^meter members (.*)$", PAGE, re.MULTILINE)]
    assert {words[0] for words in commands} == {"add", "set-role", "list", "remove"}
    for words in commands:
        await said(books, *words)
    assert await roles(books) == {"alice": "member", "olga": "owner"}
