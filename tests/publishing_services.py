"""Services that publish as processes of their own, and what tests of a spool look at."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.running_worker import DEADLINE_S, until
from tests.tcp_proxy import TcpProxy, tcp_proxy
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.private_servers import Broker


@asynccontextmanager
async def behind_proxy(broker: Broker) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A broker that can be cut off, and the publisher's address of it."""
    url = URL(broker.publisher_url)
    assert url.host is not None
    assert url.port is not None
    async with tcp_proxy(url.host, url.port) as proxy:
        yield proxy, str(url.with_port(proxy.port))


def program(text: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program."""
    return subprocess.Popen(
        [sys.executable, "-c", text, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


async def said(text: str, *arguments: str) -> list[str]:
    """Run a program to its end; the words it printed."""
    process = program(text, *arguments)
    out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE_S)
    assert process.returncode == 0, err
    return out.split()


def files_in(folder: Path) -> list[Path]:
    """What a spool folder holds."""
    return list(folder.iterdir())


async def only(files: int, folder: Path) -> None:
    """Wait until the folder holds no more than so many files."""

    async def ask() -> list[Path]:
        return files_in(folder)

    await until(ask, lambda found: len(found) <= files)
