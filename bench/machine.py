"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from bench.backlog import broker_channel

if TYPE_CHECKING:
    from bench.stack import Stack

_LIBRARIES = ("meter", "aio-pika", "aiormq", "asyncpg", "msgspec", "pydantic", "uvloop")


async def describe(stack: Stack) -> dict[str, str]:
    """Name the machine and the versions of everything that takes part."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load": f"{os.getloadavg()[1]:.1f} on average over the five minutes before",
        "PostgreSQL": await _postgres_version(stack),
        "RabbitMQ": await _rabbitmq_version(stack),
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
    }


async def _postgres_version(stack: Stack) -> str:
    connection = await asyncpg.connect(stack.postgres.dsn("postgres"))
    try:
        number: str = await connection.fetchval("show server_version")
    finally:
        await connection.close()
    return number


async def _rabbitmq_version(stack: Stack) -> str:
    async with broker_channel(stack.amqp_url) as channel:
        number = channel.connection.server_properties.get("version", "unknown")
    return number.decode() if isinstance(number, bytes) else str(number)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
