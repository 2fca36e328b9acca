"""The read API: balances and usage history over HTTP, for people and services with a bearer token."""

from meter.api.server import run_api

__all__ = ["run_api"]
