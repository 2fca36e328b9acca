"""Who is on the scene: workers, and services that publish; each is started again whenever it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.kept import GRACE_S, Kept
from tests.shifted_clock import shifted_clock

from meter.local.account import make_open_folder
from meter.local.child import Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.shifted_clock import ShiftedClock

_ROOT = Path(__file__).resolve().parents[2]
#: What ends by itself within the grace must not be killed for being slow on a busy machine.
_PATIENCE_S = GRACE_S + 5


def worker(folder: Path, name: str, *, port: int, dsn: str, url: str, environment: Mapping[str, str]) -> Kept:
    """A worker, not started yet.

    Args:
        folder: of its log.
        name: of it.
        port: where it serves its health and metrics.
        dsn: of the database.
        url: of the broker.
        environment: what else it finds there.
    """
    settings = {
        "METER_DATABASE_URL": dsn,
        "METER_AMQP_URL": url,
        "METER_WORKER_PORT": str(port),
        "METER_LOG_FORMAT": "json",
    }
    return _kept(folder, name, ["-m", "meter", "worker"], {**environment, **settings})


def service(folder: Path, number: int, arguments: Mapping[str, object]) -> Kept:
    """A service that publishes, not started yet.

    Args:
        folder: of its log.
        number: of it.
        arguments: of ``tests.faults.service``.
    """
    told = [f"--{name}={argument}" for name, argument in arguments.items()]
    return _kept(folder, f"service-{number}", ["-m", "tests.faults.service", *told], {})


async def clocks_of(names: Sequence[str], folder: Path) -> list[ShiftedClock]:
    """A clock for each, that can be set.

    Args:
        names: whose.
        folder: for the files that say how far they are off.
    """
    clocks = []
    for name in names:
        own = folder / f"clock-of-{name}"
        make_open_folder(own)
        clock = await shifted_clock(own)
        assert clock is not None, "libfaketime is not among this machine's packages"
        clocks.append(clock)
    return clocks


def _kept(folder: Path, name: str, arguments: list[str], settings: Mapping[str, str]) -> Kept:
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("METER_")}
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return Kept(
        Command(
            name=name,
            folder=folder,
            arguments=[sys.executable, *arguments],
            environment={**inherited, "PYTHONPATH": path, **settings},
            grace_seconds=_PATIENCE_S,
        )
    )
