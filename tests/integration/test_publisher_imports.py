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


def test_publishing_without_a_spool_loads_nothing_of_it() -> None:
    program = (
        "import sys\nfrom meter.publisher import BlockingPublisher, Publisher\n"
        "for kind in BlockingPublisher, Publisher: kind('amqp://127.0.0.1:1/', source='test')\n"
        "print('meter.publisher.spool' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
