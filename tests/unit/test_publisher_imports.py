"""A service that publishes installs no server: the imports say so."""

from __future__ import annotations

import subprocess
import sys

FOREIGN = (
    *("asyncpg", "click", "fastapi", "jwt", "prometheus_client", "psutil", "pydantic_settings", "rich"),
    *("starlette", "structlog", "uvicorn", "uvloop"),
    *("meter.api", "meter.cli", "meter.consumers", "meter.db", "meter.local", "meter.settings"),
    *("meter.rating", "meter.telemetry"),
)


def test_importing_the_publisher_loads_nothing_of_a_server() -> None:
    program = (
        "import sys, meter.publisher.backfill, meter.publisher.usage_file\n"
        f"print(*[name for name in {FOREIGN!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
