"""The command line: ``meter …``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with 0 (done), 1 (failed) or 2 (bad usage)."""
    try:
        from meter.cli.commands import meter  # noqa: PLC0415 - a service that only publishes has no click
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("meter"):
            raise
        sys.exit(
            "the command line needs more than a publisher does; install it with: pip install 'meter[cli]'"
        )
    meter(prog_name="meter")
