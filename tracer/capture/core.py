"""The probes on the running kernel, loaded by libbpf (CO-RE): no compiler and no kernel headers needed."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from tracer.capture import guard
from tracer.capture.btf import Btf
from tracer.capture.layout import layout_of, losses_of
from tracer.capture.libbpf import Map, Object
from tracer.capture.probes import Probes, ProbeSource
from tracer.capture.trials import try_inner, try_lsm
from tracer.errors import KernelError

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
    "on_close": "locks_remove_posix",
    "on_credentials": "commit_creds",
    "on_exec_open": "do_open_execat",
    "on_connect": "security_socket_connect",
}
OUTER_PROGRAM = "on_sys_enter"  # what those stand in for: tier B
# What cannot be seen on any kernel, and what would open it; `rubicon doctor` and the trace say so.
UNSEEN = {
    "how much is written through a shared mapping; that there is one is seen": "nothing: it takes no call",
    "what io_uring sends from buffers the kernel picks, DNS answers there": "reading its rings of buffers",
    "names asked for over TLS or HTTPS": "nothing: they are encrypted",
    "an open or a connect under way at the very moment of an attach, told twice or not": (
        "rubicon run, which starts what it watches"
    ),
}

UNSEEN_WITHOUT_RECEIVED = {
    "DNS answers that are read by read(2)": "Linux 6.3 or newer with BTF, which tells what a socket received",
}

UNSEEN_FROM_OUTSIDE = {
    "the name that is acted on when another thread rewrites it; the event says evidence: user": (
        "tier A: a kernel that takes fentry and fexit programs"
    ),
}


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


def unseen(tier: str, programs: Collection[str]) -> tuple[str, ...]:
    """What goes unseen with the programs that are attached."""
    from_outside = UNSEEN_FROM_OUTSIDE if tier == "B" else {}
    without_received = {} if "on_received" in programs else UNSEEN_WITHOUT_RECEIVED
    return (*UNSEEN, *from_outside, *without_received)


class CoreProbes(Probes):
    """See `probes.Probes`. Raises KernelError or PrivilegeError when the probes cannot be loaded."""

    def __init__(
        self,
        path: Path,
        kernel_btf: Path | None,
        ring_bytes: tuple[int, int] | None,
        tier: str,
        *,
        guarding: bool,
    ) -> None:
        self.hooks: list[str] = []
        self.no_hooks = "the probes were loaded without what refuses"
        self._hooks_refused = ""

        def start(tier: str, *, listen: bool) -> None:
            self._object = Object(path, kernel_btf)
            try:
                self._load(kernel_btf or KERNEL_BTF, ring_bytes, tier, guarding=guarding, listen=listen)
            except BaseException:
                self.close()
                raise

        try:
            start(tier, listen=False)
        except KernelError:
            # Once more: on the tier that asks least, and to hear why.
            try:
                start(tier or "B", listen=True)
            except KernelError as error:
                if not self.hooks:
                    raise
                self._hooks_refused = str(error)  # perhaps it is these
                start(tier or "B", listen=True)

    def _load(
        self,
        kernel_btf: Path,
        ring_bytes: tuple[int, int] | None,
        tier: str,
        *,
        guarding: bool,
        listen: bool,
    ) -> None:
        names = kernel_btf.read_bytes() if kernel_btf.exists() else b""
        check_floor(names)
        self.tier = tier or best_tier(names)
        self.cpus = self._object.possible_cpus
        self._object.map("losses").resize(self.cpus)
        self._object.map("scratches").resize((2 if self.tier == "A" or guarding else 1) * self.cpus + 1)
        if ring_bytes:
            for name, size in zip(("critical", "bulk"), ring_bytes, strict=True):
                self._object.map(name).resize(size)
        btf = Btf(self._object.btf())
        self.abi = layout_of(btf)
        self.losses = losses_of(btf)
        self._variables = btf.variables(".bss")
        self._set_constant(btf, "user_slot", self.cpus)
        self._set_constant(btf, "has_hooks_inside", self.tier == "A")
        programs = [*self._choose_by_tier(), *self._choose_optional(names)]
        self.unseen = unseen(self.tier, programs)
        self._choose_guards(names, guarding=guarding)
        self._object.load(listen=listen)
        self._object.run("introduce")
        self._bss = self._object.map(".bss")
        self._bss_bytes = bytearray(self._bss.value(bytes(4), len(self._bss.memory())))
        for program in programs:
            self._object.attach(program)

    def _choose_by_tier(self) -> list[str]:
        """Those of tier A to be attached first: who sees a call end has then seen it from the inside."""
        wanted = [*INNER_PROGRAMS, *PROGRAMS] if self.tier == "A" else [*PROGRAMS, OUTER_PROGRAM]
        for program in (*INNER_PROGRAMS, OUTER_PROGRAM):
            if program not in wanted:
                self._object.leave_out(program)
        return wanted

    def _choose_guards(self, names: bytes, *, guarding: bool) -> None:
        """What can refuse, if that is wanted, as far as this kernel takes it."""
        if guarding:
            self._object.map("path_cells").resize(guard.CELL_ELEMENTS)
            self.hooks, self.no_hooks = guard.choose_hooks(
                lambda name: is_named(names, name), lambda: self._hooks_refused or try_lsm().why
            )
        unwanted = {*guard.HOOKS} - {*self.hooks} | ({*guard.PROGRAMS} if not guarding else set())
        for program in unwanted:
            self._object.leave_out(program)

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

    def map(self, name: str) -> Map:
        return self._object.map(name)

    def variable(self, name: str) -> bytes:
        offset, size = self._variables[name]
        return self._bss.value(bytes(4), len(self._bss_bytes))[offset : offset + size]

    def set_variable(self, name: str, value: bytes) -> None:
        offset, size = self._variables[name]
        if size != len(value):
            raise KernelError(f"the variable {name} of the probes has another size; build them again")
        self._bss_bytes[offset : offset + size] = value
        self._bss.update(bytes(4), bytes(self._bss_bytes))

    def look(self, program: str) -> int:
        return len(self._object.iterate(program))

    def run(self, program: str) -> None:
        self._object.run(program)

    def attach(self, program: str) -> None:
        self._object.attach(program)

    def attach_cgroup(self, program: str, descriptor: int) -> None:
        self._object.attach_cgroup(program, descriptor)

    def ids(self) -> dict[str, list[int]]:
        return self._object.ids()

    def detach(self) -> None:
        self._object.detach()

    def close(self) -> None:
        self._object.close()


class CoreSource(ProbeSource):
    """See `Source`. Raises KernelError or PrivilegeError when the probes cannot be loaded.

    kernel_btf      type information of the kernel, when it is not the kernel's own
    ring_bytes      sizes of the critical and the bulk ring; powers of two, at least a page
    guarding        also load what refuses, or kills at the act; `cgroups` is where version 2 is mounted
    tier            "A" or "B"; by default the best that this kernel takes
    """

    loader = "core"

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
        probes = CoreProbes(path, kernel_btf, ring_bytes, tier, guarding=guarding)
        self.tier = probes.tier
        self.unseen = probes.unseen
        super().__init__(probes, guarding=guarding, cgroups=cgroups)
