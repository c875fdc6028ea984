"""Processes of this machine: those that can be attached to, and what /proc says of one."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from tracer.cgroup_names import container_in
from tracer.errors import TargetError
from tracer.text import printable

ARGS_MAX_BYTES = 131_072  # as RB_ARGS_MAX in abi.h
OUTSIDE_ARGS_MAX_BYTES = 256
_NEAR_MAX = 5
_ENDED = (b"Z", b"X")  # proc_pid_status(5): of the first thread, others may still run
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_INITIAL_PID_NS = 0xEFFFFFFC  # include/linux/proc_ns.h: PROC_PID_INIT_INO


def find(text: str) -> int:
    """The pid that `text` names. Raises TargetError when there is no such process; names some that are."""
    if not text.isascii() or not text.isdigit():
        raise TargetError(
            f"pid:{printable(text)} is not a process: give its number, as in pid:42{_near(text)}"
        )
    number = text.lstrip("0")
    if not _is_running(number):
        raise TargetError(f"there is no process {number or text}{_near(number)}")
    return int(number)


def _is_running(pid: str) -> bool:
    """A thread other than the first answers in /proc, too, but its Tgid is another number; and a process that
    has ended does until it is waited for.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            facts = dict(line.split(b":\t", 1) for line in status if b":\t" in line)
    except OSError:
        return False
    ended = facts[b"State"][:1] in _ENDED and int(facts[b"Threads"]) <= 1
    return facts.get(b"Tgid", b"").strip() == pid.encode() and not ended


def _near(text: str) -> str:
    """Processes the user may have meant: by number, or by name when a name was given."""
    import psutil  # asked for only when something is wrong: it takes longer to import than /proc to read

    found = [
        f"{process.info['pid']} ({printable(process.info['name'] or '?')})"
        for process in psutil.process_iter(["pid", "name"])
        if _is_near(text, process.info["pid"], process.info["name"] or "")
    ]
    return f"; near matches: {', '.join(found[:_NEAR_MAX])}" if found else ""


def _is_near(text: str, pid: int, name: str) -> bool:
    if text.isdigit():
        number = str(pid)
        return number != text and (number.startswith(text) or (text.startswith(number) and pid > 1))
    return bool(text) and text.lower() in name.lower()


def find_named(pattern: str) -> None:
    """Raises TargetError when no process has a name (proc_pid_comm(5)) that matches a glob; names near
    matches. Kernel threads are no processes.
    """
    import psutil

    names = set()
    for process in psutil.process_iter(["pid", "name"]):
        pid = int(process.info["pid"])
        try:
            name = _name(pid)
        except OSError:
            continue
        if pattern and fnmatchcase(name, pattern) and _is_running(str(pid)) and _read(pid, "cmdline"):
            return
        names.add(name)
    close = get_close_matches(pattern.strip("*"), names, n=3, cutoff=0.5)
    near = f"; near matches: {', '.join(map(printable, close))}" if close else ""
    raise TargetError(f"no process is called {printable(pattern)}{near}")


def namespaced() -> Iterator[tuple[int, str, float, int]]:
    """The outermost processes in a pid or network namespace that is not ours, but those of containers.

    Pid, name, start in seconds since the Unix epoch, and how many processes there are from it down.
    """
    own = _namespaces("self")
    parents: dict[int, int] = {}
    found: dict[int, tuple[str, float]] = {}
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError, ValueError, IndexError):
            fields = _stat(int(pid))
            parents[int(pid)] = parent = int(fields[1])
            if parent and _namespaces(pid) != own == _namespaces(str(parent)) and not _in_container(pid):
                found[int(pid)] = _name(int(pid)), boot + int(fields[19]) * _TICK_NS / 1e9
    for top, (name, started) in sorted(found.items()):
        yield top, name, started, sum(_is_below(pid, top, parents) for pid in parents)


def started(pid: int) -> float:
    """Seconds since the Unix epoch, to a hundredth. Raises OSError when it is gone."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + started_ns(pid) / 1e9


def started_ns(pid: int) -> int:
    """Nanoseconds since boot, rounded down to a clock tick. Raises OSError when it is gone."""
    return int(_stat(pid)[19]) * _TICK_NS


def _namespaces(pid: str) -> tuple[str, str]:
    return os.readlink(f"/proc/{pid}/ns/pid"), os.readlink(f"/proc/{pid}/ns/net")


def _in_container(pid: str) -> bool:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
        return any(container_in(line.rstrip("\n").split(":", 2)[2])[1] for line in lines)


def _is_below(pid: int, top: int, parents: dict[int, int]) -> bool:
    while pid and pid != top:
        pid = parents.get(pid, 0)
    return pid == top


def sees_all_pids() -> bool:
    """Whether pids here are those the kernel's records carry: this is the initial pid namespace."""
    return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NS


