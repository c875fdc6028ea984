"""A signal reaches the very process that is meant."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from tracer.actions.kill import kill_process
from tracer.actions.tasks import Task, is_stopped, send, task_now


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_the_process_that_is_meant(sleeper: subprocess.Popen[bytes]) -> None:
    task = task_now(sleeper.pid)
    assert task is not None
    assert task.pid == sleeper.pid
    assert kill_process(task)
    assert sleeper.wait() == -signal.SIGKILL


def test_not_one_that_has_its_number_since(sleeper: subprocess.Popen[bytes]) -> None:
    task = task_now(sleeper.pid)
    assert task is not None
    assert not kill_process(Task(task.pid, task.start_ticks - 1))
    assert sleeper.poll() is None


def test_one_that_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    """Also while nobody has waited for it."""
    task = task_now(sleeper.pid)
    assert task is not None
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
    assert not send(task, signal.SIGSTOP)
    assert task_now(sleeper.pid) is None


def test_start_in_nanoseconds_is_that_in_ticks(sleeper: subprocess.Popen[bytes]) -> None:
    task = task_now(sleeper.pid)
    assert task is not None
    assert Task.of(sleeper.pid, task.start_ticks * 10_000_000 + 9_999_999) == task


def test_whether_it_stands_still(sleeper: subprocess.Popen[bytes]) -> None:
    task = task_now(sleeper.pid)
    assert task is not None
    assert not is_stopped(task)
    send(task, signal.SIGSTOP)
    sleeper_stopped(sleeper)
    assert is_stopped(task)


def sleeper_stopped(process: subprocess.Popen[bytes]) -> None:
    import os

    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
