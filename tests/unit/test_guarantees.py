"""Every promise in the documentation names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

_GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"
_HEADING = "| promise | shown by |"
_LINK = re.compile(r"\[`(\w+)`\]\(([^)]+)\)")


def test_each_promise_is_shown_by_tests_that_are_there() -> None:
    rows = [line for line in _GUARANTEES.read_text().splitlines() if line.startswith("| ")]
    promises = [row for row in rows if row != _HEADING]
    assert len(promises) > 10
    for promise in promises:
        assert _LINK.search(promise) or "fault suite" in promise, promise
        for test, file in _LINK.findall(promise):
            text = (_GUARANTEES.parent / file).read_text()
            assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{test} is not in {file}"