def lineage(pid: int, watched: Container[int]) -> Iterator[dict[str, Any]]:
    """`process` context records of a process and those above it, up to the first.

    Of those that are not watched only the beginning of the arguments is taken: they are there to tell who
    started what, and may hold what is nobody's business.
    """
    seen: set[int] = set()
    while pid and pid not in seen:
        seen.add(pid)
        record = describe(pid, ARGS_MAX_BYTES if pid in watched else OUTSIDE_ARGS_MAX_BYTES)
        if record is None:
            return
        yield record
        pid = record["parent_pid"]


def describe(pid: int, args_max_bytes: int) -> dict[str, Any] | None:
    """A `process` context record from /proc, or None when the process is gone.

    `args_total` is the true length of the arguments in bytes, of which at most `args_max_bytes` are kept.
    Start times there are in clock ticks: `start_ns` is rounded down to one, and says so in `start_tick_ns`.
    """
    try:
        fields = _stat(pid)
        parent = int(fields[1])
        return {
            "type": "process",
            "pid": pid,
            "start_ns": int(fields[19]) * _TICK_NS,
            "start_tick_ns": _TICK_NS,
            "parent_pid": parent,
            "parent_start_ns": int(_stat(parent)[19]) * _TICK_NS if parent else 0,
            "executable": _link(pid, "exe"),
            **_arguments(pid, args_max_bytes),
            "working_directory": _link(pid, "cwd"),
            "name": _name(pid),
            **_ids(pid),
        }
    except (OSError, ValueError, IndexError):
        return None


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _stat(pid: int) -> list[bytes]:
    """The fields of proc_pid_stat(5) from the third on: the second is a name that may hold anything."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def _arguments(pid: int, max_bytes: int) -> dict[str, Any]:
    data = _read(pid, "cmdline")
    kept = data[:max_bytes]
    args = os.fsdecode(kept.removesuffix(b"\0")).split("\0") if kept else []
    return {"args": args, "args_total": len(data)}


def _name(pid: int) -> str:
    return os.fsdecode(_read(pid, "comm").removesuffix(b"\n"))


def _link(pid: int, name: str) -> str:
    try:
        return os.fsdecode(os.readlink(f"/proc/{pid}/{name}".encode()))
    except OSError:  # a kernel thread has none
        return ""


def _ids(pid: int) -> dict[str, int]:
    lines = dict(line.split(b":\t", 1) for line in _read(pid, "status").splitlines() if b":\t" in line)
    real, effective = (int(number) for number in lines[b"Uid"].split()[:2])
    return {"user_id": real, "effective_user_id": effective, "group_id": int(lines[b"Gid"].split()[0])}


def cpu_times(pid: int) -> tuple[int, int] | None:
    """When a process began (nanoseconds since boot, in whole ticks), and what it has taken of processors,
    with threads that have ended: nanoseconds. None when it is gone."""
    try:
        fields = _stat(pid)
        return int(fields[19]) * _TICK_NS, (int(fields[11]) + int(fields[12])) * _TICK_NS
    except (OSError, ValueError, IndexError):
        return None


def thread_demands(pid: int) -> dict[int, int]:
    """What each of its threads has taken of processors, or waited for one to be free: nanoseconds.

    So a thread that computes all the time does on a busy machine as well (proc(5), Documentation/scheduler/
    sched-stats.rst). None for one that is gone, or a kernel without these.
    """
    found: dict[int, int] = {}
    with suppress(OSError, ValueError, IndexError):
        for name in os.listdir(f"/proc/{pid}/task"):
            ran, waited = _read(pid, f"task/{name}/schedstat").split()[:2]
            found[int(name)] = int(ran) + int(waited)
    return found


def own_usage() -> dict[str, float]:
    """What this process itself takes, for the engine to say of itself: CPU seconds since the start, resident
    bytes.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm", "rb") as statm:
        pages = int(statm.read().split()[1])
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "rss_bytes": pages * resource.getpagesize()}
