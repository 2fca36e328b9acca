"""A RabbitMQ home with only the Erlang applications a node needs, so that it starts in half the time.

Erlang looks for each of a thousand modules in every folder of its path, and the full home has some seventy
folders. Ours has links to the third of them that the enabled plugins need.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from meter.local.account import make_open_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: An application's file lists those it needs; comments would begin with a percent sign.
_NEEDS = re.compile(r"\{applications,\s*\[([^\]]*)\]")
_VERSION = re.compile(r"-[0-9][^-]*$")


def make_slim_home(server: Path, plugins: Iterable[str], target: Path) -> Path:
    """Link what the node needs into a folder.

    Args:
        server: the script ``rabbitmq-server`` of the full home.
        plugins: the plugins to be enabled.
        target: the folder to make; replaced when it exists.

    Returns:
        The script to start instead: the one in the new home, or the given one where the full home has an
        unknown layout.
    """
    full = server.resolve().parent.parent
    applications = _applications(full / "plugins")
    needed = _closure({"rabbit", *plugins}, applications)
    if not {"rabbit", *plugins} <= needed:
        return server
    shutil.rmtree(target, ignore_errors=True)
    make_open_folder(target / "plugins")
    for name in needed:
        folder = applications[name]
        (target / "plugins" / folder.name).symlink_to(folder)
    make_open_folder(target / "sbin")
    for script in (full / "sbin").iterdir():
        # Copied, not linked: the scripts follow links to find their home.
        shutil.copy(script, target / "sbin" / script.name)
    if (full / "escript").is_dir():
        (target / "escript").symlink_to(full / "escript")
    return target / "sbin" / server.name


def _applications(folder: Path) -> Mapping[str, Path]:
    """Find the unpacked applications by name; archives (``.ez``) are not looked into."""
    return {_VERSION.sub("", path.name): path for path in folder.glob("*-[0-9]*") if path.is_dir()}


def _closure(roots: Iterable[str], applications: Mapping[str, Path]) -> set[str]:
    """Everything that the roots need, directly or not; what is not among the applications is Erlang's own."""
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in needed or name not in applications:
            continue
        needed.add(name)
        waiting += _needs(applications[name] / "ebin" / f"{name}.app")
    return needed


def _needs(file: Path) -> list[str]:
    found = _NEEDS.search(file.read_text(errors="replace"))
    return [] if found is None else [name.strip(" \t\r\n'") for name in found[1].split(",")]
