"""A session's source on the running kernel, whichever loader put the probes there."""

from __future__ import annotations

import mmap
import os
import select
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tracer.capture import called
from tracer.capture.guard import Guard, Loaded, Table
from tracer.capture.ring import Ring
from tracer.capture.source import Drained, ReadOf, ScopeCgroup, Source, Wanted
from tracer.errors import CaptureError, RubiconError, TargetError
from tracer.records import Kind

_BULK_KINDS = frozenset({*range(Kind.OPEN, Kind.CHOWN + 1), Kind.FLOW})
_BULK_LOSSES = frozenset({"RB_LOST_FILE"})
_V1_CGROUP = 1 << 63  # V1_CGROUP in scope.h
_MEMBER = struct.Struct("=QI4xQ8x")  # struct member in scope.h: start, scope, look
_ENTERED = ("mnt", "pid", "net")  # namespaces by which who enters a container is known
_CONTAINER_NAME_BYTES = 64  # CONTAINER_NAME_LEN in container.bpf.c
_READ_NAME_BYTES = 64  # READ_NAME_LEN in file.bpf.c, with a NUL at the end
_PASSES_MAX = 64  # over all processes until nobody joins; each pass reaches at least a generation further


class LoadedMap(Table, Protocol):
    @property
    def max_entries(self) -> int: ...

    def delete(self, key: bytes) -> None: ...

    def items(self, key_size: int, value_size: int) -> dict[bytes, bytes]: ...


class Probes(Loaded, Protocol):
    """The programs and maps in the kernel, attached but for those that refuse.

    cpus    that can be there
    abi     the layout of the records
    losses  the names of the loss counters and their places
    """

    cpus: int
    abi: Mapping[str, Any]
    losses: Mapping[str, int]

    def map(self, name: str) -> LoadedMap: ...

    def set_variable(self, name: str, value: bytes) -> None: ...

    def look(self, program: str) -> int:
        """One pass of snapshot or look_at_files over all processes; how many it found."""
        ...

    def run(self, program: str) -> None: ...

    def ids(self) -> dict[str, list[int]]: ...

    def detach(self) -> None: ...

    def close(self) -> None: ...


