"""When a trace goes on in another file, and which of its files are kept."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracer.errors import TraceError
from tracer.text import printable
from tracer.trace.parts import part_path, part_record

_FORBEARANCE_SECONDS = 1.0  # before a rotation that could not be done is tried again


@dataclass(frozen=True, slots=True)
class Rotation:
    """A part ends when it has `max_bytes` or is `max_seconds` old, whatever is first; 0 is without a limit.

    Of its parts the newest `keep` are kept, all with 0.
    """

    max_bytes: int = 0
    max_seconds: float = 0.0
    keep: int = 0

    @property
    def wanted(self) -> bool:
        return bool(self.max_bytes or self.max_seconds)


class Rotator:
    """The parts of one trace, for its writer. `about()` gives the session record and the context that lasts.

    `read_to()` is the number of the block that readers in this process want next: no part is removed that
    they have not read.
    """

    def __init__(
        self, path: Path, rotation: Rotation, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.about: Callable[[], tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = lambda: ({}, [])
        self.read_to: Callable[[], int] = lambda: 1 << 62
        self._path = path
        self._rotation = rotation
        self._clock = clock
        self._number = 1
        self._ends: list[int] = []  # the block after each part that is complete, of those that are kept
        self._began = clock()
        self._not_before = 0.0

    def is_due(self, part_bytes: int) -> bool:
        rotation, now = self._rotation, self._clock()
        full = 0 < rotation.max_bytes <= part_bytes
        old = 0 < rotation.max_seconds <= now - self._began
        return (full or old) and now >= self._not_before

    def begin(self) -> tuple[int, dict[str, Any]]:
        """A new file, locked, under a name that no reader knows, and the record that it begins with.

        Raises OSError when there can be none; then it is not due for a while.
        """
        session, lasting = self.about()
        try:
            descriptor = create(self._partial())
        except OSError:
            self._not_before = self._clock() + _FORBEARANCE_SECONDS
            raise
        return descriptor, part_record(self._number + 1, session, lasting)

    def abandon(self) -> None:
        self._not_before = self._clock() + _FORBEARANCE_SECONDS
        with suppress(OSError):
            self._partial().unlink()

    def begun(self, first_block: int) -> None:
        """The new file has its first block: it gets its name, and the oldest may go. Raises OSError."""
        self._partial().rename(part_path(self._path, self._number + 1))
        self._number += 1
        self._began = self._clock()
        self._ends.append(first_block)
        with suppress(OSError):  # the next time, perhaps
            self.remove_old()

    def remove_old(self) -> None:
        """As many of the oldest as are too many, and have been read. Raises OSError."""
        keep = self._rotation.keep
        while 0 < keep <= len(self._ends) and self.read_to() >= self._ends[0]:
            part_path(self._path, self._number - len(self._ends) + 1).rename(self._path)
            del self._ends[0]

    def finish(self) -> None:
        """The trace is complete: nobody here reads it any more."""
        self.read_to = lambda: 1 << 62
        with suppress(OSError):
            self.remove_old()

    def _partial(self) -> Path:
        path = part_path(self._path, self._number + 1)
        return path.with_name(f".{path.name}.partial")


def create(path: Path) -> int:
    """A new file of mode 0600, locked; the descriptor is not inherited by programs that are started."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)  # whatever the umask
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # a reader asking whether it is locked holds it for microseconds
    return descriptor


def let_go(descriptor: int) -> None:
    """Unlocked by name, as a child forked just now may still hold a copy of the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def created(path: Path) -> int:
    """The first file of a trace. Raises TraceError."""
    try:
        return create(path)
    except OSError as error:
        raise TraceError(f"cannot create the trace {printable(str(path))}: {error.strerror}") from None
