"""``meter dead-letters``: look at what could not be settled, replay it, or throw it away."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from meter.cli.output import example, json_option
from meter.cli.selection import LETTER_ID, filter_options
from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

    from meter.cli.selection import Chosen

_ids = click.argument("ids", nargs=-1, type=LETTER_ID)
#: As many as the table of what was discarded keeps of who did it.
_NAME_CHARS = 255
_yes_option = click.option("--yes", is_flag=True, help="Do not ask; for programs.")


@click.group("dead-letters")
def dead_letters() -> None:
    """What could not be settled: the queue meter.dead.

    METER_AMQP_URL needs a broker user that may read meter.dead and, to replay, write to meter.usage; without
    it the stack of `meter up` on this machine is meant.
    """


@example("meter dead-letters list --reason unknown_organization --since 2026-01-31")
@dead_letters.command("list")
@filter_options
@click.option(
    "--limit", type=click.IntRange(min=1), help="Show so many; 100 by default, and all of them with --json."
)
@json_option
def list_letters(
    chosen: Chosen,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the dead letters, oldest first, and count them by reason. Changes nothing."""
    work = _work()
    selection = work.selected((), chosen)
    work.run(work.list_letters(selection, limit, as_json=as_json))


@example("meter dead-letters show 3f0c9a7e11d2b604")
@dead_letters.command("show")
@click.argument("letter_id", metavar="ID", type=LETTER_ID)
@click.option("--raw", is_flag=True, help="Write the exact bytes of the body and nothing else.")
@json_option
def show_letter(letter_id: str, raw: bool, as_json: bool) -> None:
    """Show the dead letter ID in full; its beginning is enough. Changes nothing."""
    if raw and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    work = _work()
    work.run(work.show_letter(letter_id, raw=raw, as_json=as_json))


@example("meter organizations add acme && meter dead-letters replay --reason unknown_organization --org acme")
@dead_letters.command("replay")
@_ids
@filter_options
@_yes_option
@json_option
def replay_letters(
    ids: tuple[str, ...],
    chosen: Chosen,
    yes: bool,
    as_json: bool,
) -> None:
    """Publish dead letters as usage again: all of them, those with IDS, or those that the options select.

    Each is confirmed by the broker before it leaves meter.dead, so it can be killed at any moment; what was
    settled already is a duplicate and charges nothing. What still cannot be settled comes back.
    """
    work = _work()
    selection = work.selected(ids, chosen)
    work.run(work.replay_letters(selection, _consent(yes, as_json), as_json=as_json))


@example("meter dead-letters discard 3f0c9a7e11d2b604 --reason-text 'a load test, not usage'")
@dead_letters.command("discard")
@_ids
@filter_options
@click.option("--reason-text", required=True, help="Why; it stays written down.")
@click.option("--by", help="Who; your login by default.")
@_yes_option
@json_option
def discard_letters(
    ids: tuple[str, ...],
    chosen: Chosen,
    reason_text: str,
    by: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Throw dead letters away for good: all of them, those with IDS, or those that the options select.

    Who did it, why, when, and which letters they were is written to the table dead_letter_discards first.
    """
    if not reason_text.strip():
        raise click.BadParameter("say why", param_hint="--reason-text")
    if by is not None and not 0 < len(by.strip()) <= _NAME_CHARS:
        raise click.BadParameter(f"say who, in at most {_NAME_CHARS} characters", param_hint="--by")
    actor = by if by is not None else f"cli:{getpass.getuser()}"
    work = _work()
    selection = work.selected(ids, chosen)
    consent = _consent(yes, as_json)
    work.run(work.discard_letters(selection, consent, actor=actor, why=reason_text, as_json=as_json))


def _consent(yes: bool, as_json: bool) -> bool:
    if as_json and not yes:
        raise click.UsageError("--json is for programs, which cannot be asked: add --yes")
    return yes


def _work() -> ModuleType:
    try:
        from meter.cli import dead_letter_work  # noqa: PLC0415 - only these commands need the worker's side
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("meter"):
            raise
        raise ConfigurationError(
            "dead letters need more than a command line does; install it with: pip install 'meter[worker]'"
        ) from error
    return dead_letter_work
