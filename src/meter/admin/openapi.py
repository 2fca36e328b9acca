"""Writes the OpenAPI document of the control plane, or checks that the one in the repository is current.

``python -m meter.admin.openapi docs/openapi/admin.json`` writes it, with ``--check`` it only compares.
"""

from __future__ import annotations

import sys

from meter.admin.app import AdminApi
from meter.api.openapi import write_or_check


def main(arguments: list[str]) -> int:
    """Write or check the document.

    Args:
        arguments: the file, and ``--check`` to only compare.

    Returns:
        The exit code: 0 done or current, 1 out of date, 2 bad usage.
    """
    return write_or_check(AdminApi(), "meter.admin.openapi", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
