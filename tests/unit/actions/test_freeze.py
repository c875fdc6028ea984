"""A scope stands still and goes on, by signals; and what is kept of it on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tracer.actions.freeze import Frozen, freeze_scope, thaw
from tracer.actions.kept import Kept, abandoned, thaw_abandoned
from tracer.actions.kill import kill_scope
from tracer.actions.scope import Scope
from tracer.actions.tasks import Task, task_now


@pytest.fixture
def three() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def state(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def stopped(process: subprocess.Popen[bytes]) -> bool:
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    return state(process) == "T"


def test_all_but_who_is_spared_stop_and_go_on(three: list[subprocess.Popen[bytes]]) -> None:
    first, second, other = three
    scope = Scope(lambda: [each.pid for each in three], spared=lambda: [other.pid])
    told: list[Frozen] = []
    frozen = freeze_scope(scope, told.append)
    assert stopped(first)
    assert stopped(second)
    assert state(other) != "T"
    assert {task.pid for task in frozen.tasks} == {first.pid, second.pid}
    assert told[-1] == frozen
    thaw(frozen)
    os.waitid(os.P_PID, first.pid, os.WCONTINUED)
    assert state(first) != "T"


def test_who_stood_still_before_is_not_woken(three: list[subprocess.Popen[bytes]]) -> None:
    first = three[0]
    first.send_signal(19)
    assert stopped(first)
    frozen = freeze_scope(Scope(lambda: [first.pid]), lambda _: None)
    assert not frozen
    thaw(frozen)
    assert state(first) == "T"


def test_nothing_is_frozen_that_could_not_be_written_down(three: list[subprocess.Popen[bytes]]) -> None:
    def keep(frozen: Frozen) -> None:
        if frozen.tasks:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        freeze_scope(Scope(lambda: [three[0].pid]), keep)
    assert state(three[0]) != "T"


def test_a_cgroup_that_holds_others_is_not_taken_as_one(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    assert Scope(lambda: [7, 8, 9], lambda: [tmp_path]).whole_folders() == [tmp_path]
    assert Scope(lambda: [7], lambda: [tmp_path]).whole_folders() == []
    assert Scope(lambda: [7, 8], lambda: [tmp_path], lambda: [8]).whole_folders() == []
    assert Scope(lambda: [7], lambda: [tmp_path / "gone"]).whole_folders() == []


def test_killed_until_nobody_is_left() -> None:
    """Also who was born meanwhile."""
    program = "import os, time\nfor _ in range(4): os.fork()\nprint(flush=True)\ntime.sleep(60)"
    top = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    with top:
        assert top.stdout
        for _ in range(16):
            top.stdout.readline()

        def members() -> list[int]:
            top.poll()
            return [
                int(each) for each in os.listdir("/proc") if each.isdigit() and session_of(each) == top.pid
            ]

        killed, left = kill_scope(Scope(members))
    assert (killed, left) == (16, 0)


def session_of(pid: str) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    return 0


def test_what_an_engine_that_was_killed_left_is_thawed(
    three: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    path = tmp_path / "s.frozen"
    program = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from tracer.actions.freeze import freeze_scope\n"
        "from tracer.actions.kept import Kept\n"
        "from tracer.actions.scope import Scope\n"
        "freeze_scope(Scope(lambda: [int(sys.argv[2])]), Kept(Path(sys.argv[1])).keep)\n"
        "print(flush=True)\n"
        "input()\n"
    )
    first = three[0]
    engine = subprocess.Popen(
        [sys.executable, "-c", program, str(path), str(first.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with engine:
        assert engine.stdout
        engine.stdout.readline()
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(abandoned(tmp_path)) == []  # it lives
        with pytest.raises(BlockingIOError):
            thaw_abandoned(path)
        engine.kill()
    assert stopped(first)
    assert list(abandoned(tmp_path)) == [path]
    assert thaw_abandoned(path) == 1
    os.waitid(os.P_PID, first.pid, os.WCONTINUED)
    assert not path.exists()


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"boot":"', b"\xff\n", b'{"boot":"of old","folders":[],"tasks":[[1,0]]}\n']
)
def test_a_file_that_says_nothing_that_counts(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.frozen"
    path.write_bytes(data)
    assert thaw_abandoned(path) == 0
    assert not path.exists()


def test_the_file_is_there_while_something_is_frozen(tmp_path: Path) -> None:
    task = task_now(os.getpid())
    assert task
    with Kept(tmp_path / "below/s.frozen") as kept:
        kept.keep(Frozen((Path("/a"),)))
        kept.keep(Frozen((Path("/a"),), (Task(1, 2),)))
        assert len(kept.path.read_text().splitlines()) == 2
    assert not kept.path.exists()
