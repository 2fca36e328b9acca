"""The usage history as one stream of any length, in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from meter.api.bodies import CSV, NDJSON, NEGOTIATED, csv_header, csv_rows, ndjson_lines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from meter.api.parameters import Format
    from meter.db.usage_history import EntryPosition, UsageEntry, UsageFilter, UsageHistory

#: Entries read by one statement: a few milliseconds of the database and half a megabyte of ours.
CHUNK_ENTRIES = 1_000

_FORMAT_OF_MEDIA_TYPE: dict[str, Format] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
}


def wanted_format(by_query: Format | None, accept: str | None) -> Format:
    """Choose the format of the history.

    Args:
        by_query: what the query asks for; goes first.
        accept: the Accept header.

    Returns:
        The format; JSON where the header names none that we have.
    """
    if by_query is not None:
        return by_query
    best: tuple[float, Format] = (0.0, "json")
    for offer in (accept or "").split(","):
        media_type, *parameters = (part.strip().lower() for part in offer.split(";"))
        offered = _FORMAT_OF_MEDIA_TYPE.get(media_type)
        if offered is not None and _quality(parameters) > best[0]:
            best = (_quality(parameters), offered)
    return best[1]


async def export_response(
    history: UsageHistory,
    wanted: UsageFilter,
    after: EntryPosition,
    limit: int | None,
    chosen: Format,
    *,
    only_begin: bool = False,
) -> Response:
    """Answer with everything that matches.

    The first chunk is read before the response begins, so that a database that is away is a problem response.
    A failure later breaks the stream off: a response that ends well is whole.

    Args:
        history: the ledger.
        wanted: which entries.
        after: where to begin.
        limit: entries at most; None for all.
        chosen: ``csv`` or ``ndjson``.
        only_begin: for who wants the headers only: the first chunk is all that is read.
    """
    # What is recorded from now on is left out, or an export could run after a backfill for ever.
    recorded_by = await history.now()
    chunks = _chunks(history, wanted, after, limit, recorded_by)
    first = await anext(chunks)
    if only_begin:
        await chunks.aclose()
    write, header, media_type = _WRITERS[chosen]
    name = f"usage-{wanted.org_id.replace(':', '_')}.{chosen}"
    return StreamingResponse(
        _stream(header, first, chunks, write),
        headers={
            **NEGOTIATED,
            "Content-Disposition": f'attachment; filename="{name}"',
        },
        media_type=media_type,
    )


_WRITERS: dict[Format, tuple[Callable[[Sequence[UsageEntry]], bytes], bytes, str]] = {
    "csv": (csv_rows, csv_header(), CSV),
    "ndjson": (ndjson_lines, b"", NDJSON),
}


async def _stream(
    header: bytes,
    first: Sequence[UsageEntry],
    rest: AsyncIterator[Sequence[UsageEntry]],
    write: Callable[[Sequence[UsageEntry]], bytes],
) -> AsyncIterator[bytes]:
    # Nothing is never sent: a chunk of no bytes is how HTTP ends a response.
    if header or first:
        yield header + write(first)
    async for chunk in rest:
        if chunk:
            yield write(chunk)


async def _chunks(
    history: UsageHistory,
    wanted: UsageFilter,
    after: EntryPosition,
    limit: int | None,
    recorded_by: datetime,
) -> AsyncGenerator[Sequence[UsageEntry], None]:
    left = limit
    while left is None or left > 0:
        size = CHUNK_ENTRIES if left is None else min(left, CHUNK_ENTRIES)
        page = await history.page(wanted, after=after, recorded_by=recorded_by, limit=size)
        yield page.entries
        if page.next is None:
            return
        after = page.next
        left = None if left is None else left - len(page.entries)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter.removeprefix("q="))
            except ValueError:
                return 0.0
    return 1.0
