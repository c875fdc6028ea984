"""Hold a scope still, and let it go on.

A cgroup is frozen by the kernel: `cgroup.freeze` of version 2 (Documentation/admin-guide/cgroup-v2.rst),
`freezer.state` of version 1 (cgroup-v1/freezer-subsystem.rst). Who is in none that holds only the watched
is stopped by SIGSTOP, again and again until nobody new is found. A process that stood still before is left
out, so that thawing does not wake it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracer.actions.scope import Scope, pids_in
from tracer.actions.tasks import Task, is_stopped, send

_SECONDS_MAX = 2.0
_REST_SECONDS = 0.002
_PASSES_MAX = 64


@dataclass(frozen=True, slots=True)
class Frozen:
    """What stands still by our doing."""

    folders: tuple[Path, ...] = ()
    tasks: tuple[Task, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.folders or self.tasks)


def freeze_scope(scope: Scope, keep: Callable[[Frozen], object]) -> Frozen:
    """All that is watched. `keep` is told what is going to be frozen before each step, so that it can be
    found after a crash. Raises OSError when something cannot be frozen; what could be is."""
    folders = tuple(scope.whole_folders())
    frozen = Frozen(folders)
    keep(frozen)
    for folder in folders:
        _set_folder(folder, still=True)
    for _ in range(_PASSES_MAX):
        inside = {pid for folder in folders for pid in pids_in(folder)}
        new = _to_stop(scope, inside, frozen.tasks)
        if not new:
            return frozen
        frozen = Frozen(folders, (*frozen.tasks, *new))
        keep(frozen)
        for task in new:
            send(task, signal.SIGSTOP)
    raise OSError(f"processes were still being made after {_PASSES_MAX} passes")


def _to_stop(scope: Scope, inside: set[int], known: Sequence[Task]) -> list[Task]:
    seen = frozenset(known)
    return [
        task for task in scope.tasks() if task.pid not in inside and task not in seen and not is_stopped(task)
    ]


def thaw(frozen: Frozen) -> None:
    """Whatever of it is still there. Raises OSError when something cannot be thawed; the rest is."""
    failed: OSError | None = None
    for folder in frozen.folders:
        try:
            if folder.is_dir():
                _set_folder(folder, still=False)
        except OSError as error:
            failed = error
    for task in frozen.tasks:
        try:
            send(task, signal.SIGCONT)
        except OSError as error:
            failed = error
    if failed:
        raise failed


def _set_folder(folder: Path, *, still: bool) -> None:
    """Returns when all in it stand still, or after a moment: a task in the kernel may take its time."""
    version_2 = folder / "cgroup.freeze"
    if version_2.exists():
        version_2.write_text("1" if still else "0")
        done = f"frozen {1 if still else 0}\n"
        _await(lambda: done in (folder / "cgroup.events").read_text("ascii"))
        return
    state = "FROZEN" if still else "THAWED"
    (folder / "freezer.state").write_text(state)
    _await(lambda: (folder / "freezer.state").read_text("ascii") == f"{state}\n")


def _await(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    with suppress(FileNotFoundError):  # the cgroup is gone
        while not ready() and time.monotonic() < deadline:
            time.sleep(_REST_SECONDS)
