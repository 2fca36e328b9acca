"""The environment a private RabbitMQ node runs in: nothing of the machine's own RabbitMQ reaches it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meter.local.machine import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def node_environment(
    folder: Path, name: str, ports: Mapping[str, int], erlang: Mapping[str, str]
) -> dict[str, str]:
    """Say all that a node, its port mapper and its tools are told by variables.

    Args:
        folder: of the node.
        name: of the node.
        ports: loopback ports named ``dist`` and ``epmd``.
        erlang: what it takes to find Erlang.
    """
    kept = {
        variable: text
        for variable, text in os.environ.items()
        if not variable.startswith(("RABBITMQ_", "ERL_", "NOTIFY_SOCKET"))
    }
    return (
        kept
        | dict(erlang)
        | {
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            # Makes the script become the node, so that the signal to stop reaches it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-environment-file"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "no-more-files"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "no-advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "state"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(ports["dist"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Unbound: a node pinned to cores gets in the way of the database on a small machine.
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP_BYTES": "0",
        }
    )
