"""What there is to know of a container, whichever runtime has it, and where it is among the cgroups."""

from __future__ import annotations

import ctypes
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracer.cgroup_names import container_in

USERS_MAX = 1_000
PASSWD_MAX_BYTES = 256 * 1024
START_SECONDS_MAX = 1.0
_BUILDERS = (b"runc:[2:INIT]", b"runc:[1:CHILD]", b"runc:[0:PARENT]", b"runc", b"crun")
SHORT_ID = 12  # characters, as runtimes show them
_RESOLVE_IN_ROOT, _OPENAT2 = 0x10, 437  # openat2(2)
_AT_FDCWD = -100


@dataclass(frozen=True, slots=True)
class Container:
    """`pid` is its first process, in our pid namespace; 0 while it does not run. Unknown is ""."""

    id: str
    runtime: str
    name: str = ""
    image: str = ""
    pod: str = ""
    namespace: str = ""
    pid: int = 0
    started: str = ""  # RFC 3339
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)

    def record(self) -> dict[str, Any]:
        """The `container` context record, for the trace."""
        facts = ("id", "runtime", "name", "image", "pod", "namespace")
        return {"type": "container"} | {name: value for name in facts if (value := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Place:
    """A cgroup by its path in a hierarchy: version 2, or of version 1 the one of the pids controller."""

    path: str
    version: int


def place_of(pid: int, container_id: str) -> Place | None:
    """The container's own cgroup, found from one of its processes; None when it has none of its own.

    The process may be in a cgroup further down, which the container made. In version 1, and without a v2
    hierarchy or a cgroup in it, a rootless runtime has no cgroup at all.
    """
    with suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
        return own_place(lines, container_id)
    return None


def paths_of(pid: int) -> list[str]:
    """Of a process, its place in each hierarchy."""
    with suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
        return [line.rstrip("\n").split(":", 2)[2] for line in lines]
    return []


def own_place(lines: Iterable[str], container_id: str) -> Place | None:
    """`lines` are those of /proc/PID/cgroup (cgroups(7))."""
    by_controller = {}
    for line in lines:
        _number, controllers, path = line.rstrip("\n").split(":", 2)
        by_controller[controllers] = path
    for controllers, version in (("", 2), ("pids", 1)):
        path = _down_to(by_controller.get(controllers, ""), container_id)
        if path:
            return Place(path, version)
    return None


def _down_to(path: str, container_id: str) -> str:
    """The beginning of a path, up to the part that has the id in it; "" when none has."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if container_id in part and "conmon" not in part:
            return "/".join(parts[: index + 1])
    return ""


def from_cgroup(path: str) -> Container | None:
    """What the path of a cgroup tells of the container it belongs to, when it is one's."""
    runtime, container_id = container_in(path)
    return Container(container_id, runtime) if container_id else None


def user_records(
    container: Container, passwd: bytes, mapping: Iterable[tuple[int, int, int]] = ()
) -> Iterator[dict[str, Any]]:
    """`user` context records of a container's own passwd(5). `mapping` is as `uid_map` gives it."""
    for number, name in list(_users(passwd))[:USERS_MAX]:
        outside = _outside(number, mapping)
        if outside is not None:
            yield {"type": "user", "container": container.id, "id": outside, "name": name}


def _users(passwd: bytes) -> Iterator[tuple[int, str]]:
    """An account with another's id does not rename it."""
    seen: set[int] = set()
    for line in passwd.splitlines():
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit() and len(fields[2]) < 11 and int(fields[2]) not in seen:
            seen.add(int(fields[2]))
            yield int(fields[2]), os.fsdecode(fields[0])


def _outside(number: int, mapping: Iterable[tuple[int, int, int]]) -> int | None:
    """A user id of the container as the machine counts it; None when the container cannot have it."""
    ranges = list(mapping)
    for inside, outside, count in ranges:
        if inside <= number < inside + count:
            return number - inside + outside
    return None if ranges else number


def uid_map(pid: int) -> list[tuple[int, int, int]]:
    """(first inside, first outside, count) of the user namespace of a process; user_namespaces(7)."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/uid_map") as lines:
        return [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in lines)]
    return []


def read_passwd(pid: int) -> bytes:
    """/etc/passwd as a process sees it; b"" when there is none."""
    return read_passwd_in(f"/proc/{pid}/root")


def read_passwd_in(root: str) -> bytes:
    """What is there was made by whom we watch: links are followed within its root only, and nothing but a
    regular file is read.
    """
    try:
        descriptor = _open_in_root(root, b"etc/passwd")
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.read(descriptor, PASSWD_MAX_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _open_in_root(root: str, name: bytes) -> int:
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0, _RESOLVE_IN_ROOT)
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor: int = libc.syscall(_OPENAT2, folder, name, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "openat2")
        return descriptor
    finally:
        os.close(folder)


def await_first_program(pid: int) -> None:
    """A runtime says that a container runs while its own program still is what runs there, for a moment.

    What that does would be taken for acts of the container.
    """
    deadline = time.monotonic() + START_SECONDS_MAX
    with suppress(OSError):
        while _name(pid) in _BUILDERS and time.monotonic() < deadline:
            time.sleep(0.01)


def _name(pid: int) -> bytes:
    with open(f"/proc/{pid}/comm", "rb") as name:
        return name.read().rstrip()


def short(container_id: str) -> str:
    return container_id[:SHORT_ID] if len(container_id) == 64 else container_id


def process_count(place: Place, folders: Mapping[int, Path]) -> int:
    """How many processes are in a cgroup and below it."""
    root = folders[place.version] / place.path.lstrip("/")
    count = 0
    for folder, _folders, _files in os.walk(root):
        with suppress(OSError), open(f"{folder}/cgroup.procs", "rb") as pids:
            count += len(pids.read().split())
    return count
