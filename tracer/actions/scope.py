"""All that is watched in a session, as an action sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracer.actions.tasks import Task, task_now


@dataclass(frozen=True, slots=True)
class Scope:
    """`members` are the pids watched now, in this pid namespace; `folders` cgroups in which all is watched.

    `spared` are those that no action may touch although they are watched: Rubicon itself, which may stand
    in the cgroup that it was told to watch.
    """

    members: Callable[[], Iterable[int]]
    folders: Callable[[], Iterable[Path]] = lambda: ()
    spared: Callable[[], Iterable[int]] = lambda: (os.getpid(),)

    def tasks(self) -> Iterator[Task]:
        """Who is there now and may be touched."""
        spared = frozenset(self.spared())
        for pid in sorted(self.members()):
            if pid not in spared and (task := task_now(pid)) is not None:
                yield task

    def _there(self) -> Iterator[Path]:
        return (folder for folder in self.folders() if folder.is_dir())

    def whole_folders(self) -> list[Path]:
        """The cgroups that hold nobody but whom we may touch: who is inside may have moved others in."""
        allowed = frozenset(self.members()) - frozenset(self.spared())
        return [folder for folder in self._there() if allowed.issuperset(pids_in(folder))]


def pids_in(folder: Path) -> set[int]:
    """The processes in a cgroup and below it."""
    found: set[int] = set()
    for path, _folders, _files in os.walk(folder):
        with suppress(OSError):
            found.update(map(int, Path(path, "cgroup.procs").read_text("ascii").split()))
    return found
