"""May probes be loaded here, and can they be: asked before anything is started, answered in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tracer.capture.btf import Btf
from tracer.capture.core import OBJECT, CoreSource, check_floor
from tracer.capture.fit import Layouts
from tracer.capture.kernel_layouts import BtfLayouts, find_headers, headers_place, headers_remedy
from tracer.capture.source import Source
from tracer.errors import KernelError, PrivilegeError

KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")
BTF_VARIABLE = "RUBICON_KERNEL_BTF"

# include/uapi/linux/capability.h
_CAP_SYS_ADMIN = 1 << 21
_INITIAL_USER_NAMESPACE = (
    0xEFFFFFFD  # its inode on every machine: PROC_USER_INIT_INO, include/linux/proc_ns.h
)
_NEEDED = {"CAP_PERFMON": 1 << 38, "CAP_BPF": 1 << 39}


def open_source(
    loader: str = "auto",
    environment: Mapping[str, str] = os.environ,
    *,
    guarding: bool = False,
    cgroups: Path | None = None,
) -> Source:
    """The probes, loaded. Raises PrivilegeError or KernelError, naming what is missing and the remedy.

    loader              core, bcc, or auto: core, or bcc where only headers say where the kernel keeps what
    guarding, cgroups   as for `CoreSource`
    """
    check_privileges(effective_capabilities())
    if loader == "bcc" or (loader == "auto" and not btf_path(environment).is_file() and find_headers()):
        from tracer.capture.bccsource import BccSource  # a third of what the rest of the loaders brings in

        return BccSource(kernel_layouts(environment), guarding=guarding, cgroups=cgroups)
    btf = check_btf(environment)
    if not OBJECT.is_file():
        raise KernelError(f"the probes are not built: make -C {OBJECT.parents[1]}")
    return CoreSource(kernel_btf=btf, guarding=guarding, cgroups=cgroups)


def kernel_layouts(environment: Mapping[str, str] = os.environ) -> Layouts:
    """Where the kernel keeps what: from its type information, or else its headers. Raises KernelError."""
    path, headers = btf_path(environment), find_headers()
    if headers is None or path.is_file():
        check_btf(environment)
        data = path.read_bytes()
        check_floor(data)
        return BtfLayouts(Btf(data))
    from tracer.capture.headers import header_layouts  # only where a kernel has no type information

    return header_layouts(headers, environment)


def check_privileges(capabilities: int) -> None:
    """`capabilities` as in CapEff of proc_pid_status(5)."""
    if capabilities & _CAP_SYS_ADMIN:
        return
    missing = [name for name, bit in _NEEDED.items() if not capabilities & bit]
    if missing and in_user_namespace():
        raise PrivilegeError(
            f"{' and '.join(missing)} missing: this is a user namespace, where root may not load probes; "
            "run it outside, with sudo"
        )
    if missing:
        raise PrivilegeError(
            f"{' and '.join(missing)} missing: the kernel lets only root, or who has them, load probes; "
            "run it with sudo"
        )


def effective_capabilities() -> int:
    """Those that count for probes: in a user namespace of one's own none does, whatever the kernel lists."""
    if in_user_namespace():
        return 0
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def in_user_namespace() -> bool:
    return os.stat("/proc/self/ns/user").st_ino != _INITIAL_USER_NAMESPACE


def btf_path(environment: Mapping[str, str]) -> Path:
    """Where the kernel's type information is to be, whether or not it is."""
    return Path(environment.get(BTF_VARIABLE) or KERNEL_BTF)


def check_btf(environment: Mapping[str, str]) -> Path | None:
    """The type information to use when it is not the kernel's own; None for that.

    Raises KernelError when there is none: without it the probes do not know where the kernel keeps what.
    """
    path = btf_path(environment)
    if path.is_file():
        return path if environment.get(BTF_VARIABLE) else None
    missing = f"no kernel type information (BTF) at {path}"
    if find_headers():
        raise KernelError(f"{missing}, which this loader needs; --loader bcc takes the kernel's headers")
    raise KernelError(
        f"{missing} and no kernel headers at {headers_place()}: {headers_remedy()}, run a kernel with "
        f"CONFIG_DEBUG_INFO_BTF=y (Debian has it), or name a BTF file of this one in {BTF_VARIABLE}"
    )
