"""What ``meter up`` says once everything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.local.postgres_binaries import psql_program
from meter.local.seed import ORGANIZATION, USER

if TYPE_CHECKING:
    from meter.local.addresses import Addresses
    from meter.settings import Settings


def welcome(settings: Settings, addresses: Addresses) -> str:
    """Write where everything is and what to try first.

    Args:
        settings: tells which servers are not meter's own; their addresses are never repeated.
        addresses: of the running stack.

    Returns:
        Lines for a terminal.
    """
    rows = [
        ("API", addresses.api_url),
        ("API description", f"{addresses.api_url}/openapi.json"),
        ("API that writes", addresses.admin_url),
        ("", f"{addresses.admin_url}/openapi.json"),
        ("health", f"{addresses.api_url}/readyz"),
        ("", f"{addresses.admin_url}/readyz"),
        ("", f"{addresses.worker_url}/readyz"),
        ("metrics", addresses.api_metrics_url),
        ("", addresses.admin_metrics_url),
        ("", f"{addresses.worker_url}/metrics"),
    ]
    if addresses.broker.metrics_url is not None:
        rows.append(("", addresses.broker.metrics_url))
    rows += [
        ("publish to", addresses.broker.publisher if settings.amqp_url is None else "METER_AMQP_URL"),
        (
            "psql",
            f"{psql_program()} '{addresses.database.owner}'"
            if settings.database_url is None
            else 'psql "$METER_DATABASE_URL"',
        ),
        ("state and logs", str(settings.state_dir)),
    ]
    lines = ["", "meter is running; stop it with Ctrl-C", ""]
    lines += [f"  {name:<18} {text}".rstrip() for name, text in rows]
    if addresses.token is not None:
        lines += [
            "",
            f'A token of "{USER}", owner of organization "{ORGANIZATION}", good for a day:',
            "",
            f"  export METER_TOKEN={addresses.token}",
            "",
            "Try:",
            "",
            f'  curl -H "Authorization: Bearer $METER_TOKEN" {addresses.api_url}{POOL_PATH}',
        ]
    return "\n".join([*lines, ""])


POOL_PATH = f"/api/v1/org-billing/credits/{ORGANIZATION}"
