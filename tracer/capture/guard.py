"""What refuses in the kernel (probes/guard.bpf.c, lsm.bpf.c), of an object that was loaded with it."""

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
# LSM programs of probes/lsm.bpf.c, and the hooks they are on.
HOOKS = {
    "refuse_exec": "bprm_creds_from_file",
    "refuse_open": "file_open",
    "refuse_mknod": "path_mknod",
    "refuse_unlink": "path_unlink",
    "refuse_rmdir": "path_rmdir",
    "refuse_mkdir": "path_mkdir",
    "refuse_symlink": "path_symlink",
    "refuse_rename": "path_rename",
    "refuse_link": "path_link",
    "refuse_truncate": "path_truncate",
    "refuse_ftruncate": "file_truncate",
    "refuse_chmod": "path_chmod",
    "refuse_chown": "path_chown",
    "refuse_mount": "sb_mount",
    "refuse_umount": "sb_umount",
    "refuse_pivot_root": "sb_pivotroot",
    "refuse_move_mount": "move_mount",
    "refuse_chroot": "path_chroot",
    "refuse_signal": "task_kill",
    "refuse_ptrace": "ptrace_access_check",
}
_FOR_THE_ENGINE = ("refuse_signal", "refuse_ptrace")
OPTIONAL_HOOKS = frozenset({"refuse_ftruncate"})
PATH_CELLS_MAX = 1 << 20
"""Of the table of paths (probes/allowed.h); 2 bytes each."""
CELL_ELEMENTS = PATH_CELLS_MAX // 4
"""Of the map `path_cells`, when there may be something to guard."""


class Table(Protocol):
    @property
    def fd(self) -> int: ...

    def update(self, key: bytes, value: bytes) -> None: ...


class Loaded(Protocol):
    """What was loaded, the programs that refuse among it.

    hooks       the LSM programs that were loaded
    no_hooks    why there are none
    """

    hooks: Sequence[str]
    no_hooks: str

    def map(self, name: str) -> Table: ...

    def attach_cgroup(self, program: str, descriptor: int) -> None: ...

    def attach(self, program: str) -> None: ...

    def variable(self, name: str) -> bytes:
        """As the kernel has it now."""
        ...


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
        self._is_asked = False

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
        """What `kill` and `refuse` go by: an automaton of `tracer.rules.automaton`, its lists
        in the order of `enum path_list`.
        """
        with mmap.mmap(self._loaded.map("path_cells").fd, 2 * PATH_CELLS_MAX) as memory:
            memory[: len(cells)] = cells
        head = classes + struct.pack(f"=I{len(starts)}I4x", width, *starts)
        self._loaded.map("path_table").update(bytes(4), head)

    def protect(self) -> None:
        """From now on whoever is watched can neither signal this process nor look into it. Raises KernelError
        where the kernel asks no LSM programs.

        It may have taken them and not ask them (no "bpf" in `lsm=`). That shows when we send ourselves a
        signal that is none.
        """
        if not self._loaded.hooks:
            raise KernelError(self._loaded.no_hooks)
        for program in _FOR_THE_ENGINE:
            self._loaded.attach(program)
        os.kill(os.getpid(), 0)
        if self._loaded.variable("was_asked") == bytes(1):
            raise KernelError('the kernel asks no BPF programs: boot it with "bpf" in its list lsm=')
        self._write("refuses_acts", b"\1")
        self._is_asked = True

    def refuse(self, *, programs: bool, writes: bool, mounts: bool) -> None:
        """From now on whoever is watched becomes no program, and changes no file, that is not in the lists,
        and makes no path lead elsewhere; each as wanted. Raises KernelError as `protect` does."""
        if not self._is_asked:
            self.protect()
        for program in self._loaded.hooks:
            if program not in _FOR_THE_ENGINE:
                self._loaded.attach(program)
        for name, wanted in (("exec_guard", programs), ("write_guard", writes), ("mount_guard", mounts)):
            if wanted:
                self._write(name, int(GuardMode.DENY).to_bytes(4, "little"))

    def kill(self, *, programs: bool, writes: bool) -> None:
        """From now on whoever is watched dies when it becomes a program, or changes a file, that is not in
        the lists; each as wanted."""
        for name, wanted in (("exec_guard", programs), ("write_guard", writes)):
            if wanted:
                self._write(name, int(GuardMode.KILL).to_bytes(4, "little"))

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


def choose_hooks(has: Callable[[str], bool], trial: Callable[[], str]) -> tuple[list[str], str]:
    """The LSM programs that this kernel takes, and why it takes none. `has` says whether its type information
    has a name; `trial` why it takes no LSM program, "" when it does."""
    if not has("bpf_lsm_file_open"):
        return [], "this kernel is built without BPF programs as a security module (CONFIG_BPF_LSM)"
    if not has("bpf_lsm_path_unlink"):
        return [], "this kernel is built without hooks for paths (CONFIG_SECURITY_PATH)"
    if why := trial():
        return [], why
    found = [program for program, hook in HOOKS.items() if has(f"bpf_lsm_{hook}")]
    missing = HOOKS.keys() - OPTIONAL_HOOKS - set(found)
    return ([], f"this kernel has no hook {HOOKS[min(missing)]}") if missing else (found, "")
