"""What this kernel allows the probes, and what they cannot see on it: for `rubicon doctor` and the trace.

`kernel_facts` is cheap, and a part of every trace's session record. `examine` adds what takes a try: it loads
the probes for a moment, with nobody in scope. Neither changes the machine; both say what they could not see.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tracer.capture.core import (
    OBJECT,
    OPTIONAL_PROGRAMS,
    UNSEEN,
    UNSEEN_FROM_OUTSIDE,
    UNSEEN_WITHOUT_RECEIVED,
)
from tracer.capture.kernel_layouts import find_headers, headers_remedy
from tracer.capture.libbpf import Object, library
from tracer.capture.preflight import (
    btf_path,
    check_privileges,
    effective_capabilities,
    in_user_namespace,
    open_source,
)
from tracer.capture.source import Source
from tracer.capture.trials import Answer, try_calls, try_programs
from tracer.errors import KernelError, PrivilegeError, RubiconError

NOT_ALLOWED = "not looked at: needs the privileges to load probes"
# include/uapi/linux/capability.h
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_PERFMON": 38, "CAP_BPF": 39}
_IO_URING_SETUP = 425  # the same number on every machine
# What a program's section says it needs of the kernel, and the name this has in the kernel's BTF.
_BTF_NAMES = {
    "tp_btf": "btf_trace_{}",
    "iter": "bpf_iter_{}",
    "lsm": "bpf_lsm_{}",
    "cgroup": "bpf_sock_addr_kern",  # of a kernel built with CONFIG_CGROUP_BPF
    "cgroup_skb": "bpf_sock_addr_kern",
    "fentry": "{}",
    "fexit": "{}",
    "fmod_ret": "{}",
}
_OPENS = UNSEEN | UNSEEN_FROM_OUTSIDE | UNSEEN_WITHOUT_RECEIVED
_REFUSALS = "refusing programs and changes to files (on_violation: deny)"
_KPROBES = "sys/bus/event_source/devices/kprobe"
_GZIP = 31  # the window bits by which zlib takes a gzip file
_LOCKDOWN = "sys/kernel/security/lockdown"


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """The kernel, and us on it.

    release, machine    as uname(2) says them
    btf, btf_bytes      where the type information is, "" when there is none, and its size
    headers             where the kernel's headers are, "" when there are none
    libbpf              its version, "" when it is not installed
    capabilities        those in force that matter here
    missing, remedy     what is missing to load probes, and the command that gives it; "" when nothing is
    lockdown            none, integrity or confidentiality; "" when it cannot be found out
    mechanisms          io_uring, kprobes
    """

    release: str
    machine: str
    btf: str
    btf_bytes: int
    headers: str
    libbpf: str
    capabilities: tuple[str, ...]
    missing: str
    remedy: str
    lockdown: str
    mechanisms: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Hook:
    """A place in the kernel that a probe wants to be called from."""

    program: str
    hook: str
    yes: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """A way to act that goes unseen, and what would open it to view."""

    route: str
    opens: str


@dataclass(frozen=True, slots=True)
class Examination:
    """All that can be found out.

    loads           whether the probes can be loaded here; `problem` says why not, with the remedy
    loaders         which of them have what they need
    loader, tier    what was chosen, "" when they cannot be loaded
    offsets         what tells where the kernel keeps what: BTF or headers; "" when they cannot be loaded
    programs        the kinds that tier A is made of
    calls           other tables of system calls
    refusals        whether `on_violation: deny` can be done for programs and files
    """

    kernel: KernelFacts
    loads: bool
    problem: str
    loaders: tuple[Answer, ...]
    loader: str
    tier: str
    offsets: str
    hooks: tuple[Hook, ...]
    programs: tuple[Answer, ...]
    calls: tuple[Answer, ...]
    unseen: tuple[Unseen, ...]
    refusals: Answer


def kernel_facts(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> KernelFacts:
    """What can be read in a few milliseconds; `root` is where /proc and /sys are."""
    uname = os.uname()
    btf = btf_path(environment)
    size = btf.stat().st_size if btf.is_file() else 0
    missing = _missing(effective_capabilities())
    return KernelFacts(
        release=uname.release,
        machine=uname.machine,
        btf=str(btf) if size else "",
        btf_bytes=size,
        headers=str(find_headers() or ""),
        libbpf=_libbpf_version(),
        capabilities=_names(effective_capabilities()),
        missing=missing,
        remedy=_remedy() if missing else "",
        lockdown=_lockdown(root),
        mechanisms=(_io_uring(root), _kprobes(root)),
    )


def _open_guarding(loader: str, environment: Mapping[str, str]) -> Source:
    return open_source(loader, environment, guarding=True)


def examine(
    environment: Mapping[str, str] = os.environ,
    opened: Callable[[str, Mapping[str, str]], Source] = open_source,
    guarding: Callable[[str, Mapping[str, str]], Source] = _open_guarding,
) -> Examination:
    """Everything, tries among it. `opened` loads the probes, `guarding` with them what refuses."""
    kernel = kernel_facts(environment)
    problem, loader, tier = "", "", ""
    unseen: tuple[str, ...] = tuple(UNSEEN)
    try:
        source = opened("auto", environment)
        loader, tier, unseen = source.loader, source.tier, source.unseen
        source.close()
    except RubiconError as error:
        problem = str(error)
    programs = _programs(kernel)
    return Examination(
        kernel=kernel,
        loads=not problem,
        problem=problem,
        loaders=loaders(kernel),
        loader=loader,
        tier=tier,
        offsets=("BTF" if kernel.btf else "headers") if loader else "",
        hooks=_hooks(kernel.btf, {each.name: each for each in programs}),
        programs=programs,
        calls=try_calls(kernel.machine),
        unseen=tuple(Unseen(each, _OPENS.get(each, "")) for each in unseen),
        refusals=_refusals(programs, lambda: guarding("auto", environment)),
    )


def _refusals(programs: Iterable[Answer], guarding: Callable[[], Source]) -> Answer:
    """Whether the kernel asks LSM programs; for an instant this process is protected by them."""
    (lsm,) = (each for each in programs if each.name == "lsm")
    if not lsm.yes:
        return replace(lsm, name=_REFUSALS)
    try:
        source = guarding()
        try:
            assert source.guard
            source.guard.protect()
        finally:
            source.close()
    except RubiconError as error:
        return Answer(_REFUSALS, False, str(error))
    return Answer(_REFUSALS, True)


def loaders(kernel: KernelFacts) -> tuple[Answer, ...]:
    """What each loader needs, but for the privileges, which they share."""
    from tracer.capture import compiled  # not for who asks for the facts of the kernel alone

    core = [
        why
        for why, missing in (
            ("libbpf is missing: apt-get install libbpf1", not kernel.libbpf),
            ("no type information (BTF)", not kernel.btf),
            (f"the probes are not built: make -C {OBJECT.parents[1]}", not OBJECT.is_file()),
        )
        if missing
    ]
    bcc = [compiled.why_not()] if compiled.why_not() else []
    if not kernel.btf and not kernel.headers:
        bcc.append(f"no type information (BTF), no headers: {headers_remedy()}")
    return (Answer("core", not core, "; ".join(core)), Answer("bcc", not bcc, "; ".join(bcc)))


def _programs(kernel: KernelFacts) -> tuple[Answer, ...]:
    if kernel.libbpf and not kernel.missing:
        return try_programs()
    why = NOT_ALLOWED if kernel.libbpf else "not looked at: libbpf is missing"
    return tuple(Answer(name, None, why) for name in ("fentry", "fexit", "fmod_ret", "lsm"))


def _missing(capabilities: int) -> str:
    try:
        check_privileges(capabilities)
    except PrivilegeError as error:
        return str(error)
    return ""


def _remedy() -> str:
    command = "sudo rubicon ..." if shutil.which("sudo") else "su -c 'rubicon ...'"
    return f"outside this user namespace: {command}" if in_user_namespace() else command


def _names(capabilities: int) -> tuple[str, ...]:
    return tuple(name for name, bit in _CAPABILITIES.items() if capabilities >> bit & 1)


def _libbpf_version() -> str:
    with suppress(KernelError):
        return library().version
    return ""


def _lockdown(root: Path) -> str:
    """The word in brackets: "none [integrity] confidentiality"; securityfs need not be mounted.

    Without it, what the kernel forces on itself from the start (security/lockdown/Kconfig).
    """
    with suppress(OSError, ValueError):
        text = (root / _LOCKDOWN).read_text("ascii")
        return text[text.index("[") + 1 : text.index("]")]
    with suppress(OSError, zlib.error):
        config = zlib.decompress((root / "proc/config.gz").read_bytes(), _GZIP)
        for level in ("integrity", "confidentiality"):
            if f"\nCONFIG_LOCK_DOWN_KERNEL_FORCE_{level.upper()}=y\n".encode() in config:
                return level
    return ""


def _io_uring(root: Path) -> Answer:
    """Asked for a ring of no entries, which it refuses; a kernel without it does not know the call."""
    name = "io_uring"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_IO_URING_SETUP, 0, None) >= 0:
        raise AssertionError("a ring was made of nothing")
    code = ctypes.get_errno()
    if code in (errno.EFAULT, errno.EINVAL):
        return Answer(name, True)
    with suppress(OSError):
        switch = (root / "proc/sys/kernel/io_uring_disabled").read_text("ascii").strip()
        if switch != "0":
            return Answer(name, False, f"kernel.io_uring_disabled is {switch}")
    return Answer(name, False, "this kernel has none" if code == errno.ENOSYS else os.strerror(code))


def _kprobes(root: Path) -> Answer:
    there = (root / _KPROBES).exists()
    return Answer("kprobes", there, "" if there else "this kernel is built without them")


def _hooks(btf: str, kinds: Mapping[str, Answer]) -> tuple[Hook, ...]:
    """What the compiled probes want, held against the names in the kernel's type information and `kinds`."""
    try:
        probes = Object(OBJECT)
    except KernelError:
        return ()
    try:
        sections = probes.sections()
    finally:
        probes.close()
    names = _names_of(btf)
    hooks = (_hook(program, section, names) for program, section in sections.items())
    return tuple(_allowed(each, kinds.get(each.hook.partition("/")[0])) for each in hooks)


def _allowed(hook: Hook, kind: Answer | None) -> Hook:
    """A place is of no use where programs of that kind are refused."""
    if kind is None or kind.yes or not hook.yes:
        return hook
    return replace(hook, yes=kind.yes, why=kind.why)


def _names_of(btf: str) -> frozenset[bytes]:
    """Every string of the type information; NULs part them (Documentation/bpf/btf.rst)."""
    with suppress(OSError):
        return frozenset(Path(btf).read_bytes().split(b"\0")) if btf else frozenset()
    return frozenset()


def _hook(program: str, section: str, names: frozenset[bytes]) -> Hook:
    kind, _slash, target = section.partition("/")
    form = _BTF_NAMES.get(kind.removesuffix(".s"))
    if form is None:
        return Hook(program, section, True, "Rubicon itself runs it")
    if not names:
        return Hook(program, section, None, "not known without type information (BTF)")
    for each in OPTIONAL_PROGRAMS.get(program, (target,)):
        if form.format(each).encode() in names:
            return Hook(program, f"{kind}/{each}", True)
    return Hook(program, section, False, "this kernel has no such place")
