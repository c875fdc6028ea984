"""SIGKILL: to one process, or to all of a scope until nobody is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tracer.actions.scope import Scope
from tracer.actions.tasks import Task, send

_SECONDS_MAX = 5.0
_REST_SECONDS = 0.01  # between two looks at who is left


def kill_process(task: Task) -> bool:
    """False when it had ended already. Raises OSError when it cannot be done."""
    return send(task, signal.SIGKILL)


def kill_scope(scope: Scope, release: Callable[[], object] = lambda: None) -> tuple[int, int]:
    """How many were killed, and how many were still there after a few seconds. `release` is called when all
    have had the signal: in a frozen cgroup of version 1 nobody dies.

    A cgroup is killed as one (cgroup.kill, Linux 5.14). Others by signals, again and again: a process may
    have had a child in the meantime, which is watched as well.
    """
    killed: set[Task] = set(scope.tasks())
    for folder in scope.whole_folders():
        _kill_folder(folder)
    deadline = time.monotonic() + _SECONDS_MAX
    while left := list(scope.tasks()):
        killed.update(left)
        for task in left:
            with suppress(OSError):
                send(task, signal.SIGKILL)
        release()
        if time.monotonic() > deadline:
            return len(killed) - len(left), len(left)
        time.sleep(_REST_SECONDS)
    return len(killed), 0


def _kill_folder(folder: Path) -> None:
    with suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
