"""A DSN that names several servers is split where the primary among them has to be found."""

from __future__ import annotations

import pytest

from meter.db.servers import one_by_one


@pytest.mark.parametrize("wanted", ["read-write", "primary"])
def test_each_server_gets_a_dsn_with_everything_else_as_it_was(wanted: str) -> None:
    dsn = f"postgresql://u:p%40ss@one:5432,[::1]:5433/meter?target_session_attrs={wanted}&sslmode=require"
    names, dsns = one_by_one(dsn, primary=False)
    assert names == ["one:5432", "[::1]:5433"]
    assert dsns == [
        "postgresql://u:p%40ss@one:5432/meter?sslmode=require",
        "postgresql://u:p%40ss@[::1]:5433/meter?sslmode=require",
    ]


def test_who_writes_wants_the_primary_and_who_reads_takes_any() -> None:
    dsn = "postgresql://one,two/meter"
    assert one_by_one(dsn, primary=True)[1] == ["postgresql://one/meter", "postgresql://two/meter"]
    assert one_by_one(dsn, primary=False) == ([], [])


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u@one:5432/meter?target_session_attrs=read-write",
        "postgresql://one,two/meter?target_session_attrs=prefer-standby",
        "postgresql:///meter?host=/run/postgresql",
    ],
)
def test_where_there_is_no_choice_nothing_is_split(dsn: str) -> None:
    assert one_by_one(dsn, primary=True) == ([], [])
