"""What else can watch a process, told to see the same system calls: for scripts/bench.

Each is run on the workload alone, as Rubicon is. bpftrace's probes sit in the whole kernel all the same, so
they pass over whoever is not a child of the workload. What watches a whole machine and nothing less (auditd,
Falco) is not started here: it would see what nobody asked it to.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# The calls whose events Rubicon records of the workloads, by the argument that says what they are about.
CALLS = {
    "filename": "execve execveat open openat openat2 chmod fchmodat chown lchown fchownat",
    "pathname": "creat unlink unlinkat mkdir mkdirat rmdir",
    "path": "truncate",
    "oldname": "rename renameat renameat2 link linkat symlink symlinkat",
    "fd": "connect close ftruncate fchmod fchown",
}
_LOST = re.compile(rb"[Ll]ost (\d+) events")


@dataclass(frozen=True, slots=True)
class Peer:
    """`command(workload, log, folder)` runs the workload watched; `log` then has a line for each event."""

    name: str
    command: Callable[[Sequence[str], Path, Path], list[str]]


def found() -> list[Peer]:
    peers = (Peer("strace", _strace), Peer("bpftrace", _bpftrace))
    return [each for each in peers if shutil.which(each.name)]


def missing() -> Iterator[str]:
    """One line of Markdown each."""
    for name in ("strace", "bpftrace"):
        if not shutil.which(name):
            yield f"{name} is not installed here."
    for name, program in (
        ("auditd", "auditctl"),
        ("Falco", "falco"),
        ("Tetragon", "tetragon"),
        ("Tracee", "tracee"),
    ):
        here = (
            "is installed here, and watches"
            if shutil.which(program)
            else "is not installed here; it would watch"
        )
        yield f"{name} {here} the whole machine, so it was not run."


def lost(complaints: bytes) -> int:
    """Events that a peer says it has lost."""
    return sum(int(number) for number in _LOST.findall(complaints))


def _strace(workload: Sequence[str], log: Path, _folder: Path) -> list[str]:
    calls = ",".join(" ".join(CALLS.values()).split())
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={calls}", "-o", str(log), *workload]


def _bpftrace(workload: Sequence[str], log: Path, folder: Path) -> list[str]:
    """In a mount namespace of its own, with the file system that has the tracepoints' numbers."""
    script = folder / "peer.bt"
    script.write_text("\n".join(_probes()))
    start = 'mount -t tracefs tracefs /sys/kernel/tracing && exec bpftrace -q -o "$1" -c "$2" "$3"'
    return ["unshare", "--mount", "sh", "-c", start, "sh", str(log), " ".join(workload), str(script)]


def _probes() -> Iterator[str]:
    yield "BEGIN { @in[cpid] = 1; }"
    yield (
        "tracepoint:sched:sched_process_fork /@in[pid]/ "
        '{ @in[args->child_pid] = 1; printf("fork %d %d\\n", pid, args->child_pid); }'
    )
    yield 'tracepoint:sched:sched_process_exit /@in[tid]/ { printf("exit %d\\n", tid); delete(@in[tid]); }'
    for argument, calls in CALLS.items():
        probes = ",".join(f"tracepoint:syscalls:sys_enter_{call}" for call in calls.split())
        value = f"args->{argument}" if argument == "fd" else f"str(args->{argument})"
        shown = "%d %d" if argument == "fd" else "%d %s"
        yield f'{probes} /@in[pid]/ {{ printf("%s {shown}\\n", probe, pid, {value}); }}'
