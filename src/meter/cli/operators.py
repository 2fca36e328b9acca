"""What an operator needs to begin: organizations, credits and allocations."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

import click

from meter.cli.acting import acting_author, acting_login, with_pool
from meter.cli.output import example, json_option, print_result, print_rows
from meter.credits import parse_amount
from meter.db.credits import CreditReason, Credits, ResetPeriod
from meter.db.organizations import Organizations
from meter.db.subscriptions import Plan, Subscriptions
from meter.errors import AmountOutOfRange, NotAnAmount

if TYPE_CHECKING:
    import asyncpg


class _Amount(click.ParamType[Decimal]):
    """An exact decimal: at most six places and fourteen integer digits, never negative."""

    name = "decimal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if isinstance(value, Decimal):
            return value
        try:
            return parse_amount(value)
        except (AmountOutOfRange, NotAnAmount) as error:
            self.fail(f'"{value}" {error}', param, ctx)


_AMOUNT = _Amount()
_key_option = click.option(
    "--idempotency-key", help="Give the same key when you try again: then it happens once."
)


def _choice(literal: object) -> click.Choice[str]:
    return click.Choice(get_args(literal))


@click.group()
def organizations() -> None:
    """Whose usage is charged."""


@example("meter organizations add acme --name 'Acme Inc.' --plan hybrid")
@organizations.command("add")
@click.argument("org_id")
@click.option("--name", help="Unique; the id by default.")
@click.option("--display-name", help="What people read; the name by default.")
@click.option("--max-seats", type=click.IntRange(min=1), help="Members at most.")
@click.option(
    "--plan", type=_choice(Plan), help="Start a subscription; without one, usage is rated as on platform."
)
@click.option(
    "--allocation-required/--no-allocation-required",
    default=None,
    help="Whether a user without an allocation may spend nothing (the default) or freely from the pool.",
)
@click.option("--overage-limit", type=_AMOUNT, help="Allow the pool to be overdrawn by so many credits.")
@json_option
def add_organization(
    org_id: str,
    name: str | None,
    display_name: str | None,
    max_seats: int | None,
    plan: Plan | None,
    allocation_required: bool | None,
    overage_limit: Decimal | None,
    as_json: bool,
) -> None:
    """Add the organization ORG_ID with an empty pool of credits."""

    async def add(pool: asyncpg.Pool) -> bool:
        gateway = Organizations(pool)
        created = await gateway.add(
            org_id, name=name, display_name=display_name, max_seats=max_seats, author=acting_author()
        )
        if created and plan is not None:
            await Subscriptions(pool).start(org_id, plan, author=acting_author())
        if allocation_required is not None or overage_limit is not None:
            await Credits(pool).set_pool_terms(
                org_id,
                allocation_required=allocation_required,
                allow_overage=None if overage_limit is None else overage_limit > 0,
                overage_limit=overage_limit,
                actor=acting_login(),
            )
        return created

    created = with_pool(add)
    next_step = f"added; next: meter credits add {org_id} CREDITS, meter members add {org_id} USER"
    sentence = next_step if created else "it is there already"
    print_result({"org_id": org_id, "created": created}, f'organization "{org_id}": {sentence}', as_json)


@example("meter organizations list --json")
@organizations.command("list")
@json_option
def list_organizations(as_json: bool) -> None:
    """List the organizations with their pools."""
    print_rows(with_pool(lambda pool: Organizations(pool).all()), as_json)


@example("meter organizations close acme")
@organizations.command("close")
@click.argument("org_id")
@json_option
def close_organization(org_id: str, as_json: bool) -> None:
    """Close the organization ORG_ID: its usage from now on is recorded as unfunded."""
    closed = with_pool(lambda pool: Organizations(pool).close(org_id, actor=acting_login()))
    sentence = "closed" if closed else "it was closed before"
    print_result({"org_id": org_id, "closed": closed}, f'organization "{org_id}": {sentence}', as_json)


@click.group("credits")
def credits_() -> None:
    """What an organization has bought. One credit is 0.001 USD."""


@example("meter credits add acme 100000 --paid 100 --idempotency-key invoice-42")
@credits_.command("add")
@click.argument("org_id")
@click.argument("credits", type=_AMOUNT)
@click.option("--paid", type=_AMOUNT, default="0", show_default=True, help="USD paid for them.")
@click.option("--reason", type=_choice(CreditReason), default="purchase", show_default=True)
@_key_option
@json_option
def add_credits(
    org_id: str,
    credits: Decimal,
    paid: Decimal,
    reason: CreditReason,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Add CREDITS to the pool of ORG_ID and settle what was unfunded."""
    balance = with_pool(
        lambda pool: Credits(pool).add(
            org_id,
            credits,
            purchase_amount=paid,
            reason=reason,
            actor=acting_login(),
            idempotency_key=idempotency_key,
        )
    )
    print_result(
        balance,
        f'organization "{org_id}" has {balance.available_credits} of {balance.total_credits} credits left'
        + (f"; {balance.funded_events} unfunded events were settled" if balance.funded_events else ""),
        as_json,
    )


@click.group()
def allocations() -> None:
    """How much of the pool each user may spend."""


@example("meter allocations set acme alice 5000 --reset monthly")
@allocations.command("set")
@click.argument("org_id")
@click.argument("user_id")
@click.argument("credits", type=_AMOUNT)
@click.option("--reset", type=_choice(ResetPeriod), help="When the limit begins anew; never by default.")
@click.option("--inactive", is_flag=True, help="Take the user out; the limit's row stays.")
@_key_option
@json_option
def set_allocation(
    org_id: str,
    user_id: str,
    credits: Decimal,
    reset: ResetPeriod | None,
    inactive: bool,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Set what USER_ID may spend of the pool of ORG_ID to CREDITS."""
    allocation = with_pool(
        lambda pool: Credits(pool).allocate(
            org_id,
            user_id,
            credits,
            reset_period=reset,
            is_active=not inactive,
            actor=acting_login(),
            idempotency_key=idempotency_key,
        )
    )
    print_result(
        allocation,
        f'user "{user_id}" may spend {allocation.remaining_credits} of {allocation.allocated_credits} credits'
        f' in organization "{org_id}"'
        + (f"; {allocation.funded_events} unfunded events were settled" if allocation.funded_events else ""),
        as_json,
    )
