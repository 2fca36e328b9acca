"""Which dead letters a command is about: ids and filters, the same for all of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from meter.events import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the options of a command say.

    Attributes:
        reasons: codes; empty: any.
        org_id: the organization; None: any.
        since: first seen then or later.
        until: first seen before then.
    """

    reasons: tuple[str, ...]
    org_id: str | None
    since: datetime | None
    until: datetime | None


class _Moment(click.ParamType[datetime]):
    """A moment as ISO 8601 says it; without an offset it is UTC."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f'"{value}" is no moment; write it like 2026-01-31T12:00:00Z or 2026-01-31', param, ctx)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class _LetterId(click.ParamType[str]):
    """The beginning of a dead letter's id."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).lower()
        if len(text) < 4 or not set(text) <= set("0123456789abcdef"):
            self.fail(
                f'"{value}" is no id of a dead letter; `meter dead-letters list` shows them', param, ctx
            )
        return text


LETTER_ID = _LetterId()
_MOMENT = _Moment()


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the filters over dead letters.

    Args:
        command: takes what they say as ``chosen``.
    """

    @functools.wraps(command)
    def filtered(
        *,
        reasons: tuple[str, ...],
        org_id: str | None,
        since: datetime | None,
        until: datetime | None,
        **others: object,
    ) -> None:
        command(chosen=Chosen(reasons, org_id, since, until), **others)

    for option in (
        click.option("--until", type=_MOMENT, help="First seen before then."),
        click.option("--since", type=_MOMENT, help="First seen then or later; UTC without an offset."),
        click.option("--org", "org_id", metavar="ORG_ID", help="Of this organization."),
        click.option(
            "--reason",
            "reasons",
            multiple=True,
            metavar="REASON",
            callback=_known_reasons,
            help="With this reason code, for instance unknown_organization; may be repeated.",
        ),
    ):
        filtered = option(filtered)
    return filtered


def _known_reasons(
    _context: click.Context, _parameter: click.Parameter, reasons: tuple[str, ...]
) -> tuple[str, ...]:
    known = {reason.value for reason in RefusalReason}
    for reason in reasons:
        if reason not in known:
            raise click.BadParameter(f'"{reason}" is no reason; there are: {", ".join(sorted(known))}')
    return reasons
