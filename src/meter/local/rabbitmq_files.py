"""The files a private RabbitMQ node is started with: settings, plugins, users."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.local.machine import LOOPBACK, machine_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VHOST = "meter"
#: RabbitMQ's share of the machine; with PostgreSQL's it makes a quarter.
_MEMORY_SHARE = 8
_MEMORY_MIN_BYTES = 256 * 1024 * 1024
#: Publishers are held back when less of the disk is free.
_DISK_FREE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerUser:
    """Who may do what in meter's virtual host, as RabbitMQ's regular expressions over names.

    Attributes:
        name: the login.
        configure: what it may declare and delete.
        write: what it may publish to.
        read: what it may consume from.
        tags: RabbitMQ's own roles.
    """

    name: str
    configure: str = "^$"
    write: str = "^$"
    read: str = "^$"
    tags: str = ""


#: Declares the topology: the operator.
OPERATOR = BrokerUser("operator", configure=".*", write=".*", read=".*", tags="administrator")
#: A service: may publish usage and nothing else.
PUBLISHER = BrokerUser("publisher", write=r"^meter\.usage$")
#: The worker: reads usage and writes dead letters, and nothing else.
WORKER = BrokerUser("worker", write=r"^meter\.dead$", read=r"^meter\.usage$")
#: What `meter dead-letters` acts as: takes from the dead letters and publishes to usage, and nothing else.
REPLAYER = BrokerUser("replayer", write=r"^meter\.usage$", read=r"^meter\.dead$")
USERS = (OPERATOR, PUBLISHER, WORKER, REPLAYER)

#: Metrics for Prometheus, and the exchange that will spread usage over several queues.
PLUGINS = ("rabbitmq_prometheus", "rabbitmq_consistent_hash_exchange")


def settings_file(ports: Mapping[str, int], definitions: str, clustered: Sequence[str] = ()) -> str:
    """Write ``rabbitmq.conf``.

    Args:
        ports: loopback ports named ``amqp`` and ``prometheus``; ``management`` where that plugin is enabled.
        definitions: the path of the definitions file.
        clustered: further lines, of a node in a cluster.

    Returns:
        The text; every listener is on loopback.
    """
    memory = max(_MEMORY_MIN_BYTES, machine_memory_bytes() // _MEMORY_SHARE)
    lines = [
        f"listeners.tcp.local = {LOOPBACK}:{ports['amqp']}",
        f"prometheus.tcp.ip = {LOOPBACK}",
        f"prometheus.tcp.port = {ports['prometheus']}",
        f"load_definitions = {definitions}",
        f"default_vhost = {VHOST}",
        f"vm_memory_high_watermark.absolute = {memory}",
        f"disk_free_limit.absolute = {_DISK_FREE_BYTES}",
    ]
    if "management" in ports:
        lines += [f"management.tcp.ip = {LOOPBACK}", f"management.tcp.port = {ports['management']}"]
    return "\n".join((*lines, *clustered)) + "\n"


def plugins_file(plugins: Sequence[str]) -> str:
    """Write ``enabled_plugins``, an Erlang list."""
    return f"[{','.join(plugins)}].\n"


def definitions_file(passwords: Mapping[str, str]) -> str:
    """Write the definitions imported at every boot: the virtual host, the users and what they may do.

    Because they are there, RabbitMQ does not make its well-known ``guest``.

    Args:
        passwords: by user name; only salted digests are written.
    """
    users = [
        {
            "name": user.name,
            "password_hash": _digest(passwords[user.name]),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": user.tags,
        }
        for user in USERS
    ]
    permissions = [permission(user) | {"user": user.name, "vhost": VHOST} for user in USERS]
    return json.dumps({"vhosts": [{"name": VHOST}], "users": users, "permissions": permissions}, indent=1)


def permission(user: BrokerUser) -> dict[str, str]:
    """What a user may do, in the words of RabbitMQ's definitions and HTTP interface."""
    return {"configure": user.configure, "write": user.write, "read": user.read}


def _digest(password: str) -> str:
    # RabbitMQ's own form: four bytes of salt, then SHA-256 over salt and password.
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
