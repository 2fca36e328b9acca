"""The documents of the contract, and whether those in the repository are still what the model says."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meter.contract.asyncapi import ASYNCAPI, asyncapi
from meter.contract.schemas import (
    BATCH_SCHEMA,
    EVENT_SCHEMA,
    VOID_SCHEMA,
    batch_schema,
    event_schema,
    void_schema,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Where the documents lie in the repository.
FOLDER: Final = Path("docs/contract")


def documents() -> dict[str, str]:
    """Generate all documents of the contract.

    Returns:
        The text of each, by file name.
    """
    generated = {
        EVENT_SCHEMA: event_schema(),
        VOID_SCHEMA: void_schema(),
        BATCH_SCHEMA: batch_schema(),
        ASYNCAPI: asyncapi(),
    }
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in generated.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the documents, or check that those in the repository are still what the model says.

    Args:
        arguments: of the command line; those of the process if None.

    Returns:
        The exit code: 0, or 1 where ``--check`` found a difference.
    """
    parser = argparse.ArgumentParser(
        prog="python -m meter.contract", description="Write the documents of the contract."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="default: %(default)s")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a document differs")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    generated = documents()
    if options.check:
        stale = [name for name, text in generated.items() if not _holds(folder / name, text)]
        if stale:
            sys.stderr.write(
                f"{', '.join(stale)} in {folder} is not what the model says; run: python -m meter.contract\n"
            )
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generated.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
