"""The programs that refuse connections (probes/guard.bpf.c), of an object that was loaded with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from tracer.errors import KernelError

PROGRAMS = ("guard_connect4", "guard_connect6", "guard_sendmsg4", "guard_sendmsg6", "guard_socket")


class Table(Protocol):
    def update(self, key: bytes, value: bytes) -> None: ...


class Loaded(Protocol):
    """What was loaded, the programs that refuse among it."""

    def map(self, name: str) -> Table: ...

    def attach_cgroup(self, program: str, descriptor: int) -> None: ...


class GuardMode(IntEnum):
    """enum guard_mode"""

    OFF = 0
    DENY = 1
    KILL = 2


class Guard:
    """Lets everything pass until it is told otherwise. `cgroups` is where version 2 is mounted, None when it
    is not.

    `write` sets a variable of the probes. What is attached is detached with the other programs, and by the
    kernel when this process is gone.
    """

    def __init__(self, loaded: Loaded, cgroups: Path | None, write: Callable[[str, bytes], object]) -> None:
        self._loaded = loaded
        self._cgroups = cgroups
        self._write = write
        self._allowed = loaded.map("allowed_peers")
        self._programs = loaded.map("allowed_programs")

    def allow(self, key: bytes, value: bytes) -> None:
        """An entry of the table (tracer.actions.deny). Raises KernelError when there is no room."""
        self._allowed.update(key, value)

    def kill_programs(self, but: Iterable[bytes]) -> None:
        """From now on whoever is watched dies when it becomes a program that none of the keys may stand for
        (tracer.actions.programs)."""
        for key in but:
            self._programs.update(key, b"\1")
        self._write("exec_guard", (1).to_bytes(4, "little"))

    def open(self, mode: GuardMode) -> None:
        """From now on whoever is watched connects only where the table says. Raises KernelError."""
        if self._cgroups is None:
            raise KernelError("to refuse connections needs a cgroup v2 hierarchy, and none is mounted here")
        self._write("network_guard", int(mode).to_bytes(4, "little"))
        descriptor = os.open(self._cgroups, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for program in PROGRAMS:
                self._loaded.attach_cgroup(program, descriptor)
        finally:
            os.close(descriptor)
