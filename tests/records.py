"""Kernel records as the decoder makes them, with plain values where a test does not care."""

from __future__ import annotations

import socket
from typing import Any, TypeVar

from tracer.records import (
    Act,
    BoundaryRecord,
    CgroupRecord,
    CloseRecord,
    ConnectRecord,
    Credentials,
    ExecFailedRecord,
    ExecRecord,
    ExitRecord,
    FileId,
    FlowRecord,
    ForkRecord,
    Kind,
    OpenRecord,
    PathRecord,
    PayloadRecord,
    Peer,
    Record,
    Target,
)

BOOT_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND_NS = 1_000_000_000
NO_FILE = FileId(0, 0)
SESSION = {"type": "session", "id": "s1", "boot_offset_ns": BOOT_NS}

R = TypeVar("R", bound=Record)


def _head(kind: Kind, pid: int, time_ns: int, start_ns: int | None) -> dict[str, Any]:
    """A process that starts at its pid's own second, if nothing else is said."""
    return {
        "time_ns": time_ns,
        "start_ns": pid * SECOND_NS if start_ns is None else start_ns,
        "pid": pid,
        "tid": pid,
        "kind": int(kind),
        "flags": 0,
        "scope": 1,
        "result": 0,
        "cut_bytes": 0,
    }


def _made(record: type[R], facts: dict[str, Any], changes: dict[str, Any]) -> R:
    return record(**(facts | changes))


def peer(
    ip: str = "",
    port: int = 0,
    *,
    source: str = "",
    sport: int = 0,
    protocol: int = 6,
    family: int | None = None,
) -> Peer:
    kind = socket.AF_INET6 if ":" in ip else socket.AF_INET
    ends = [socket.inet_pton(kind, end).ljust(16, b"\0") if end else bytes(16) for end in (ip, source)]
    number = int(kind) if ip else 0
    return Peer(ends[0], ends[1], port, sport, number if family is None else family, protocol)


def fork(
    pid: int,
    parent: int,
    time_ns: int = 0,
    *,
    parent_start_ns: int | None = None,
    start_ns: int | None = None,
    **changes: Any,
) -> ForkRecord:
    facts = _head(Kind.FORK, pid, time_ns, start_ns) | {
        "parent_start_ns": parent * SECOND_NS if parent_start_ns is None else parent_start_ns,
        "cgroup": 77,
        "parent_pid": parent,
        "ns_pid": pid - 90,
    }
    return _made(ForkRecord, facts, changes)


def execve(
    pid: int,
    path: str,
    time_ns: int = 0,
    *args: str,
    kind: Kind = Kind.EXEC,
    start_ns: int | None = None,
    **changes: Any,
) -> ExecRecord:
    facts = _head(kind, pid, time_ns, start_ns) | {
        "parent_start_ns": SECOND_NS,
        "cgroup": 77,
        "inode": 131,
        "device": 8,
        "parent_pid": 1,
        "ns_pid": pid - 90,
        "old_tid": 0,
        "uid": 1000,
        "gid": 1000,
        "euid": 1000,
        "egid": 1000,
        "ns_mnt": 1,
        "ns_net": 1,
        "ns_pidns": 1,
        "ns_user": 1,
        "args_total": 0,
        "stdio": bytes([4, 2, 1, 0]),
        "stdin_peer": peer(),
        **dict.fromkeys(("stdin_file", "stdout_file", "stderr_file"), NO_FILE),
        "comm": path.rpartition("/")[2].encode()[:15].ljust(16, b"\0"),
        "path": path,
        "name": path,
        "cwd": "/work",
        "env": (),
        "args": args or (path,),
    }
    return _made(ExecRecord, facts, changes)


def snapshot(pid: int, path: str, time_ns: int = 0, **changes: Any) -> ExecRecord:
    """As the probes make it: without arguments, name and streams."""
    return execve(
        pid, path, time_ns, kind=Kind.PROCESS, **({"args": (), "name": "", "stdio": bytes(4)} | changes)
    )


def exec_failed(pid: int, name: str, time_ns: int = 0, **changes: Any) -> ExecFailedRecord:
    facts = _head(Kind.EXEC_FAILED, pid, time_ns, None) | {
        "flags": 1,
        "result": -2,
        "args_total": 0,
        "path": "/work",
        "name": name,
        "args": (name,),
    }
    return _made(ExecFailedRecord, facts, changes)


