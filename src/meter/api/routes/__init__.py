"""The routes under the base path, one module a subject."""

from meter.api.routes.balances import router as balances
from meter.api.routes.billing import router as billing
from meter.api.routes.organizations import router as organizations
from meter.api.routes.subscriptions import router as subscriptions
from meter.api.routes.usage import router as usage

__all__ = ["balances", "billing", "organizations", "subscriptions", "usage"]
