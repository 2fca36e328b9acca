"""Both APIs hold to their OpenAPI documents whoever asks whatever, as far as schemathesis finds out.

The short form is part of every run; ``make test-schema`` tries more examples as every caller in every way.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.schema_log import fault_log
from tests.schema_servers import schema_servers

if TYPE_CHECKING:
    from tests.private_servers import PostgresServers

_PROJECT = Path(__file__).parents[2]
_DOCUMENTS = _PROJECT / "docs" / "openapi"
_SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
#: Of each operation in each way of making them; those that cover each bound of a schema come on top.
_FEW_EXAMPLES = 2
_EVERYTHING = "examples,coverage,fuzzing,stateful"
#: The control plane has the routes of the read API too: what covers each bound is run once, on all of them.
_SHORT = {
    ("admin", "system-admin"): _EVERYTHING,
    ("admin", "org-admin"): "examples,fuzzing,stateful",
    ("admin", "service"): "examples,fuzzing",
    ("api", "system-admin"): "examples,fuzzing",
}
_FULL = dict.fromkeys(
    (
        (document, caller)
        for document in ("admin", "api")
        for caller in ("system-admin", "org-admin", "service")
    ),
    _EVERYTHING,
)


@dataclass(frozen=True, slots=True)
class Course:
    """One run of schemathesis: how it ended, what it said, and what answered with success."""

    code: int
    said: str
    succeeded: set[tuple[str, str]]


async def test_every_answer_is_one_that_the_openapi_document_tells(
    postgres_servers: PostgresServers, tmp_path: Path
) -> None:
    examples = int(os.environ.get("METER_TEST_SCHEMA_EXAMPLES", "0"))
    runs = _FULL if examples else _SHORT
    # Two at once: one computes while the other's servers answer.
    turns = asyncio.Semaphore(2)

    async def run(document: str, caller: str, phases: str) -> Course:
        async with turns:
            return await _course(
                *(postgres_servers, tmp_path / f"{document}-{caller}"),
                *(document, caller, phases, examples or _FEW_EXAMPLES),
            )

    with fault_log() as log:
        async with asyncio.TaskGroup() as group:
            started = {of: group.create_task(run(*of, phases)) for of, phases in runs.items()}
    courses = {of: task.result() for of, task in started.items()}
    failed = {of: course.said for of, course in courses.items() if course.code}
    assert not failed, "\n\n".join(
        f"{' as '.join(of)}:\n{said}\nlogged of it:\n{log.of(said)}" for of, said in failed.items()
    )
    for document in ("admin", "api"):
        succeeded = {
            operation
            for (tried, _), course in courses.items()
            if tried == document
            for operation in course.succeeded
        }
        # Else what was checked would be refusals only.
        missed = _operations(document) - succeeded
        assert missed == set()


async def _course(
    servers: PostgresServers, folder: Path, document: str, caller: str, phases: str, examples: int
) -> Course:
    """Each on a database of its own: one caller's writes would take away what the next one needs."""
    async with servers.database() as fresh, schema_servers(fresh.dsn, folder) as running:
        process = await asyncio.create_subprocess_exec(
            *(_SCHEMATHESIS, "--config-file", "tests/schemathesis.toml"),
            *("run", str(_DOCUMENTS / f"{document}.json"), "--url", running.urls[document]),
            *("--phases", phases, "--max-examples", str(examples), "--no-color"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=_PROJECT,
            env=os.environ
            | {
                "METER_SCHEMA_CREDENTIAL": running.credentials[caller],
                "METER_SCHEMA_SUBSCRIPTION": running.subscription_id,
            },
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Course(process.returncode, said.decode(), running.succeeded())


def _operations(document: str) -> set[tuple[str, str]]:
    paths = json.loads((_DOCUMENTS / f"{document}.json").read_text())["paths"]
    return {(method, path) for path, operations in paths.items() for method in operations}
