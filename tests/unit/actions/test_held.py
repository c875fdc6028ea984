"""What stands still, scope by scope, and what the file says of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer.actions.held import Held
from tracer.actions.kept import Kept
from tracer.actions.scope import Scope


@pytest.fixture
def two() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def named(path: Path) -> list[int]:
    """The pids in the last line of the file."""
    return [pid for pid, _start in json.loads(path.read_text().splitlines()[-1])["tasks"]]


def goes_on(process: subprocess.Popen[bytes]) -> None:
    os.waitid(os.P_PID, process.pid, os.WCONTINUED)


def stands_still(process: subprocess.Popen[bytes]) -> None:
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def test_one_goes_on_and_the_other_does_not(two: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    first, second = two
    path = tmp_path / "s.frozen"
    held = Held(Kept(path))
    assert not held
    for number, process in ((1, first), (2, second)):
        held.freeze(number, Scope(lambda process=process: [process.pid]))  # type: ignore[misc]
        stands_still(process)
    assert (list(held), named(path)) == ([1, 2], [first.pid, second.pid])
    held.thaw(1)
    goes_on(first)
    assert (list(held), named(path)) == ([2], [second.pid])
    assert not os.waitid(os.P_PID, second.pid, os.WCONTINUED | os.WNOHANG)
    held.thaw(2)
    goes_on(second)
    assert not held
    assert not path.exists()


def test_what_stands_still_when_it_failed_is_held(two: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """It can be thawed."""
    held = Held(Kept(tmp_path / "s.frozen"))

    def members() -> list[int]:
        if held:
            raise OSError("no more")
        return [two[0].pid]

    with pytest.raises(OSError, match="no more"):
        held.freeze(1, Scope(members))
    stands_still(two[0])
    assert list(held) == [1]
    held.thaw(1)
    goes_on(two[0])


def test_a_scope_without_anybody_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "s.frozen"
    held = Held(Kept(path))
    assert not held.freeze(1, Scope(list))
    assert not held
    assert not path.exists()
