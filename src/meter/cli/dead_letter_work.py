"""What ``meter dead-letters`` does, once its options are understood."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from meter.cli.addresses import database_url, dead_letters_url
from meter.cli.letters_shown import JsonList, LetterTable, print_letter
from meter.cli.output import print_result
from meter.consumers.kept_letters import KeptLetter, Selection
from meter.consumers.retrieval import Retrieval, open_retrieval
from meter.db.discards import DiscardedLetter, Discards
from meter.db.pool import open_pool
from meter.errors import MeterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from meter.cli.selection import Chosen

_SHOWN = 100


class NoSuchLetter(MeterError):
    """No dead letter has this id, or several have."""


def run(work: Coroutine[None, None, None]) -> None:
    """Do the work of a command to its end.

    Args:
        work: of one of the functions here.
    """
    # What went wrong is told in one sentence; the library would tell it beside.
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    asyncio.run(work)


def selected(ids: tuple[str, ...], chosen: Chosen) -> Selection:
    """Put ids and filters together.

    Args:
        ids: beginnings of ids.
        chosen: what the options say.
    """
    return Selection(ids, frozenset(chosen.reasons), chosen.org_id, chosen.since, chosen.until)


async def list_letters(selection: Selection, limit: int | None, *, as_json: bool) -> None:
    """Print dead letters and their number by reason.

    Args:
        selection: which.
        limit: how many are printed.
        as_json: print a JSON list, of all of them where there is no limit.
    """
    shown = JsonList(limit) if as_json else LetterTable(limit or _SHOWN)
    by_reason: Counter[str] = Counter()
    async with (
        open_retrieval(dead_letters_url()) as retrieval,
        aclosing(retrieval.letters(selection)) as letters,
    ):
        async for letter in letters:
            by_reason[letter.reason or "without a reason"] += 1
            shown.add(letter)
    shown.end(by_reason)


async def show_letter(letter_id: str, *, raw: bool, as_json: bool) -> None:
    """Print one dead letter in full.

    Args:
        letter_id: the beginning of its id.
        raw: write its exact bytes.
        as_json: print JSON.

    Raises:
        NoSuchLetter: none has this id, or several different ones have.
    """
    found: dict[str, KeptLetter] = {}
    selection = Selection(ids=(letter_id,))
    async with (
        open_retrieval(dead_letters_url()) as retrieval,
        aclosing(retrieval.letters(selection)) as letters,
    ):
        async for letter in letters:
            found.setdefault(letter.id, letter)
    if not found:
        raise NoSuchLetter(f"no dead letter has the id {letter_id}; see: meter dead-letters list")
    if len(found) > 1:
        raise NoSuchLetter(f"several dead letters have an id that begins with {letter_id}; give more of it")
    print_letter(*found.values(), raw=raw, as_json=as_json)


async def replay_letters(selection: Selection, consent: bool, *, as_json: bool) -> None:
    """Publish dead letters as usage again.

    Args:
        selection: which.
        consent: whether nobody is to be asked.
        as_json: print JSON.
    """
    async with open_retrieval(dead_letters_url()) as retrieval:
        matching = await _agreed(retrieval, selection, consent, "replay", quiet=as_json)
        with _progress("replaying", matching, quiet=as_json) as advance:
            done = await retrieval.replay(selection, advance) if matching else 0
    print_result({"matching": matching, "replayed": done}, f"replayed {_letters(done)}", as_json)


async def discard_letters(
    selection: Selection, consent: bool, *, actor: str, why: str, as_json: bool
) -> None:
    """Throw dead letters away, after writing down who did and why.

    Args:
        selection: which.
        consent: whether nobody is to be asked.
        actor: who does it.
        why: the reason given.
        as_json: print JSON.
    """
    async with open_retrieval(dead_letters_url()) as retrieval, _discards() as discards:

        async def write_down(letters: Sequence[KeptLetter]) -> tuple[list[KeptLetter], None]:
            await discards.record([_discarded(letter) for letter in letters], actor=actor, why=why)
            return list(letters), None

        matching = await _agreed(retrieval, selection, consent, "throw away", quiet=as_json)
        with _progress("discarding", matching, quiet=as_json) as advance:
            done = await retrieval.remove(selection, write_down, advance) if matching else 0
    print_result({"matching": matching, "discarded": done}, f"threw away {_letters(done)}", as_json)


async def _agreed(
    retrieval: Retrieval, selection: Selection, consent: bool, what: str, *, quiet: bool
) -> int:
    """Count what is meant and ask; returns the number."""
    with _progress("looking", None, quiet=quiet) as advance:
        matching = await retrieval.count(selection, advance)
    if matching and not consent:
        click.confirm(f"{what} {_letters(matching)}?", abort=True, err=True)
    return matching


@asynccontextmanager
async def _discards() -> AsyncIterator[Discards]:
    pool = await open_pool(database_url(), "meter_admin", max_connections=1)
    try:
        yield Discards(pool)
    finally:
        await pool.close()


def _discarded(letter: KeptLetter) -> DiscardedLetter:
    return DiscardedLetter(
        letter.reason,
        letter.org_id,
        letter.event_id,
        letter.first_seen,
        letter.body_sha256,
        len(letter.body),
    )


@contextmanager
def _progress(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    with Progress(
        console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True
    ) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda more: progress.advance(bar, more)


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"
