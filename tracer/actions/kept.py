"""What stands still, in a small file, so that it is found when the engine that froze it was killed.

Each line is all that is frozen; the last whole one counts. The file is locked as long as its engine lives,
and gone when nothing is frozen.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tracer.actions.freeze import Frozen, thaw
from tracer.actions.tasks import Task

SUFFIX = ".frozen"
_BYTES_MAX = 16 << 20


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    boot: str  # start times and cgroups mean nothing after the next boot
    folders: list[str]
    tasks: list[tuple[int, int]]


class Kept:
    """The file of one session, made when something is frozen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def keep(self, frozen: Frozen) -> None:
        """Raises OSError when it cannot be written: then nothing should be frozen."""
        state = _State(
            boot=_boot_id(),
            folders=[os.fspath(folder) for folder in frozen.folders],
            tasks=[(task.pid, task.start_ticks) for task in frozen.tasks],
        )
        if self._descriptor < 0:
            self._descriptor = _created(self.path)
        os.write(self._descriptor, state.model_dump_json().encode() + b"\n")

    def forget(self) -> None:
        """Nothing is frozen any more."""
        if self._descriptor < 0:
            return
        with suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()


def _created(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def abandoned(folder: Path) -> list[Path]:
    """The files in a folder whose engines are gone."""
    return [path for path in sorted(folder.glob(f"*{SUFFIX}")) if _is_abandoned(path)]


def _is_abandoned(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def thaw_abandoned(path: Path) -> int:
    """Let what an engine that is gone had frozen go on; how much that was: cgroups and processes.

    Raises OSError when the file cannot be read or something not be thawed; the file stays then.
    """
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        frozen = _last_state(file.read(_BYTES_MAX))
        thaw(frozen)
        path.unlink()
    return len(frozen.folders) + len(frozen.tasks)


def _last_state(data: bytes) -> Frozen:
    """Nothing, when no line is whole: it is written before anything is frozen."""
    for line in reversed(data.split(b"\n")[:-1]):
        with suppress(ValidationError):
            state = _State.model_validate_json(line)
            if state.boot != _boot_id():
                return Frozen()
            return Frozen(tuple(map(Path, state.folders)), tuple(Task(*task) for task in state.tasks))
    return Frozen()
