"""The routes that write, one module a subject."""

from meter.admin.routes.charges import router as charges
from meter.admin.routes.credits import router as pools
from meter.admin.routes.members import router as members
from meter.admin.routes.organizations import router as organizations
from meter.admin.routes.subscriptions import router as subscriptions

__all__ = ["charges", "members", "organizations", "pools", "subscriptions"]
