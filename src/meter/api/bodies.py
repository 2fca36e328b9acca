"""What goes out: JSON with decimals as strings, NDJSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from starlette.responses import Response

from meter.credits import format_amount
from meter.db.usage_history import UsageEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

JSON = "application/json"
CSV = "text/csv; charset=utf-8"
NDJSON = "application/x-ndjson"

#: Answers are one caller's: shared caches keep nothing, and a browser asks whether its copy still holds.
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
#: The same where the Accept header chooses the format.
NEGOTIATED = {**PRIVATE, "Vary": "Authorization, Accept"}

#: What every answer with an ETag has beside it.
_KNOWN = tuple(
    (name.lower().encode(), value.encode()) for name, value in {**PRIVATE, "Content-Type": JSON}.items()
)

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

#: What most of a body is made of.
_AS_THEY_ARE = frozenset({str, int, bool, datetime, UUID, type(None), msgspec.Raw})

_encoder = msgspec.json.Encoder()
#: Columns of the CSV: the fields of an entry, in their order.
_COLUMNS = UsageEntry.__struct_fields__
#: Those of them that are no formula though they may begin with a minus.
_AMOUNTS = frozenset({"quantity", "credits_used", "api_cost", "markup_applied", "total_cost"})


def json_response(body: object, headers: Mapping[str, str] = PRIVATE, status: int = 200) -> Response:
    """Answer with JSON.

    Args:
        body: dataclasses, mappings, lists and plain values.
        headers: of the response.
        status: of the response.
    """
    return Response(_encoder.encode(plain(body)), status, dict(headers), JSON)


def json_response_with_etag(request: Request, body: object, etag: str | None = None) -> Response:
    """Answer with JSON, or with 304 where the caller has it already.

    Args:
        request: its ``If-None-Match`` is honoured.
        body: as for `json_response`.
        etag: of the body; made from it where None.
    """
    encoded = _encoder.encode(plain(body))
    # Weak: the same content, whatever encoding a proxy puts on the bytes.
    etag = etag or f'W/"{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"'
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers={**PRIVATE, "ETag": etag})
    return _Known(encoded, etag)


class _Known(Response):
    """JSON with an ETag; its headers are not made anew, which would take as long as its body."""

    def __init__(self, encoded: bytes, etag: str) -> None:
        self.status_code = 200
        self.background = None
        self.body = encoded
        self.raw_headers = [*_KNOWN, (b"content-length", b"%d" % len(encoded)), (b"etag", etag.encode())]


def plain(value: object) -> object:
    """Take a body apart into what JSON has, decimals as strings in plain notation.

    Args:
        value: dataclasses, structs, mappings, sequences and plain values.

    Returns:
        The same, fit for a JSON encoder that knows times, UUIDs and raw JSON.
    """
    # The fields of a struct are as they travel.
    if type(value) in _AS_THEY_ARE or isinstance(value, msgspec.Struct):
        return value
    if isinstance(value, Decimal):
        return format_amount(value)
    if dataclasses.is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def ndjson_lines(entries: Sequence[UsageEntry]) -> bytes:
    """Write entries as NDJSON, one object a line."""
    return _encoder.encode_lines(entries)


def csv_header() -> bytes:
    """Write the names of the columns."""
    return _rows([_COLUMNS])


def csv_rows(entries: Iterable[UsageEntry]) -> bytes:
    """Write entries as CSV; text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return _rows([_cell(name, getattr(entry, name)) for name in _COLUMNS] for entry in entries)


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, str) and name not in _AMOUNTS and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return str(value)


def _matches(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in (
        candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")
    )
