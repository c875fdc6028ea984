"""What refuses in the kernel (probes/guard.bpf.c), of an object that was loaded with it."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from tracer.errors import KernelError

_EGRESS = ("guard_connect4", "guard_connect6", "guard_sendmsg4", "guard_sendmsg6", "guard_socket")
_ANSWERS = ("on_dns_sent", "on_dns_received")
PROGRAMS = (*_EGRESS, *_ANSWERS)
_DOMAIN_NAME_BYTES = 256  # DNS_NAME_MAX in resolved.bpf.c
_DOMAIN_ENTRIES_MAX = 4  # in peers.h


PATH_CELLS_MAX = 1 << 20
"""Of the table of paths (probes/allowed.h); 2 bytes each."""
CELL_ELEMENTS = PATH_CELLS_MAX // 4
"""Of the map `path_cells`, when there may be something to guard."""


class Table(Protocol):
    @property
    def fd(self) -> int: ...

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

    def allow(self, key: bytes, value: bytes) -> None:
        """An entry of the table (tracer.actions.deny). Raises KernelError when there is no room."""
        self._allowed.update(key, value)

    def take(self, key: bytes, value: bytes) -> None:
        """Likewise, an address that no domain makes allowed."""
        self._loaded.map("taken_peers").update(key, value)

    def allow_domain(self, name: str, entries: Sequence[int], *, below: bool) -> None:
        """A name, or `below` any below it: allowed where a resolver says, at the ports of these entries.

        Names that are too long and entries too many are left out: those learns user space alone.
        """
        text = name.encode()
        if len(text) >= _DOMAIN_NAME_BYTES:
            return
        numbers = [*entries[:_DOMAIN_ENTRIES_MAX], *[0] * _DOMAIN_ENTRIES_MAX][:_DOMAIN_ENTRIES_MAX]
        key = text.ljust(_DOMAIN_NAME_BYTES, b"\0") + struct.pack("=I", below)
        self._loaded.map("allowed_domains").update(key, struct.pack(f"={_DOMAIN_ENTRIES_MAX}I", *numbers))

    def domain_ports(self, entry: int, value: bytes) -> None:
        """Of an entry, from 1 on (tracer.actions.deny)."""
        self._loaded.map("domain_ports").update(struct.pack("=I", entry), value)

    def list_paths(self, classes: bytes, width: int, starts: Sequence[int], cells: bytes) -> None:
        """What `programs` and `writes` go by: an automaton as in `tracer.rules.automaton`, its lists in the
        order of `enum path_list`.
        """
        with mmap.mmap(self._loaded.map("path_cells").fd, 2 * PATH_CELLS_MAX) as memory:
            memory[: len(cells)] = cells
        head = classes + struct.pack(f"=I{len(starts)}I4x", width, *starts)
        self._loaded.map("path_table").update(bytes(4), head)

    def programs(self, mode: GuardMode) -> None:
        """From now on whoever is watched becomes no program that is not in the list."""
        self._write("exec_guard", int(mode).to_bytes(4, "little"))

    def writes(self, mode: GuardMode) -> None:
        """From now on whoever is watched changes no file that is not in the list."""
        self._write("write_guard", int(mode).to_bytes(4, "little"))

    def open(self, mode: GuardMode, *, domains: bool = False) -> None:
        """From now on whoever is watched connects only where the table says, or an answer about one of the
        `domains` does. Raises KernelError.
        """
        if self._cgroups is None:
            raise KernelError("to refuse connections needs a cgroup v2 hierarchy, and none is mounted here")
        self._write("network_guard", int(mode).to_bytes(4, "little"))
        descriptor = os.open(self._cgroups, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for program in PROGRAMS if domains else _EGRESS:
                self._loaded.attach_cgroup(program, descriptor)
        finally:
            os.close(descriptor)
