"""Attacks whoever watches it, by all the ways it is told to: evil.py FOLDER [--as UID] WAY...

FOLDER holds the traces. What is refused is refused: it goes on with the next.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
ENGINE = os.getppid()
PTRACE, VM_WRITEV, PIDFD_GETFD, BPF = 101, 311, 438, 321  # x86-64
SEIZE = 0x4206


@cache
def trace(folder: Path) -> Path:
    """The one that is being written: its name begins with the time."""
    return max(folder.glob("2*.trace"))


def old(folder: Path) -> Path:
    return folder / "1.trace"


def call(number: int, *arguments: object) -> None:
    """An int would leave the upper half of its register to chance."""
    LIBC.syscall(number, *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments))


def seize(_folder: Path) -> None:
    call(PTRACE, SEIZE, ENGINE, 0, 0)


def write_memory(_folder: Path) -> None:
    """To an address where nothing is."""
    here = ctypes.create_string_buffer(8)
    ours = (ctypes.c_uint64 * 2)(ctypes.addressof(here), 8)
    theirs = (ctypes.c_uint64 * 2)(8, 8)
    call(VM_WRITEV, ENGINE, ours, 1, theirs, 1, 0)


def take_descriptor(_folder: Path) -> None:
    call(PIDFD_GETFD, os.pidfd_open(ENGINE), 0, 0)


def by_descriptor(folder: Path) -> None:
    """The trace by its name in /proc, as it is asked for by a name that no rule knows."""
    for each in Path(f"/proc/{ENGINE}/fd").iterdir():
        if os.path.realpath(each) == str(trace(folder)):
            os.open(each, os.O_WRONLY)
            return


def by_fdinfo(kind: str, command: int) -> Callable[[Path], None]:
    """One of its BPF objects, by the id that /proc tells."""

    def take(_folder: Path) -> None:
        for each in Path(f"/proc/{ENGINE}/fdinfo").iterdir():
            if found := re.search(rf"^{kind}:\t(\d+)$", each.read_text(), re.MULTILINE):
                attributes = ctypes.create_string_buffer(struct.pack("<I", int(found[1])), 64)
                call(BPF, command, attributes, 64)
                return

    return take


def hide(folder: Path) -> None:
    """In a mount namespace of its own, so that the test can clean up."""
    os.system(f"unshare --mount mount -t tmpfs none '{folder}'")


def mount_over(folder: Path) -> None:
    LIBC.mount(b"none", os.fsencode(folder), b"tmpfs", 0, None)


def steer(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(f"{trace(folder)}.control")


WAYS: dict[str, Callable[[Path], object]] = {
    "term": lambda _: os.kill(ENGINE, signal.SIGTERM),
    "pidfd": lambda _: signal.pidfd_send_signal(os.pidfd_open(ENGINE), signal.SIGHUP),
    "stop": lambda _: os.kill(ENGINE, signal.SIGSTOP),
    "user": lambda _: os.kill(ENGINE, signal.SIGUSR1),
    "seize": seize,
    "write memory": write_memory,
    "open memory": lambda _: os.open(f"/proc/{ENGINE}/mem", os.O_WRONLY),
    "take descriptor": take_descriptor,
    "oom": lambda _: os.open(f"/proc/{ENGINE}/oom_score_adj", os.O_WRONLY),
    "append": lambda folder: os.open(trace(folder), os.O_WRONLY | os.O_APPEND),
    "by descriptor": by_descriptor,
    "link": lambda folder: os.link(trace(folder), "innocent"),
    "by link": lambda _: os.open("innocent", os.O_WRONLY),
    "chmod": lambda folder: os.chmod(trace(folder), 0o666),
    "chown": lambda folder: os.chown(trace(folder), 65534, 65534),
    "truncate": lambda folder: os.truncate(old(folder), 0),
    "rename over": lambda folder: os.rename("mine", old(folder)),
    "key": lambda folder: os.open(folder.parent / ".config/rubicon/keys/seal", os.O_RDWR),
    "unlink": lambda folder: os.unlink(old(folder)),
    "unlink control": lambda folder: os.unlink(f"{trace(folder)}.control"),
    "steer": steer,
    "move": lambda folder: os.rename(folder.parent, f"{folder.parent}.gone"),
    "move back": lambda folder: os.rename(f"{folder.parent}.gone", folder.parent),
    "hide": hide,
    "mount over": mount_over,
    "map": by_fdinfo("map_id", 14),
    "program": by_fdinfo("prog_id", 13),
    "link of a program": by_fdinfo("link_id", 30),
    # Near misses
    "ask": lambda _: os.kill(ENGINE, 0),
    "own child": lambda _: os.kill(os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60"), signal.SIGKILL),
    "own group": lambda _: os.killpg(0, signal.SIGCONT),
    "own files": lambda folder: (Path(trace(folder).name).touch(), os.unlink(trace(folder).name)),
    "read": lambda folder: trace(folder).read_bytes(),
    "neighbour": lambda folder: (folder.parent / "notes").touch(),
}

if __name__ == "__main__":
    traces, ways = Path(sys.argv[1]), sys.argv[2:]
    trace(traces)  # while it can be found
    if ways[0] == "--as":
        os.setresuid(*[int(ways[1])] * 3)
        ways = ways[2:]
    for way in ways:
        with suppress(OSError):
            WAYS[way](traces)
