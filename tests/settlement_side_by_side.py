"""What holds at every step of the state machine: the database answers and keeps what the model does."""

from __future__ import annotations

from itertools import count, permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant
from tests.settlement_model import Model
from tests.settlement_state import differences, state_of
from tests.settlement_steps import Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.settlement_batches import Step
    from tests.settlement_database import SettlingDatabase

#: Every example has organizations of its own, so nothing has to be cleaned up between them.
examples = count()


class SideBySide(RuleBasedStateMachine):
    """Does each step to the database and to the model; the invariant compares all of both."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    database: SettlingDatabase

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.latest: list[Step] = []
        self.prefix = f"{next(examples)}-"
        self.model = Model()
        self.found = ""

    def both(self, step: Step) -> None:
        expected = step.on_model(self.model)
        answer, self.found = self.run(self.database.do(step, list(self.model.organizations)))
        assert answer == expected, f"{step}\nanswered {answer}\nexpected {expected}"
        self.latest, self.steps = [step], self.steps + 1

    def at_the_same_time(self, steps: list[Step]) -> None:
        """Any answers and balances will do that the steps give in some order, one after the other."""
        answers, self.found = self.run(
            self.database.do_at_the_same_time(steps, list(self.model.organizations))
        )
        for order in permutations(range(len(steps))):
            model = self.model.copy()
            if (
                all(steps[number].on_model(model) == answers[number] for number in order)
                and state_of(model) == self.found
            ):
                self.model, self.latest, self.steps = model, steps, self.steps + 1
                return
        one_by_one = self.model.copy()
        expected = [step.on_model(one_by_one) for step in steps]
        different = differences(self.found, state_of(one_by_one))
        pytest.fail(f"{steps}\nanswered {answers}\nin order {expected}\n" + "\n".join(different))

    @invariant()
    def database_equals_model(self) -> None:
        if self.found:
            different = differences(self.found, state_of(self.model))
            assert different == [], f"{self.latest}\n" + "\n".join(different)

    def teardown(self) -> None:
        # An allocation that became active after its time had come must not be found due by the next example.
        self.run(self.database.do(Reset(()), []))
