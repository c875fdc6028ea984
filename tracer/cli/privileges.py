"""Capabilities: which an engine keeps once its probes are attached, and none for a screen."""

from __future__ import annotations

import ctypes
import os
import shlex
from collections.abc import Iterable

# include/uapi/linux/capability.h
_VERSION_3 = 0x20080522
_NUMBERS = {
    "DAC_OVERRIDE": 1,
    "DAC_READ_SEARCH": 2,
    "KILL": 5,
    "NET_ADMIN": 12,
    "SYS_PTRACE": 19,
    "PERFMON": 38,
    "BPF": 39,
}

ENGINE = {
    "DAC_OVERRIDE": "traces, control sockets and cgroups that lie in folders of other users",
    "KILL": "signals to processes of other users, for `kill` and `freeze`",
    "SYS_PTRACE": "what /proc says of processes of other users: executable, working directory",
    "PERFMON": "the look round at processes that are there when a target is added",
    "BPF": "the sweeps, and kernels before 5.19, which want it for any use of a map",
}

ENFORCING = {"NET_ADMIN": "programs that refuse connections are attached when the session starts"}
READER = ("DAC_READ_SEARCH",)  # of a screen on the trace of another user; else it has none


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def keep(names: Iterable[str]) -> None:
    """Give up all other capabilities, in the calling thread and in those it is yet to start; capset(2).

    With PR_SET_NO_NEW_PRIVS they do not come back by execve(2) either, not even for root. Raises OSError.
    """
    sets = _current()
    wanted = sum(1 << _NUMBERS[name] for name in names)
    for half, each in enumerate(sets):
        each.permitted &= wanted >> 32 * half & 0xFFFF_FFFF
        each.effective, each.inheritable = each.permitted, 0
    _call("capset", sets)


def keep_as_engine(*, enforcing: bool) -> None:
    """Give up what an engine does not need. Raises OSError."""
    keep([*ENGINE, *(ENFORCING if enforcing else ())])


def _current() -> ctypes.Array[_Sets]:
    sets = (_Sets * 2)()
    _call("capget", sets)
    return sets


def _call(name: str, sets: ctypes.Array[_Sets]) -> None:
    """Of glibc, which has them and declares them nowhere."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc[name](ctypes.byref(_Header(_VERSION_3, 0)), sets):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def setcap_commands(python: str, group: int) -> list[str]:
    """For a shell: what lets a group watch its own processes without root, an interpreter of its own.

    Who may run it can read the kernel's memory, so nobody else may. The commands it starts get none of it, as
    capabilities(7) of a file end with the next execve(2).
    """
    own = shlex.quote(os.path.join(os.path.dirname(python), "rubicon-python"))
    original = shlex.quote(os.path.realpath(python))
    return [
        f"sudo install -m 0750 -g {group} {original} {own}",
        f"sudo setcap cap_bpf,cap_perfmon=ep {own}",
        f"{own} -I {shlex.quote(os.path.join(os.path.dirname(__file__), '__main__.py'))} run -- CMD",
    ]
