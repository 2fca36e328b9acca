"""Writes the OpenAPI document of the read API, or checks that the one in the repository is current.

``python -m meter.api.openapi docs/openapi/api.json`` writes it, with ``--check`` it only compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from meter.api.app import ReadApi


def document() -> str:
    """Return the OpenAPI document as it is checked in."""
    return json.dumps(ReadApi().openapi(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the document.

    Args:
        arguments: the file, and ``--check`` to only compare.

    Returns:
        The exit code: 0 done or current, 1 out of date, 2 bad usage.
    """
    check = "--check" in arguments
    paths = [Path(argument) for argument in arguments if argument != "--check"]
    if len(paths) != 1:
        sys.stderr.write("usage: python -m meter.api.openapi [--check] docs/openapi/api.json\n")
        return 2
    if not check:
        paths[0].write_text(document(), "utf-8")
        return 0
    if not paths[0].exists() or paths[0].read_text("utf-8") != document():
        sys.stderr.write(
            f"{paths[0]} is out of date; write it with: python -m meter.api.openapi {paths[0]}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
