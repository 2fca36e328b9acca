"""Fixtures of the tests that need no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.spools import Spools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    opened = Spools(tmp_path)
    yield opened
    opened.end()
