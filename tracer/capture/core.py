"""The probes on the running kernel, loaded by libbpf (CO-RE): no compiler and no kernel headers needed."""

from __future__ import annotations

import mmap
import os
import select
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tracer.capture import guard
from tracer.capture.btf import Btf
from tracer.capture.guard import Guard
from tracer.capture.layout import layout_of, losses_of
from tracer.capture.libbpf import Object
from tracer.capture.ring import Ring
from tracer.capture.source import Drained, Wanted
from tracer.capture.trials import try_inner
from tracer.errors import CaptureError, KernelError, RubiconError
from tracer.records import Kind

OBJECT = Path(__file__).resolve().parents[2] / "probes" / "build" / "rubicon.bpf.o"

KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")
PROGRAMS = (
    "on_fork",
    "on_exec",
    "on_exit",
    "on_cgroup_attach",
    "on_cgroup_mkdir",
    "on_cgroup_rmdir",
    "on_tcp_state",
    "on_signal",
    "on_sys_enter",
    "on_sys_exit",
)
# Programs for tracepoints that not every kernel has, and the names those go by, the newest first.
OPTIONAL_PROGRAMS = {
    "on_uring_submit": ("io_uring_submit_req", "io_uring_submit_sqe"),
    "on_uring_complete": ("io_uring_complete",),
    "on_received": ("sock_recv_length",),
}
# Hooks inside the calls, and the kernel functions they are on: tier A.
INNER_PROGRAMS = {
    "on_path_rename": "security_path_rename",
    "on_path_unlink": "security_path_unlink",
    "on_path_link": "security_path_link",
    "on_path_symlink": "security_path_symlink",
    "on_path_mkdir": "security_path_mkdir",
    "on_path_rmdir": "security_path_rmdir",
    "on_path_mknod": "security_path_mknod",
    "on_path_truncate": "security_path_truncate",
    "on_path_chmod": "security_path_chmod",
    "on_path_chown": "security_path_chown",
    "on_open_failed": "do_filp_open",
}
# What cannot be seen on any kernel, and what would open it; `rubicon doctor` and the trace say so.
UNSEEN = {
    "how much is written through a shared mapping; that there is one is seen": "nothing: it takes no call",
    "what io_uring sends from buffers the kernel picks, DNS answers there": "reading its rings of buffers",
    "names asked for over TLS or HTTPS": "nothing: they are encrypted",
}

UNSEEN_WITHOUT_RECEIVED = {
    "DNS answers that are read by read(2)": "Linux 6.3 or newer, which tells what a socket received",
}

UNSEEN_FROM_OUTSIDE = {
    "the name that is acted on when another thread rewrites it; the event says evidence: user": (
        "tier A: a kernel that takes fentry and fexit programs"
    ),
}

_BULK_KINDS = frozenset({*range(Kind.OPEN, Kind.CHOWN + 1), Kind.FLOW})
_BULK_LOSSES = frozenset({"RB_LOST_FILE"})
_V1_CGROUP = 1 << 63  # V1_CGROUP in scope.h
_CONTAINER_NAME_BYTES = 64  # CONTAINER_NAME_LEN in container.bpf.c
_PASSES_MAX = 64  # over all processes until nobody joins; each pass reaches at least a generation further


def is_named(names: bytes, name: str) -> bool:
    """Whether the kernel's type information has something of that name."""
    return b"\0" + name.encode() + b"\0" in names


def check_floor(names: bytes) -> None:
    """Raises KernelError for a kernel without the newest thing that the probes cannot do without."""
    if names and not is_named(names, "BPF_FUNC_loop"):
        raise KernelError(
            f"kernel {os.uname().release} is too old for the probes: they need Linux 5.17 or newer (bpf_loop)"
        )


def best_tier(names: bytes) -> str:
    """A where the kernel has all the functions that tier A hooks, and lets itself be hooked there."""
    has_functions = all(is_named(names, each) for each in INNER_PROGRAMS.values())
    return "A" if has_functions and try_inner().yes else "B"


