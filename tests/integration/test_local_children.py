"""Children under their guard, and what keeps them running."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from meter.local.child import Child, Command, ServerNotStarted
from meter.local.state_folder import StackAlreadyRunning, empty_state_folder, held_state_folder
from meter.local.supervisor import Part, keep_running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent

#: Says that it is ready through a named pipe, then waits for a signal for as long as a test may last.
WAITS = "import signal, sys; open(sys.argv[1], 'w').write('.'); signal.sigtimedwait([], 60)"
IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS


class Readiness:
    """A named pipe that children write to when they are ready."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def told(self) -> None:
        """Wait until a child has written, 20 s at most."""
        written = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, written.set)
        try:
            async with asyncio.timeout(20):
                await written.wait()
        finally:
            loop.remove_reader(self._descriptor)
        os.read(self._descriptor, 1)

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readiness]:
    readiness = Readiness(tmp_path_factory.mktemp("ready") / "pipe")
    yield readiness
    readiness.close()


def command(folder: Path, *code: str, grace_seconds: float = 5.0) -> Command:
    arguments = [sys.executable, "-c", *code]
    return Command("child", folder, arguments, dict(os.environ), grace_seconds=grace_seconds)


async def ends(pids: Sequence[int], seconds: float = 20) -> bool:
    living = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            living.append(psutil.Process(pid))
    _, alive = await asyncio.to_thread(psutil.wait_procs, living, seconds)
    return not alive


async def test_a_stopped_child_leaves_no_process_and_no_pid_file(tmp_path: Path, ready: Readiness) -> None:
    child = Child(command(tmp_path, WAITS, ready.path))
    await child.start()
    await ready.told()
    assert child.pid is not None
    assert (tmp_path / "child.pid").exists()
    await child.stop()
    assert not psutil.pid_exists(child.pid)
    assert not (tmp_path / "child.pid").exists()


async def test_a_child_that_ignores_its_signal_is_killed_after_its_grace(
    tmp_path: Path, ready: Readiness
) -> None:
    child = Child(command(tmp_path, IGNORES, ready.path, grace_seconds=0.2))
    await child.start()
    await ready.told()
    await child.stop()
    assert child.pid is not None
    assert not psutil.pid_exists(child.pid)


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = Command("ghost", tmp_path, ["/no/such/program"], dict(os.environ))
    with pytest.raises(ServerNotStarted, match="ghost cannot be run"):
        await Child(missing).start()


OWNER = """
import asyncio, pathlib, sys
sys.path.insert(0, sys.argv[2])
from test_local_children import command, WAITS, Child
async def main():
    folder = pathlib.Path(sys.argv[1])
    child = Child(command(folder, WAITS, sys.argv[3]))
    await child.start()
    print(child.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_child_ends_when_its_owner_is_killed(tmp_path: Path, ready: Readiness) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(tmp_path), str(HERE), ready.path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    await ready.told()
    owner.kill()
    await owner.wait()
    assert await ends([pid])


async def test_a_child_left_over_with_its_guard_killed_is_ended_by_the_next_start(
    tmp_path: Path, ready: Readiness
) -> None:
    first = Child(command(tmp_path, WAITS, ready.path))
    await first.start()
    await ready.told()
    assert first.pid is not None
    guard = psutil.Process(first.pid).parent()
    assert guard is not None
    guard.kill()
    await first.wait()
    assert psutil.pid_exists(first.pid)
    second = Child(command(tmp_path, WAITS, ready.path))
    await second.start()
    assert not psutil.pid_exists(first.pid)
    await second.stop()


async def test_a_part_that_is_killed_comes_back(tmp_path: Path, ready: Readiness) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    child = Child(command(tmp_path, WAITS, ready.path))
    await child.start()
    first = child.pid
    assert first is not None
    watching = asyncio.create_task(keep_running(Part("child", child.start, lambda: child), said.put_nowait))
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        assert "ended (code 137)" in await said.get()
        assert "is back" in await said.get()
    assert child.pid != first
    watching.cancel()
    await child.stop()


async def test_a_part_that_does_not_come_back_is_tried_again(tmp_path: Path, ready: Readiness) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    child = Child(command(tmp_path, WAITS, ready.path))
    tries = iter([False, True])

    async def start() -> None:
        if not next(tries):
            raise ServerNotStarted("not yet")
        await child.start()

    await child.start()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    watching = asyncio.create_task(keep_running(Part("child", start, lambda: child), said.put_nowait))
    async with asyncio.timeout(20):
        sentences = [await said.get() for _ in range(3)]
    assert "not yet" in sentences[1]
    assert "is back" in sentences[2]
    watching.cancel()
    await child.stop()


def test_a_second_stack_on_a_state_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    refused = pytest.raises(StackAlreadyRunning, match="already running")
    with held_state_folder(folder), refused, held_state_folder(folder):
        pass
    with held_state_folder(folder):
        pass
    assert not list(folder.iterdir())


async def test_a_fresh_start_ends_what_was_left_over_and_empties_the_folder(
    tmp_path: Path, ready: Readiness
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    child = Child(command(folder, WAITS, ready.path))
    await child.start()
    await ready.told()
    assert child.pid is not None
    await asyncio.to_thread(empty_state_folder, tmp_path)
    assert await ends([child.pid])
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []
    await child.stop()
