"""``python -m tests.mutations``: is each mutation of settlement turned red by a test?

Each is applied to a copy of meter, and the tests migrate a database of their own from that. A mutation whose
text is not there any more, or that PostgreSQL does not understand, is a mistake here and no success.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutations.catalogue import MUTATIONS

if TYPE_CHECKING:
    from tests.mutations.mutation import Mutation

ROOT = Path(__file__).parents[2]

#: From the quickest to find most mutations on; the first that turns red ends it.
SUITES = [
    ["tests/integration/test_settlement_against_model.py"],
    [
        "tests/integration/test_settlement.py",
        "tests/integration/test_settlement_meanwhile.py",
        "tests/integration/test_known_usage.py",
        "tests/integration/test_resets.py",
        "tests/integration/test_voids.py",
        "tests/integration/test_voids_meanwhile.py",
        "tests/integration/test_voids_seen.py",
    ],
    ["tests/integration/test_settlement_under_load.py"],
]

#: A test that hangs has found something too.
TIMEOUT_S = 900

#: What only a mutation that is no SQL, or no Python, can bring about.
_NONSENSE = re.compile(
    r"\b(?:\w*Syntax|Undefined\w+|Ambiguous\w+|DatatypeMismatch|Name|Import|Attribute)Error\b|"
    r"InvalidColumnReference|^ERROR ",
    re.MULTILINE,
)


class NotApplicable(Exception):
    """The text that a mutation replaces is not there exactly once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutation: red with the first suite that failed, or a mistake, or a survivor."""

    killed_by: str | None
    mistake: str | None = None


def main() -> int:
    """Run the mutations that were asked for.

    Returns:
        0 when every one was turned red, otherwise 1.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="parts of the names of mutations; all of them when none is given"
    )
    parser.add_argument("--examples", type=int, default=500, help="of the state machine, for each mutation")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    arguments = parser.parse_args()
    chosen = [
        mutation
        for mutation in MUTATIONS
        if not arguments.names or any(name in mutation.name for name in arguments.names)
    ]
    survived = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for mutation, (verdict, seconds) in zip(
            chosen, pool.map(lambda each: _timed(each, arguments.examples), chosen), strict=True
        ):
            said = f"KILLED    by {verdict.killed_by}" if verdict.killed_by else "SURVIVED"
            if verdict.mistake:
                said = f"MISTAKE   {verdict.mistake}"
            print(f"{seconds:5.0f} s  {mutation.name}: {said}", flush=True)
            survived += not verdict.killed_by
    print(f"{len(chosen)} mutations, {survived} not turned red")
    return 1 if survived or not chosen else 0


def _timed(mutation: Mutation, examples: int) -> tuple[Verdict, float]:
    began = time.monotonic()
    return _judge(mutation, examples), time.monotonic() - began


def _judge(mutation: Mutation, examples: int) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="meter-mutation-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source)
        try:
            _apply(mutation, source / "meter" / "db")
        except NotApplicable as error:
            return Verdict(None, str(error))
        for suite in SUITES:
            try:
                code, output = _run(suite, source, examples)
            except subprocess.TimeoutExpired:
                return Verdict(f"{suite[0]} (hung)")
            if code == 0:
                continue
            if code != 1:
                return Verdict(None, f"pytest ended with {code}\n{output}")
            if nonsense := _NONSENSE.search(output):
                return Verdict(None, nonsense.group())
            return Verdict(_failed(output))
    return Verdict(None)


def _apply(mutation: Mutation, room: Path) -> None:
    file = room / mutation.file
    text = file.read_text("utf-8")
    found = text.count(mutation.before)
    if found != 1:
        raise NotApplicable(f"its text is there {found} times in {mutation.file}, not once")
    file.write_text(text.replace(mutation.before, mutation.after), "utf-8")


def _run(suite: list[str], source: Path, examples: int) -> tuple[int, str]:
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=short", *suite],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(source), "METER_TEST_EXAMPLES": str(examples), "METER_TEST_SHRINK": "0"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


def _failed(output: str) -> str:
    failed = re.search(r"^FAILED \S*?(\w+\.py)::(\w+)", output, re.MULTILINE)
    return f"{failed[1]}::{failed[2]}" if failed else "a test"


if __name__ == "__main__":
    sys.exit(main())
