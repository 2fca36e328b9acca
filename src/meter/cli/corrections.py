"""What an operator sets right: events taken back by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from meter.cli.acting import acting_login, with_pool
from meter.cli.output import example, json_option, print_result
from meter.db.corrections import Corrections
from meter.events import is_event_key

if TYPE_CHECKING:
    from meter.db.corrections import VoidedUsage


@example("meter void --org acme --source chat --event order-4711 --reason 'the answer never arrived'")
@click.command()
@click.option("--org", "org_id", required=True, help="The organization.")
@click.option("--event", "event_id", required=True, help="The event's id, as it was published.")
@click.option("--source", help="The event's source; needed unless its id is a UUIDv7.")
@click.option("--reason", required=True, help="Why; it is kept in the ledger.")
@json_option
def void(org_id: str, event_id: str, source: str | None, reason: str, as_json: bool) -> None:
    """Take an event back: whatever it took is given back, once.

    Nothing is deleted: the ledger gets a row of this and a row that reverses the event. An event that is not
    there yet is reversed when it comes.
    """
    if source is None and not is_event_key(event_id):
        raise click.UsageError(
            f'the id "{event_id}" is no UUIDv7 and counts together with its source; add --source'
        )
    voided = with_pool(
        lambda pool: Corrections(pool).void(
            org_id, event_id, source=source, reason=reason, actor=acting_login()
        )
    )
    print_result(voided, f'event "{event_id}" of organization "{org_id}": {_sentence(voided)}', as_json)


def _sentence(voided: VoidedUsage) -> str:
    if voided.result == "waiting":
        return "no such event has come; it is reversed when it does (is the id right, and the source?)"
    if voided.result == "nothing":
        return "it was taken back before by another void; nothing is left to reverse"
    told = f"taken back{' before' if voided.repeated else ''}: {voided.credits} credits {voided.outcome}"
    funded = f"; unfunded events settled with them: {voided.funded_events}" if voided.funded_events else ""
    return told + funded
