"""Faults follow from a seed, and every part has its turn."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from tests.faults.kinds import ACTS, KINDS_BY_FAMILY
from tests.faults.lasting_faults import LASTING
from tests.faults.plan import draw
from tests.faults.run import Plan
from tests.faults.scene import Stage


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_draws_the_same_faults_again(seed: int) -> None:
    assert draw(seed, 60, KINDS_BY_FAMILY, brief=False) == draw(seed, 60, KINDS_BY_FAMILY, brief=False)
    assert draw(seed, 60, KINDS_BY_FAMILY, brief=False) != draw(seed + 1, 60, KINDS_BY_FAMILY, brief=False)


@pytest.mark.parametrize("seed", range(20))
def test_eight_faults_are_of_every_family_and_two_hundred_of_every_kind(seed: int) -> None:
    few = [fault.kind for group in draw(seed, 8, KINDS_BY_FAMILY, brief=True) for fault in group]
    many = [fault.kind for group in draw(seed, 200, KINDS_BY_FAMILY, brief=False) for fault in group]
    assert len(few) == 8
    assert all(set(kinds) & set(few) for kinds in KINDS_BY_FAMILY.values())
    assert Counter(many).keys() == ACTS.keys()


def test_what_takes_its_time_happens_unless_the_run_is_brief() -> None:
    def kinds(*, brief: bool) -> set[str]:
        plan = Plan(seed=1, events=1, faults=1, rate=1, durable=0, brief=brief)
        return {kind for family in plan.families().values() for kind in family}

    assert kinds(brief=True) == ACTS.keys()
    assert kinds(brief=False) == ACTS.keys() | {kind for lasting in LASTING.values() for kind in lasting}


def test_only_kinds_that_are_named_happen() -> None:
    plan = Plan(seed=1, events=1, faults=1, rate=1, durable=0, brief=False, only=("clock", "broker killed"))
    happen = {family: list(kinds) for family, kinds in plan.families().items()}
    assert happen == {"worker": ["worker's clock jumped"], "broker": ["broker killed"]}


@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_stage_has_something_to_break(stage: Stage) -> None:
    plan = Plan(seed=1, events=1, faults=1, rate=1, durable=0, brief=False, stage=stage)
    assert all(plan.families().values())


def test_some_faults_happen_together_and_some_last_long_unless_brief() -> None:
    groups = draw(1, 200, KINDS_BY_FAMILY, brief=False)
    assert {len(group) for group in groups} == {1, 2}
    assert max(fault.seconds for group in groups for fault in group) > 10
    brief = draw(1, 200, KINDS_BY_FAMILY, brief=True)
    assert max(fault.seconds for group in brief for fault in group) <= 3