class CoreSource:
    """See `Source`. Raises KernelError or PrivilegeError when the probes cannot be loaded.

    kernel_btf      type information of the kernel, when it is not the kernel's own
    ring_bytes      sizes of the critical and the bulk ring; powers of two, at least a page
    guarding        also load what can refuse connections; `cgroups` is where version 2 is mounted
    tier            "A" or "B"; by default the best that this kernel takes
    """

    abi: Mapping[str, Any]
    engine: Mapping[str, Any]
    loader: str = "core"
    tier: str
    unseen: tuple[str, ...]

    def __init__(
        self,
        path: Path = OBJECT,
        *,
        kernel_btf: Path | None = None,
        ring_bytes: tuple[int, int] | None = None,
        guarding: bool = False,
        cgroups: Path | None = None,
        tier: str = "",
    ) -> None:
        self.guard: Guard | None = None
        self._object = Object(path, kernel_btf)
        self._rings: tuple[Ring, ...] = ()
        self._losses_map: mmap.mmap | None = None
        self._look = 0  # counts the attaches
        self._look_lock = threading.Lock()
        self._poll = select.epoll()
        try:
            self._load(kernel_btf or KERNEL_BTF, ring_bytes, tier, guarding=guarding)
            if guarding:
                self.guard = Guard(self._object, cgroups, self._write_variable)
        except BaseException:
            self.close()
            raise

    def _load(
        self, kernel_btf: Path, ring_bytes: tuple[int, int] | None, tier: str, *, guarding: bool
    ) -> None:
        names = kernel_btf.read_bytes() if kernel_btf.exists() else b""
        check_floor(names)
        self.tier = tier or best_tier(names)
        self.unseen = (*UNSEEN, *(UNSEEN_FROM_OUTSIDE if self.tier == "B" else ()))
        self._cpus = self._object.possible_cpus
        self._object.map("losses").resize(self._cpus)
        self._object.map("scratches").resize((2 if self.tier == "A" else 1) * self._cpus + 1)
        if ring_bytes:
            for name, size in zip(("critical", "bulk"), ring_bytes, strict=True):
                self._object.map(name).resize(size)
        btf = Btf(self._object.btf())
        self.abi = layout_of(btf)
        self._loss_names = {place: name for name, place in losses_of(btf).items()}
        self._variables = btf.variables(".bss")
        self._set_constant(btf, "user_slot", self._cpus)
        self._set_constant(btf, "has_hooks_inside", self.tier == "A")
        programs = [*self._choose_inner(), *PROGRAMS, *self._choose_optional(names)]
        if "on_received" not in programs:
            self.unseen = (*self.unseen, *UNSEEN_WITHOUT_RECEIVED)
        for program in () if guarding else guard.PROGRAMS:
            self._object.leave_out(program)
        self._object.load()
        self._object.run("introduce")
        self._open_maps()
        for program in programs:
            self._object.attach(program)
        self.engine = self._identity()

    def _identity(self) -> dict[str, Any]:
        """Of this process, whatever its pid namespace calls it, and of the probes, as the kernel has them."""
        offset, size = self._variables["engine"]
        start_ns, pid = struct.unpack_from("<QI", self._bss_bytes[offset : offset + size])
        return {"pid": pid, "start_ns": start_ns, "bpf": self._object.ids()}

    def _choose_inner(self) -> list[str]:
        """Those of tier A, to be attached first: who sees a call end has then seen it from the inside."""
        if self.tier == "A":
            return list(INNER_PROGRAMS)
        for program in INNER_PROGRAMS:
            self._object.leave_out(program)
        return []

    def _choose_optional(self, names: bytes) -> list[str]:
        """The optional programs this kernel has a place for: each tracepoint has a type in its BTF."""
        chosen = []
        for program, tracepoints in OPTIONAL_PROGRAMS.items():
            found = [each for each in tracepoints if is_named(names, f"btf_trace_{each}")]
            if not found:
                self._object.leave_out(program)
                continue
            if found[0] != tracepoints[0]:
                self._object.aim(program, found[0])
            chosen.append(program)
        return chosen

    def _set_constant(self, btf: Btf, name: str, value: int) -> None:
        offset, size = btf.variables(".rodata")[name]
        self._object.map(".rodata").memory()[offset : offset + size] = value.to_bytes(size, "little")

    def _open_maps(self) -> None:
        maps = [self._object.map(name) for name in ("critical", "bulk")]
        self._rings = tuple(Ring(each.fd, each.max_entries) for each in maps)
        for ring in self._rings:
            self._poll.register(ring.fd, select.EPOLLIN)
        self._members = self._object.map("members")
        self._cgroups = self._object.map("scope_cgroups")
        self._awaited = self._object.map("awaited")
        self._variables_lock = threading.Lock()
        self._bss = self._object.map(".bss")
        self._bss_bytes = bytearray(self._bss.value(bytes(4), len(self._bss.memory())))
        self._loss_count = self._loss_count_of()
        size = self._cpus * self._loss_count * 8
        self._losses_map = mmap.mmap(self._object.map("losses").fd, size, mmap.MAP_SHARED, mmap.PROT_READ)

    def _loss_count_of(self) -> int:
        counts = [place for place, name in self._loss_names.items() if name == "RB_LOSS_COUNT"]
        if not counts:
            raise KernelError("the probes do not say how many loss counters they have; build them again")
        return counts[0]

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
            self._cgroups.update(struct.pack("<Q", cgroup_id), struct.pack("<I", scope))
            self._write_variable("has_cgroup_scopes", b"\1")
            joined = self._snapshot()
            self._look_at_files()
        return joined

    @contextmanager
    def _look_round(self) -> Iterator[None]:
        """One at a time: whoever joins meanwhile, and their children, are those whose files are looked at."""
        with self._look_lock:
            self._look += 1
            self._write_variable("look_now", struct.pack("<Q", self._look))
            yield

    def _look_at_files(self) -> None:
        """Report what those who joined have open, until there is nothing more that was not reported."""
        self._object.run("sweep")  # what it leaves are files that are open
        for _ in range(_PASSES_MAX):
            if not self._object.iterate("look_at_files"):
                return

    def await_container(self, name: str, scope: int) -> None:
        self._awaited.update(_container_name(name), struct.pack("<I", scope))
        self._write_variable("has_cgroup_scopes", b"\1")
        self._write_variable("awaits_some", b"\1")

    def await_all_containers(self) -> None:
        self._write_variable("has_cgroup_scopes", b"\1")
        self._write_variable("awaits_all", b"\1")

    def forget_container(self, name: str) -> None:
        self._awaited.delete(_container_name(name))

    def _write_variable(self, name: str, value: bytes) -> None:
        with self._variables_lock:
            self._write_locked(name, value)

    def _write_locked(self, name: str, value: bytes) -> None:
        offset, size = self._variables[name]
        if size != len(value):
            raise KernelError(f"the variable {name} of the probes has another size; build them again")
        self._bss_bytes[offset : offset + size] = value
        self._bss.update(bytes(4), bytes(self._bss_bytes))

    def _snapshot(self) -> int:
        """Pass over all processes until nobody joins any more."""
        joined = 0
        for _ in range(_PASSES_MAX):
            new = len(self._object.iterate("snapshot"))
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
        self._object.run("sweep")
        self._object.run("sweep_requests")

    def members(self) -> Iterable[int]:
        return [int.from_bytes(key, "little") for key in self._members.keys(4)]

    def scope_cgroups(self) -> list[int]:
        """The ids of the cgroups that are scopes now."""
        return [int.from_bytes(key, "little") & ~_V1_CGROUP for key in self._cgroups.keys(8)]

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
        self._object.detach()

    def close(self) -> None:
        for ring in self._rings:
            ring.close()
        self._rings = ()
        if self._losses_map is not None:
            self._losses_map.close()
            self._losses_map = None
        self._poll.close()
        with suppress(RubiconError):
            self._object.close()


def _container_name(name: str) -> bytes:
    return os.fsencode(name)[:_CONTAINER_NAME_BYTES].ljust(_CONTAINER_NAME_BYTES, b"\0")
