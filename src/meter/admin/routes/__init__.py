"""The routes that write, one module a subject."""

from meter.admin.routes.charges import router as charges
from meter.admin.routes.credits import router as pools

__all__ = ["charges", "pools"]
