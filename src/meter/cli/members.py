"""Members of organizations: added, given other roles, removed."""

from __future__ import annotations

from typing import get_args

import click

from meter.cli.acting import acting_author, with_pool
from meter.cli.output import example, json_option, print_result, print_rows
from meter.db.members import Members, Role

_ROLE = click.Choice(get_args(Role))


@click.group()
def members() -> None:
    """Who belongs to an organization and may see its balances."""


@example("meter members add acme alice --role owner")
@members.command("add")
@click.argument("org_id")
@click.argument("user_id")
@click.option("--role", type=_ROLE, default="member", show_default=True)
@json_option
def add_member(org_id: str, user_id: str, role: Role, as_json: bool) -> None:
    """Make USER_ID a member of ORG_ID, or give a member another role."""
    changed = with_pool(lambda pool: Members(pool).add(org_id, user_id, role, author=acting_author()))
    _print_role(org_id, user_id, role, changed=changed, as_json=as_json)


@example("meter members list acme")
@members.command("list")
@click.argument("org_id")
@json_option
def list_members(org_id: str, as_json: bool) -> None:
    """List the members of ORG_ID."""
    print_rows(with_pool(lambda pool: Members(pool).all(org_id)), as_json)


@example("meter members set-role acme alice admin")
@members.command("set-role")
@click.argument("org_id")
@click.argument("user_id")
@click.argument("role", type=_ROLE)
@json_option
def set_role(org_id: str, user_id: str, role: Role, as_json: bool) -> None:
    """Give the member USER_ID of ORG_ID the role member, admin or owner. The last owner stays owner."""
    changed = with_pool(lambda pool: Members(pool).change_role(org_id, user_id, role, author=acting_author()))
    _print_role(org_id, user_id, role, changed=changed, as_json=as_json)


@example("meter members remove acme alice")
@members.command("remove")
@click.argument("org_id")
@click.argument("user_id")
@json_option
def remove_member(org_id: str, user_id: str, as_json: bool) -> None:
    """Take USER_ID out of ORG_ID: the user sees nothing of it any more and may spend nothing of its pool.

    The last owner stays.
    """
    with_pool(lambda pool: Members(pool).remove(org_id, user_id, author=acting_author()))
    print_result(
        {"org_id": org_id, "user_id": user_id, "removed": True},
        f'user "{user_id}" is no member of organization "{org_id}" any more',
        as_json,
    )


def _print_role(org_id: str, user_id: str, role: Role, *, changed: bool, as_json: bool) -> None:
    sentence = f"is now {role}" if changed else f"was {role} already"
    print_result(
        {"org_id": org_id, "user_id": user_id, "role": role, "changed": changed},
        f'user "{user_id}" {sentence} of organization "{org_id}"',
        as_json,
    )
