"""The kinds of faults, by what they break. Each breaks its part, waits, and returns when the part is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import database_faults, network_faults, process_faults
from tests.faults.broker_faults import application_stopped, node_killed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.plan import Fault
    from tests.faults.scene import Scene

    Act = Callable[[Scene, Fault], Awaitable[None]]

FAMILIES: dict[str, dict[str, Act]] = {
    "worker": {
        "worker killed": process_faults.worker_killed,
        "worker killed while it settles": process_faults.worker_killed_while_it_settles,
        "worker frozen": process_faults.worker_frozen,
        "worker stopped": process_faults.worker_stopped,
    },
    "publisher": {
        "publisher killed": process_faults.service_killed,
        "publisher killed before the confirm": process_faults.service_killed_before_the_confirm,
        "publisher frozen": process_faults.service_frozen,
        "publisher stopped": process_faults.service_stopped,
    },
    "broker": {
        "broker application stopped": application_stopped,
        "broker killed": node_killed,
    },
    "database": {
        "database stopped at once": database_faults.stopped_at_once,
        "database sessions ended": database_faults.sessions_ended,
        "database row locked": database_faults.row_locked,
        "database read-only": database_faults.read_only,
        "database read-only for new sessions": database_faults.read_only_sessions,
        "database full of connections": database_faults.full_of_connections,
    },
    "publisher to broker": network_faults.between("publisher to broker", lambda scene: scene.publishing),
    "worker to broker": network_faults.between(
        "worker to broker", lambda scene: scene.consuming, lost_to_workers="the broker"
    ),
    "worker to database": network_faults.between(
        "worker to database", lambda scene: scene.settling, lost_to_workers="the database"
    ),
}
ACTS: dict[str, Act] = {kind: act for kinds in FAMILIES.values() for kind, act in kinds.items()}
KINDS_BY_FAMILY: dict[str, list[str]] = {family: list(kinds) for family, kinds in FAMILIES.items()}
