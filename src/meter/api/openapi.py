"""Writes the OpenAPI document of the read API, or checks that the one in the repository is current.

``python -m meter.api.openapi docs/openapi/api.json`` writes it, with ``--check`` it only compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meter.api.app import ReadApi

if TYPE_CHECKING:
    from fastapi import FastAPI


def document(api: FastAPI) -> str:
    """Return the OpenAPI document of an app as it is checked in."""
    return json.dumps(api.openapi(), indent=2, ensure_ascii=False) + "\n"


def write_or_check(api: FastAPI, module: str, arguments: list[str]) -> int:
    """Write or check the document of an app.

    Args:
        api: the app.
        module: what is run for it, as people are told.
        arguments: the file, and ``--check`` to only compare.

    Returns:
        The exit code: 0 done or current, 1 out of date, 2 bad usage.
    """
    check = "--check" in arguments
    paths = [Path(argument) for argument in arguments if argument != "--check"]
    if len(paths) != 1:
        sys.stderr.write(f"usage: python -m {module} [--check] FILE\n")
        return 2
    if not check:
        paths[0].write_text(document(api), "utf-8")
        return 0
    if not paths[0].exists() or paths[0].read_text("utf-8") != document(api):
        sys.stderr.write(f"{paths[0]} is out of date; write it with: python -m {module} {paths[0]}\n")
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """Write or check the document of the read API; arguments and exit code as of `write_or_check`."""
    return write_or_check(ReadApi(), "meter.api.openapi", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
