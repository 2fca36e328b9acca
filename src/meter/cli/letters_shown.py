"""How dead letters are printed: as a table, as JSON, or one in full."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table

from meter.cli.output import print_json

if TYPE_CHECKING:
    from collections import Counter
    from datetime import datetime

    from meter.consumers.kept_letters import KeptLetter


class JsonList:
    """A JSON list of dead letters, printed as they come: there can be very many."""

    def __init__(self, limit: int | None) -> None:
        """Print nothing yet.

        Args:
            limit: how many are printed at most; None: all.
        """
        self._limit = limit
        self._printed = 0

    def add(self, letter: KeptLetter) -> None:
        """Print one more, unless the list is full."""
        if self._printed != self._limit:
            click.echo(
                ("," if self._printed else "[") + "\n  " + msgspec.json.encode(_facts(letter)).decode(),
                nl=False,
            )
            self._printed += 1

    def end(self, _by_reason: Counter[str]) -> None:
        """Print the end of the list."""
        click.echo("\n]" if self._printed else "[]")


class LetterTable:
    """A table of the first dead letters, and how many there are by reason."""

    def __init__(self, limit: int) -> None:
        """Begin empty.

        Args:
            limit: how many are shown.
        """
        self._limit = limit
        self._table = Table(
            *("id", "reason", "organization", "event", "first seen", "attempts", "what is wrong"),
            box=None,
            pad_edge=False,
        )

    def add(self, letter: KeptLetter) -> None:
        """Show one more, unless the table is full."""
        if self._table.row_count == self._limit:
            return
        attempts = "" if letter.attempts is None else str(letter.attempts)
        cells = (letter.id, letter.reason, letter.org_id, letter.event_id, _moment(letter.first_seen))
        self._table.add_row(*(cell or "" for cell in cells), attempts, letter.sentence or "")

    def end(self, by_reason: Counter[str]) -> None:
        """Print the table and the numbers.

        Args:
            by_reason: how many there are of each.
        """
        total = by_reason.total()
        if not total:
            click.echo("none")
            return
        Console().print(self._table)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in by_reason.most_common())
        click.echo(f"{total:,} dead letter{'' if total == 1 else 's'}: {reasons}")
        if total > self._table.row_count:
            click.echo(f"the first {self._table.row_count:,} are shown; --limit shows more")


def print_letter(letter: KeptLetter, *, raw: bool, as_json: bool) -> None:
    """Print one dead letter in full.

    Args:
        letter: the letter.
        raw: write the exact bytes of the body and nothing else.
        as_json: print JSON; the body as text where it is UTF-8, and exact in base64.
    """
    if raw:
        sys.stdout.buffer.write(letter.body)
        sys.stdout.buffer.flush()
        return
    facts = _facts(letter)
    if as_json:
        try:
            text = letter.body.decode()
        except UnicodeDecodeError:
            text = None
        print_json(facts | {"body": text, "body_base64": base64.b64encode(letter.body).decode()})
        return
    facts["first_seen"] = _moment(letter.first_seen)
    for name, shown in facts.items():
        click.echo(f"{name.replace('_', ' '):22} {'' if shown is None else shown}")
    click.echo()
    click.echo(_harmless(letter.body))


def _facts(letter: KeptLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "reason": letter.reason,
        "sentence": letter.sentence,
        "org_id": letter.org_id,
        "event_id": letter.event_id,
        "first_seen": letter.first_seen,
        "attempts": letter.attempts,
        "origin_queue": letter.origin_queue,
        "part": letter.part,
        "content_type": letter.content_type,
        "original_content_type": letter.original_content_type,
        "body_sha256": letter.body_sha256.hex(),
        "body_bytes": len(letter.body),
    }


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _harmless(body: bytes) -> str:
    """Text that a terminal shows and does not obey."""
    text = body.decode(errors="backslashreplace")
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )
