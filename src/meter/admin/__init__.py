"""The control plane: the only HTTP that writes, and the routes of the read API beside it."""

from meter.admin.server import run_admin

__all__ = ["run_admin"]
