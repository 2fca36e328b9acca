"""On which ports meter's own processes listen in a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from meter.local.machine import PortBook
    from meter.settings import Settings


def service_ports(settings: Settings, book: PortBook) -> dict[str, int]:
    """Give each process its ports: those it is told, those it had, or any that are free.

    Args:
        settings: which ports are wanted.
        book: remembers them; kept for as long as the processes run.

    Returns:
        Ports by the name of their setting without ``_port``.

    Raises:
        ConfigurationError: a port that somebody asked for is taken.
    """
    wanted = {
        "api": settings.api_port,
        "api_metrics": settings.api_metrics_port,
        "admin": settings.admin_port,
        "admin_metrics": settings.admin_metrics_port,
        "worker": settings.worker_port,
    }
    assigned = book.assign(wanted, wanted)
    for name, port in wanted.items():
        # A default may give way to what else runs here; what somebody asked for may not.
        if port not in (0, assigned[name]) and f"{name}_port" in settings.model_fields_set:
            raise ConfigurationError(f"METER_{name.upper()}_PORT: port {port} is taken; choose another")
    return assigned


def told_to_all(ports: dict[str, int]) -> dict[str, str]:
    """Say the ports as the variables that every process of the stack is told.

    Args:
        ports: as of :func:`service_ports`.
    """
    return {f"METER_{name.upper()}_PORT": str(port) for name, port in ports.items()}
