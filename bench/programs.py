"""Programs of meter, and peers, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bench.forks import Fork
from bench.peers.process import AMQP_URL, DATABASE_URL
from meter.local.child import Child, Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT = Path(__file__).resolve().parents[1]
_DEADLINE_SECONDS = 300.0

Program: TypeAlias = Child | Fork


class Programs:
    """Runs modules as processes, with our environment but without settings of whoever measures.

    Args:
        folder: for their logs.
        amqp_url: the broker.
        in_haste: whether each is a fork of a process that has imported much of it, instead of starting anew.
    """

    def __init__(self, folder: Path, amqp_url: str, *, in_haste: bool = False) -> None:
        self._folder = folder
        self._amqp_url = amqp_url
        self._in_haste = in_haste

    def program(self, name: str, module: Sequence[str], settings: Mapping[str, str]) -> Program:
        """Name a program; it is not started yet.

        Args:
            name: of this process: no other has it at the same time.
            module: what ``python -m`` would run, and its arguments.
            settings: added to its environment.
        """
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("METER_")}
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        environment = inherited | {"PYTHONPATH": path, "METER_LOG_LEVEL": "warning", **settings}
        if self._in_haste:
            return Fork(module, environment, self._folder / f"{name}.log")
        return Child(
            Command(
                name=name,
                folder=self._folder,
                arguments=[sys.executable, "-m", *module],
                environment=environment,
            )
        )

    async def measured(self, module: str, *arguments: str, dsn: str = "") -> dict[str, float]:
        """Run a module and wait for what it measured, which it says in JSON.

        Args:
            module: the module.
            arguments: of it.
            dsn: the database, where it needs one; like the broker's address it is passed on where other users
                of the machine do not see it.

        Raises:
            RuntimeError: the process failed.
            TimeoutError: it took longer than anything here may.
        """
        told = {AMQP_URL: self._amqp_url, DATABASE_URL: dsn}
        program = self.program(module, (module, *arguments), told)
        await program.start()
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                code = await program.wait()
        finally:
            await program.stop()
        if code != 0:
            raise RuntimeError(f"{module} ended with {code}: {program.complaint()}")
        measured: dict[str, float] = json.loads(program.complaint().rpartition("\n")[2])
        return measured