class ProbeSource(Source):
    """See `Source`. `probes` is closed with it.

    guarding    what refuses, or kills at the act, is loaded, too; `cgroups` is where version 2 is mounted
    """

    tier = "B"
    unseen: tuple[str, ...] = ()

    def __init__(self, probes: Probes, *, guarding: bool = False, cgroups: Path | None = None) -> None:
        self.probes = probes
        self.guard = None
        self._rings: tuple[Ring, ...] = ()
        self._losses_map: mmap.mmap | None = None
        self._look = 0  # counts the attaches
        self._globs = 0
        self._look_lock = threading.Lock()
        self._variables_lock = threading.Lock()
        self._poll = select.epoll()
        try:
            self._open_maps()
            self.engine = self._identity()
            if guarding:
                self.guard = Guard(probes, cgroups, self._write_variable)
        except BaseException:
            self.close()
            raise

    @property
    def abi(self) -> Mapping[str, Any]:
        return self.probes.abi

    def _identity(self) -> dict[str, Any]:
        """Of this process, whatever its pid namespace calls it, and of the probes, as the kernel has them."""
        start_ns, pid = struct.unpack_from("<QI", self.probes.variable("engine"))
        return {"pid": pid, "start_ns": start_ns, "bpf": self.probes.ids()}

    def _open_maps(self) -> None:
        maps = [self.probes.map(name) for name in ("critical", "bulk")]
        self._rings = tuple(Ring(each.fd, each.max_entries) for each in maps)
        for ring in self._rings:
            self._poll.register(ring.fd, select.EPOLLIN)
        self._loss_names = {place: name for name, place in self.probes.losses.items()}
        self._loss_count = self.probes.losses["RB_LOSS_COUNT"]
        size = self.probes.cpus * self._loss_count * 8
        self._losses_map = mmap.mmap(self.probes.map("losses").fd, size, mmap.MAP_SHARED, mmap.PROT_READ)

    # Targets

    def add_process(self, wanted: Wanted, scope: int) -> int:
        with self._look_round():
            pid_ns = os.stat("/proc/self/ns/pid").st_ino
            self._write_variable("wanted", struct.pack("<IIII", wanted.pid, pid_ns, scope, wanted.silent))
            joined = self._snapshot()
            self._write_variable("wanted", bytes(16))
            if not wanted.silent:
                self._look_at_files()
        return joined

    def add_cgroup(self, cgroup_id: int, scope: int, version: int = 2) -> int:
        if version == 1:
            self._write_variable("has_v1_scopes", b"\1")
            cgroup_id |= _V1_CGROUP
        with self._look_round():
            self.probes.map("scope_cgroups").update(struct.pack("<Q", cgroup_id), struct.pack("<I", scope))
            self._write_variable("has_cgroup_scopes", b"\1")
            joined = self._snapshot()
            self._look_at_files()
        return joined

    def add_name(self, pattern: str, scope: int) -> int:
        with self._look_round():
            globs = self.probes.map("globs")
            if self._globs == globs.max_entries:
                raise TargetError(f"more than {globs.max_entries} names cannot be watched at once")
            globs.update(struct.pack("<I", self._globs), called.tables(pattern, scope))
            self._globs += 1
            self._write_variable("glob_count", struct.pack("<I", self._globs))
            joined = self._snapshot()
            self._look_at_files()
        return joined

    def hold_namespaces(self, pid: int, scope: int) -> None:
        shared = {0, *(_namespace(each, kind) for each in ("self", "1") for kind in _ENTERED)}
        for inode in {_namespace(str(pid), kind) for kind in _ENTERED} - shared:
            holder = struct.pack("<II", pid, scope)
            self.probes.map("scope_namespaces").update(struct.pack("<I", inode), holder)
            self._write_variable("has_namespaces", b"\1")

    @contextmanager
    def _look_round(self) -> Iterator[None]:
        """One at a time: whoever joins meanwhile, and their children, are those whose files are looked at."""
        with self._look_lock:
            self._look += 1
            self._write_variable("look_now", struct.pack("<Q", self._look))
            yield

    def _look_at_files(self) -> None:
        """Report what those who joined have open, until there is nothing more that was not reported."""
        self.probes.run("sweep")  # what it leaves are files that are open
        for _ in range(_PASSES_MAX):
            if not self.probes.look("look_at_files"):
                return

    def mark_container(self, scope: int) -> None:
        self.probes.map("container_scopes").update(struct.pack("<I", scope), b"\1")

    def await_container(self, name: str, scope: int) -> None:
        self.probes.map("awaited").update(_container_name(name), struct.pack("<I", scope))
        self._write_variable("has_cgroup_scopes", b"\1")
        self._write_variable("awaits_some", b"\1")

    def await_all_containers(self) -> None:
        self._write_variable("has_cgroup_scopes", b"\1")
        self._write_variable("awaits_all", b"\1")

    def tell_reads(self, names: Mapping[str, ReadOf]) -> None:
        table = self.probes.map("read_names")
        if len(names) > table.max_entries:
            raise CaptureError(
                f"rules ask for reads of {len(names)} names: more than {table.max_entries} are not followed"
            )
        for name, what in names.items():
            table.update(_read_name(name), struct.pack("<I", what))
        self._write_variable("asks_for_reads", b"\1" if names else b"\0")

    def forget_container(self, name: str) -> None:
        self.probes.map("awaited").delete(_container_name(name))

    def _write_variable(self, name: str, value: bytes) -> None:
        with self._variables_lock:
            self.probes.set_variable(name, value)

    def _snapshot(self) -> int:
        """Pass over all processes until nobody joins any more."""
        joined = 0
        for _ in range(_PASSES_MAX):
            new = self.probes.look("snapshot")
            if not new:
                return joined
            joined += new
        raise CaptureError(f"processes were still joining after {_PASSES_MAX} passes over all of them")

    # Records

    def wait(self, timeout_seconds: float) -> bool:
        return bool(self._poll.poll(timeout_seconds))

    def drain(self) -> Drained:
        """Bulk first: whatever led to a bulk record is then in the critical records drained with it."""
        critical_ring, bulk_ring = self._rings
        bulk = bulk_ring.take()
        critical = critical_ring.take()
        lost_critical, lost_bulk = self._lost_by_ring()
        return Drained(critical, bulk, lost_critical, lost_bulk)

    def sweep(self) -> None:
        self.probes.run("sweep")
        self.probes.run("sweep_requests")

    def members(self) -> dict[int, int]:
        entries = self.probes.map("members").items(4, _MEMBER.size)
        return {int.from_bytes(key, "little"): _MEMBER.unpack(value)[1] for key, value in entries.items()}

    def scope_cgroups(self) -> dict[ScopeCgroup, int]:
        entries = self.probes.map("scope_cgroups").items(8, 4)
        return {_scope_cgroup(key): int.from_bytes(value, "little") for key, value in entries.items()}

    def losses(self) -> dict[str, int]:
        counts = self._loss_counts()
        return {self._loss_names[place]: count for place, count in enumerate(counts) if count}

    def _loss_counts(self) -> list[int]:
        """Summed over CPUs, by place."""
        assert self._losses_map is not None
        each = memoryview(self._losses_map[:]).cast("Q")
        step = self._loss_count
        return [sum(each[place::step]) for place in range(step)]

    def _lost_by_ring(self) -> tuple[int, int]:
        critical = bulk = 0
        for place, count in enumerate(self._loss_counts()):
            if place in _BULK_KINDS or self._loss_names.get(place) in _BULK_LOSSES:
                bulk += count
            else:
                critical += count
        return critical, bulk

    def detach(self) -> None:
        """Record nothing more; what is in the rings can still be drained."""
        self.probes.detach()

    def close(self) -> None:
        for ring in self._rings:
            ring.close()
        self._rings = ()
        if self._losses_map is not None:
            self._losses_map.close()
            self._losses_map = None
        self._poll.close()
        with suppress(RubiconError):
            self.probes.close()


def _scope_cgroup(key: bytes) -> ScopeCgroup:
    number = int.from_bytes(key, "little")
    return ScopeCgroup(number & ~_V1_CGROUP, 1 if number & _V1_CGROUP else 2)


def _namespace(pid: str, kind: str) -> int:
    """Its inode number, 0 when the process is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except OSError:
        return 0


def _container_name(name: str) -> bytes:
    return os.fsencode(name)[:_CONTAINER_NAME_BYTES].ljust(_CONTAINER_NAME_BYTES, b"\0")


def _read_name(name: str) -> bytes:
    return os.fsencode(name)[: _READ_NAME_BYTES - 1].ljust(_READ_NAME_BYTES, b"\0")
