"""API keys for services: made, listed, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from meter.cli.acting import acting_login, with_pool
from meter.cli.output import example, json_option, print_json, print_result, print_rows
from meter.db.api_keys import ApiKeys, NewApiKey
from meter.db.key_secrets import make_key, prefix_of
from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

_SCOPES = ("deduct", "check", "read")
_PER_MINUTE = click.IntRange(1, 10_000_000)


@click.group()
def keys() -> None:
    """API keys, with which services call the API."""


@example("meter keys create checkout --org acme --scope deduct --scope check --days 365")
@keys.command("create")
@click.argument("name")
@click.option("--org", "org_id", help="The only organization that it is good for.")
@click.option("--all-organizations", is_flag=True, help="Good for every organization, new ones too.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(_SCOPES),
    multiple=True,
    required=True,
    help="What it is for: charge at once, ask whether a charge would be taken, read; may be repeated.",
)
@click.option("--days", type=click.IntRange(1, 36_500), help="How long it is good; for ever by default.")
@click.option("--reads-per-minute", type=_PER_MINUTE, help="Instead of what every caller may do.")
@click.option("--writes-per-minute", type=_PER_MINUTE, help="The same for charges.")
@json_option
def create_key(
    name: str,
    org_id: str | None,
    all_organizations: bool,
    scopes: tuple[str, ...],
    days: int | None,
    reads_per_minute: int | None,
    writes_per_minute: int | None,
    as_json: bool,
) -> None:
    """Make a key called NAME and print it, once: only its digest is kept."""
    if (org_id is None) != all_organizations:
        raise click.UsageError("say whom it is good for: either --org ORG_ID or --all-organizations")
    made = make_key()
    wanted = NewApiKey(
        org_id,
        name,
        sorted(set(scopes)),
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
        reads_per_minute=reads_per_minute,
        writes_per_minute=writes_per_minute,
    )

    async def add(pool: asyncpg.Pool) -> UUID:
        return await ApiKeys(pool).add(wanted, made.prefix, made.sha256, actor=acting_login())

    key_id = with_pool(add)
    if as_json:
        print_json(
            {
                "key": made.key,
                "key_id": key_id,
                "prefix": made.prefix,
                "name": wanted.name,
                "org_id": wanted.org_id,
                "scopes": list(wanted.scopes),
                "expires_at": wanted.expires_at,
            }
        )
        return
    click.echo(made.key)
    click.echo("Keep it now, it is not shown again; send it as: Authorization: Bearer mk_…", err=True)


@example("meter keys list --org acme")
@keys.command("list")
@click.option("--org", "org_id", help="Only those of this organization.")
@json_option
def list_keys(org_id: str | None, as_json: bool) -> None:
    """List the keys there are and were, without their secrets."""
    print_rows(with_pool(lambda pool: ApiKeys(pool).all(org_id)), as_json)


@example("meter keys revoke mk_4fJq81Xa")
@keys.command("revoke")
@click.argument("prefix")
@json_option
def revoke_key(prefix: str, as_json: bool) -> None:
    """Make the key that begins with PREFIX worthless, for good; within 5 seconds nobody takes it any more."""
    shown = prefix_of(prefix)
    revoked = with_pool(lambda pool: ApiKeys(pool).revoke(shown, actor=acting_login()))
    if revoked is None:
        raise ConfigurationError("no key begins so; list them with: meter keys list")
    sentence = "is revoked" if revoked else "was revoked before"
    print_result({"prefix": shown, "revoked": revoked}, f"the key {shown} {sentence}", as_json)
