"""The operating-system account the embedded servers run as when meter itself runs as root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

#: PostgreSQL refuses to run as root. An operator may make an account of its own for the servers;
#: every Linux has the second.
ACCOUNT_NAMES = ("meter", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An account to drop to."""

    name: str
    uid: int
    gid: int


@cache
def server_account() -> Account | None:
    """Find the account for the servers.

    Returns:
        None when meter does not run as root: then the servers run as whoever runs meter.

    Raises:
        ConfigurationError: meter runs as root and the machine has no account to drop to.
    """
    if os.geteuid() != 0:
        return None
    for name in ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "meter runs as root and PostgreSQL refuses to; "
        "make an account to drop to with: useradd --system meter"
    )


def demotion() -> dict[str, Any]:
    """What makes ``subprocess`` start a command as the servers' account."""
    account = server_account()
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def refuse_closed_folder(path: Path, variable: str) -> None:
    """Say so when the servers' account may not pass through to a folder.

    Args:
        path: the folder, made or not.
        variable: the setting that names it.

    Raises:
        ConfigurationError: a parent is closed to the account; the message names it.
    """
    account = server_account()
    if account is None:
        return
    for parent in path.absolute().parents:
        if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH:
            raise ConfigurationError(
                f'the servers run as "{account.name}", which may not enter {parent}; '
                f"set {variable} to a folder elsewhere"
            )


def make_open_folder(path: Path) -> None:
    """Make a folder that the servers' account may pass through and read, whatever the umask.

    Args:
        path: the folder; missing parents are made alike.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if server_account() is not None:
        for folder in missing:
            folder.chmod(0o755)


def make_private_folder(path: Path) -> Path:
    """Make a folder that only the servers' account may enter.

    Args:
        path: the folder; missing parents are made open.

    Returns:
        The same path.
    """
    make_open_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    give(path)
    return path


def give(path: Path) -> None:
    """Make the servers' account the owner of one file or folder.

    Args:
        path: what changes hands; nothing happens unless meter runs as root.
    """
    account = server_account()
    if account is not None:
        os.chown(path, account.uid, account.gid)


def write_private(path: Path, text: str, *, for_server: bool = False) -> None:
    """Write a file that only its owner may read, complete or not at all.

    Args:
        path: where to; replaced when it exists.
        text: the content.
        for_server: the servers' account owns it, not the one meter runs as.
    """
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if for_server:
        give(draft)
    draft.replace(path)
