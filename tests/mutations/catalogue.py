"""Mutations of settlement, each of which must turn a test red."""

from __future__ import annotations

from tests.mutations.deciding import COVER, IDENTITY, ORDER
from tests.mutations.keeping import BOOKS, FUNDING, LOCKS, RESETS
from tests.mutations.voiding import AWAITED, VOIDS

MUTATIONS = [*IDENTITY, *COVER, *ORDER, *BOOKS, *FUNDING, *RESETS, *LOCKS, *VOIDS, *AWAITED]
