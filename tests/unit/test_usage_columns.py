"""How the columns of a batch travel."""

from __future__ import annotations

import pytest
from tests.drafted_usage import drafted_usage as event

from meter.db.usage_columns import NULL, SEPARATOR, joined, usage_columns

_POSITIONS, _ACCOUNTS, _KINDS, _KEYS, _CREDITS, _API_COSTS = 11, 12, 13, 14, 16, 17


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (["a"], "a"),
        (["a", "b"], f"a{SEPARATOR}b"),
        ([None, "a", ""], f"{NULL}{SEPARATOR}a{SEPARATOR}"),
        (["", ""], SEPARATOR),
        ([None, None], None),
        (None, None),
        ("{1,2}", "{1,2}"),
    ],
)
def test_a_column_is_joined_so_that_the_database_can_take_it_apart(
    column: list[str | None] | str | None, text: str | None
) -> None:
    assert joined(column) == text


@pytest.mark.parametrize("column", [[""], [SEPARATOR], ["a", NULL], [None, NULL], [f"a{SEPARATOR}", "b"]])
def test_what_could_not_be_taken_apart_is_not_joined(column: list[str | None]) -> None:
    with pytest.raises(ValueError, match="told apart"):
        joined(column)


def test_numbers_are_array_literals_in_the_order_of_organizations_and_keys() -> None:
    batch = [
        event("b", "zoe", credits="2.5", id="0197c2f0-0000-7000-8000-000000000003"),
        event("a", "zoe", api_cost="0.001", id="0197c2f0-0000-7000-8000-000000000002"),
        event("b", "zoe", credits="1", id="0197c2f0-0000-7000-8000-000000000001"),
    ]
    columns, credits = usage_columns(batch, None)
    assert columns[:3] == [["a", "b"], "{1,2}", ["zoe", "zoe"]]
    assert columns[_POSITIONS] == "{2,3,1}"
    assert columns[_ACCOUNTS] == "{1,2,2}"
    assert columns[_KINDS] == "{1,2,2}"
    assert columns[_KEYS] == SEPARATOR.join(batch[place].key for place in (1, 2, 0))
    assert columns[_CREDITS] == "{NULL,1000000e-6,2500000e-6}"
    assert columns[_API_COSTS] == "{1000e-6,NULL,NULL}"
    assert credits == [2_500_000, None, 1_000_000]
