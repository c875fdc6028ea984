"""Signals to processes, each meant by number and start time: a number alone may be another's by now."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_STOPPED = (b"T", b"t")  # proc_pid_stat(5): by a signal, by a tracer
_ENDED = (b"Z", b"X")


@dataclass(frozen=True, slots=True)
class Task:
    """A process of this pid namespace. `start_ticks` as in proc_pid_stat(5): clock ticks since boot."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int, start_ns: int) -> Task:
        return cls(pid, start_ns // _TICK_NS)


def task_now(pid: int) -> Task | None:
    """Who has the number now; None when nobody has, or one that has ended and was not waited for."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in _ENDED else Task(pid, int(fields[19]))


def is_stopped(task: Task) -> bool:
    fields = _stat(task.pid)
    return fields is not None and fields[0] in _STOPPED


def send(task: Task, number: signal.Signals) -> bool:
    """False when the process has ended. Raises PermissionError when we may not.

    The descriptor is opened before the start time is read: if that is the one we look for, the descriptor
    cannot be another's (pidfd_open(2)).
    """
    try:
        descriptor = os.pidfd_open(task.pid)
    except ProcessLookupError:
        return False
    try:
        if task_now(task.pid) != task:
            return False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
            return True
        return False
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[bytes] | None:
    """The fields of proc_pid_stat(5) from the third on."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None