def leave(
    pid: int, time_ns: int = 0, *, status: int = 0, start_ns: int | None = None, **changes: Any
) -> ExitRecord:
    return _made(ExitRecord, _head(Kind.EXIT, pid, time_ns, start_ns) | {"status": status}, changes)


def connect(
    pid: int, to: Peer, time_ns: int = 0, *, kind: Kind = Kind.CONNECT, **changes: Any
) -> ConnectRecord:
    facts = _head(kind, pid, time_ns, None) | {"peer": to, "type": 1, "path": "/", "name": ""}
    return _made(ConnectRecord, facts, changes)


def payload(
    kind: Kind, pid: int, to: Peer, data: bytes = b"", time_ns: int = 0, **changes: Any
) -> PayloadRecord:
    facts = _head(kind, pid, time_ns, None) | {
        "flags": 1,
        "result": len(data),
        "peer": to,
        "inode": 900,
        "offset": 0,
        "type": 2 if to.protocol == 17 else 1,
        "ingress": 0,
        "received": 0,
        "name": "",
        "data": data,
    }
    return _made(PayloadRecord, facts, changes)


def flow(pid: int, to: Peer, time_ns: int = 0, **changes: Any) -> FlowRecord:
    facts = _head(Kind.FLOW, pid, time_ns, None) | {
        "peer": to,
        "inode": 900,
        "duration_ns": 2 * SECOND_NS,
        "bytes_in": 7000,
        "bytes_out": 300,
        "packets_in": 0,
        "packets_out": 0,
        "type": 1,
        "ingress": 0,
    }
    return _made(FlowRecord, facts, changes)


def opened(
    pid: int, path: str, time_ns: int = 0, *, start_ns: int | None = None, **changes: Any
) -> OpenRecord:
    facts = _head(Kind.OPEN, pid, time_ns, start_ns) | {
        "result": 3,
        "inode": 7,
        "device": 8,
        "mode": 0o100644,
        "open_flags": 0o1101,
        "created": 1,
        "path": path,
        "name": "",
    }
    return _made(OpenRecord, facts, changes)


def closed(
    pid: int, path: str, time_ns: int = 0, *, start_ns: int | None = None, **changes: Any
) -> CloseRecord:
    facts = _head(Kind.CLOSE, pid, time_ns, start_ns) | {
        "inode": 7,
        "bytes": 100,
        "writes": 3,
        "device": 8,
        "mode": 0o100644,
        "path": path,
    }
    return _made(CloseRecord, facts, changes)


def named(kind: Kind, pid: int, *strings: str, **changes: Any) -> PathRecord:
    """A record of the nine kinds that name files. `strings` are path, name, path2, name2; with a name it is
    user evidence, without one a descriptor named the file."""
    path, name, path2, name2 = (*strings, "", "", "")[:4]
    facts = _head(kind, pid, 0, None) | {
        "flags": 1 if name else 0,
        "value": 0,
        "value2": 0,
        "inode": 0 if name else 7,
        "device": 0 if name else 8,
        "path": path,
        "name": name,
        "path2": path2,
        "name2": name2,
    }
    return _made(PathRecord, facts, changes)


NOBODY = Target(0, 0, 0, bytes(16))
ROOT = Credentials(0x1FF_FFFF_FFFF, 0x1FF_FFFF_FFFF, 0, 0, 0, 0, 0, 0, 0, 0)
ADA = Credentials(0, 0, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000)


def target(pid: int, relation: int, name: str = "sleep") -> Target:
    """`relation`: 1 itself, 2 inside the scope, 3 outside."""
    return Target(pid * SECOND_NS, pid, relation, name.encode().ljust(16, b"\0"))


def boundary(act: Act, pid: int, *values: int, time_ns: int = 0, **changes: Any) -> BoundaryRecord:
    facts = _head(Kind.BOUNDARY, pid, time_ns, None) | {
        **{f"value{place + 1}": (*values, 0, 0, 0, 0)[place] for place in range(4)},
        "target": NOBODY,
        "old": ADA,
        "new": ADA,
        "act": int(act),
        "user_ns_level": 0,
        "path": "/",
        "name": "",
        "path2": "/",
        "name2": "",
        "name3": "",
    }
    return _made(BoundaryRecord, facts, changes)


def made_cgroup(scope: int, path: str, **changes: Any) -> CgroupRecord:
    head = _head(Kind.CGROUP, 1, 1, None) | {"scope": scope}
    return _made(CgroupRecord, head | {"cgroup": 77, "version": 2, "name": path}, changes)
