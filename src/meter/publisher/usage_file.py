"""Usage from a file, NDJSON or CSV: the same file published twice charges once."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meter.publisher.recorder import Recorder

Kind = Literal["csv", "ndjson"]

_KIND_BY_SUFFIX: dict[str, Kind] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_METADATA_PREFIX = "metadata."
#: What a CSV cell of metadata must look like to be a number there; 007 and 1e5 stay the strings they are.
_json_number = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,15})?").fullmatch
_READ_BYTES = 1_048_576


class FlatRow(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The arguments of ``record``, as a file spells them."""

    org_id: str
    user_id: str
    service_type: str
    service_name: str | None = None
    quantity: Decimal | None = None
    credits: Decimal | None = None
    api_cost: Decimal | None = None
    key_source: Literal["platform", "byok"] | None = None
    request_id: str | None = None
    metadata: dict[str, Any] | None = None
    id: str | None = None
    source: str | None = None
    time: datetime | None = None


class _Probe(msgspec.Struct):
    specversion: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class UsageFile:
    """A file of usage: what it is and where its events say they come from."""

    path: Path
    kind: Kind
    source: str  #: ``file:sha256:<digest>``: the same content is the same source, wherever the file lies
    lines: int  #: for progress; a header, blank lines and line breaks in quotes make it more than the rows
    changed_at: datetime  #: the time of rows without one: usage happens before it is written down


@dataclass(frozen=True, slots=True)
class Row:
    """One row that can be published: arguments of ``record``, or an event already written by the contract."""

    line: int
    arguments: FlatRow | None
    event: bytes = b""

    def publish(self, publisher: Recorder) -> bool:
        """Hand the row to a publisher; whether it was accepted.

        Raises:
            InvalidUsageEvent: the row breaks the contract.
        """
        if self.arguments is None:
            return publisher.forward(self.event)
        return publisher.record(**msgspec.structs.asdict(self.arguments)) is not None


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be published, and why."""

    line: int
    sentence: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.sentence}"


def inspect_file(path: Path, kind: Kind | None = None) -> UsageFile:
    """Read a file once to know its source.

    Args:
        path: the file.
        kind: what it holds; by its suffix (.csv, .ndjson, .jsonl) when None.

    Raises:
        ConfigurationError: the file's kind is not known.
        OSError: it cannot be read.
    """
    kind = kind or _KIND_BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(f'"{path}" must end in .csv, .ndjson or .jsonl')
    digest, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
            lines += block.count(b"\n")
    changed_at = min(datetime.fromtimestamp(path.stat().st_mtime, UTC), datetime.now(UTC))
    return UsageFile(path, kind, f"file:sha256:{digest.hexdigest()}", lines, changed_at)


def read_rows(file: UsageFile) -> Iterator[Row | BadRow]:
    """Read a file row by row.

    A flat row is identified by the file and the row's number (from 1, without the header) unless it brings an
    id and source of its own. One without a time has that of the file's last change, not that of publishing:
    published again it must say the same, or it would be a conflict. An event already written by the contract
    keeps its own.

    Args:
        file: the file, as ``inspect_file`` found it.

    Yields:
        What can be published and what cannot, in the order of the file.
    """
    return _csv_rows(file) if file.kind == "csv" else _ndjson_rows(file)


def _ndjson_rows(file: UsageFile) -> Iterator[Row | BadRow]:
    number = 0
    with file.path.open("rb") as lines:
        for line, text in enumerate(lines, start=1):
            if not (text := text.strip()):
                continue
            number += 1
            try:
                if msgspec.json.decode(text, type=_Probe).specversion is not msgspec.UNSET:
                    yield Row(line, None, text)
                else:
                    yield Row(line, _identified(msgspec.json.decode(text, type=FlatRow), file, number))
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                yield BadRow(line, _sentence(error))


def _csv_rows(file: UsageFile) -> Iterator[Row | BadRow]:
    # A byte that is not UTF-8 becomes a lone surrogate, and encoding its row tells.
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        number, header = 0, next(reader, [])
        if (fault := _header_fault(header)) is not None:
            yield BadRow(1, fault)
            return
        while True:
            try:
                cells = next(reader, None)
                if cells is None:
                    return
                if not cells:
                    continue
                number += 1
                "".join(cells).encode()
                if len(cells) != len(header):
                    yield BadRow(reader.line_num, f"it has {len(cells)} cells, the header has {len(header)}")
                    continue
                flat = msgspec.convert(_fields(header, cells), type=FlatRow, strict=False)
                yield Row(reader.line_num, _identified(flat, file, number))
            except (csv.Error, msgspec.DecodeError, UnicodeError, RecursionError) as error:
                yield BadRow(reader.line_num, _sentence(error))


def _header_fault(header: list[str]) -> str | None:
    known = FlatRow.__struct_fields__
    if missing := [name for name in ("org_id", "user_id", "service_type") if name not in header]:
        return f"the header has no column {', '.join(missing)}"
    if unknown := [name for name in header if name not in known and not name.startswith(_METADATA_PREFIX)]:
        return f"the header has columns nobody knows: {', '.join(unknown)}; use metadata.<name> for your own"
    if len(set(header)) != len(header):
        return "the header names a column twice"
    return None


def _fields(header: list[str], cells: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if not cell:
            continue
        if name.startswith(_METADATA_PREFIX):
            metadata[name.removeprefix(_METADATA_PREFIX)] = _metadata_value(cell)
        else:
            fields[name] = msgspec.json.decode(cell) if name == "metadata" else cell
    if metadata and isinstance(whole := fields.setdefault("metadata", {}), dict):
        whole.update(metadata)
    return fields


def _metadata_value(cell: str) -> Any:
    if cell in ("true", "false") or _json_number(cell):
        return msgspec.json.decode(cell)
    return cell


def _identified(row: FlatRow, file: UsageFile, number: int) -> FlatRow:
    row.id = str(number) if row.id is None else row.id
    row.source = file.source if row.source is None else row.source
    row.time = file.changed_at if row.time is None else row.time
    return row


def _sentence(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
