"""Numbers of the kernel's interface by the names its manual pages give them (include/uapi/linux)."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence


def _numbered(prefix: str, names: str) -> dict[int, str]:
    return {number: prefix + name for number, name in enumerate(names.split())}


def _bits(prefix: str, names: str) -> dict[int, str]:
    return {1 << number: name for number, name in _numbered(prefix, names).items()}


NAMESPACES = {
    0x00000080: "CLONE_NEWTIME",
    0x00020000: "CLONE_NEWNS",
    0x02000000: "CLONE_NEWCGROUP",
    0x04000000: "CLONE_NEWUTS",
    0x08000000: "CLONE_NEWIPC",
    0x10000000: "CLONE_NEWUSER",
    0x20000000: "CLONE_NEWPID",
    0x40000000: "CLONE_NEWNET",
}
UNSHARE = {0x200: "CLONE_FS", 0x400: "CLONE_FILES", 0x40000: "CLONE_SYSVSEM", **NAMESPACES}
MOUNT = {
    1 << 0: "MS_RDONLY",
    1 << 1: "MS_NOSUID",
    1 << 2: "MS_NODEV",
    1 << 3: "MS_NOEXEC",
    1 << 4: "MS_SYNCHRONOUS",
    1 << 5: "MS_REMOUNT",
    1 << 6: "MS_MANDLOCK",
    1 << 7: "MS_DIRSYNC",
    1 << 8: "MS_NOSYMFOLLOW",
    1 << 10: "MS_NOATIME",
    1 << 11: "MS_NODIRATIME",
    1 << 12: "MS_BIND",
    1 << 13: "MS_MOVE",
    1 << 14: "MS_REC",
    1 << 15: "MS_SILENT",
    1 << 17: "MS_UNBINDABLE",
    1 << 18: "MS_PRIVATE",
    1 << 19: "MS_SLAVE",
    1 << 20: "MS_SHARED",
    1 << 21: "MS_RELATIME",
    1 << 24: "MS_STRICTATIME",
    1 << 25: "MS_LAZYTIME",
}
UMOUNT = {1: "MNT_FORCE", 2: "MNT_DETACH", 4: "MNT_EXPIRE", 8: "UMOUNT_NOFOLLOW"}
MOVE_MOUNT = {
    0x001: "MOVE_MOUNT_F_SYMLINKS",
    0x002: "MOVE_MOUNT_F_AUTOMOUNTS",
    0x004: "MOVE_MOUNT_F_EMPTY_PATH",
    0x010: "MOVE_MOUNT_T_SYMLINKS",
    0x020: "MOVE_MOUNT_T_AUTOMOUNTS",
    0x040: "MOVE_MOUNT_T_EMPTY_PATH",
    0x100: "MOVE_MOUNT_SET_GROUP",
    0x200: "MOVE_MOUNT_BENEATH",
}
FSOPEN = {1: "FSOPEN_CLOEXEC"}
FSPICK = {1: "FSPICK_CLOEXEC", 2: "FSPICK_SYMLINK_NOFOLLOW", 4: "FSPICK_NO_AUTOMOUNT", 8: "FSPICK_EMPTY_PATH"}
FSMOUNT = {1: "FSMOUNT_CLOEXEC"}
AT = {
    0x100: "AT_SYMLINK_NOFOLLOW",
    0x800: "AT_NO_AUTOMOUNT",
    0x1000: "AT_EMPTY_PATH",
    0x8000: "AT_RECURSIVE",
}
OPEN_TREE = {1: "OPEN_TREE_CLONE", 0x80000: "OPEN_TREE_CLOEXEC", **AT}
MOUNT_ATTR = {
    0x01: "MOUNT_ATTR_RDONLY",
    0x02: "MOUNT_ATTR_NOSUID",
    0x04: "MOUNT_ATTR_NODEV",
    0x08: "MOUNT_ATTR_NOEXEC",
    0x10: "MOUNT_ATTR_NOATIME",
    0x20: "MOUNT_ATTR_STRICTATIME",
    0x80: "MOUNT_ATTR_NODIRATIME",
    0x100000: "MOUNT_ATTR_IDMAP",
    0x200000: "MOUNT_ATTR_NOSYMFOLLOW",
}
MODULE = {
    1: "MODULE_INIT_IGNORE_MODVERSIONS",
    2: "MODULE_INIT_IGNORE_VERMAGIC",
    4: "MODULE_INIT_COMPRESSED_FILE",
}
DELETE_MODULE = {0o1000: "O_TRUNC", 0o4000: "O_NONBLOCK"}
MEMFD = {
    1: "MFD_CLOEXEC",
    2: "MFD_ALLOW_SEALING",
    4: "MFD_HUGETLB",
    8: "MFD_NOEXEC_SEAL",
    0x10: "MFD_EXEC",
}
IO_URING = _bits(
    "IORING_SETUP_",
    "IOPOLL SQPOLL SQ_AFF CQSIZE CLAMP ATTACH_WQ R_DISABLED SUBMIT_ALL COOP_TASKRUN TASKRUN_FLAG SQE128 CQE32"
    " SINGLE_ISSUER DEFER_TASKRUN NO_MMAP REGISTERED_FD_ONLY NO_SQARRAY HYBRID_IOPOLL",
)
USERFAULTFD = {1: "UFFD_USER_MODE_ONLY", 0o4000: "O_NONBLOCK", 0o2000000: "O_CLOEXEC"}

PTRACE = {
    0: "PTRACE_TRACEME",
    4: "PTRACE_POKETEXT",
    5: "PTRACE_POKEDATA",
    6: "PTRACE_POKEUSER",
    13: "PTRACE_SETREGS",
    15: "PTRACE_SETFPREGS",
    16: "PTRACE_ATTACH",
    19: "PTRACE_SETFPXREGS",
    0x4205: "PTRACE_SETREGSET",
    0x4206: "PTRACE_SEIZE",
    0x4212: "PTRACE_SET_SYSCALL_INFO",
}
FSCONFIG = _numbered(
    "FSCONFIG_",
    "SET_FLAG SET_STRING SET_BINARY SET_PATH SET_PATH_EMPTY SET_FD CMD_CREATE CMD_RECONFIGURE"
    " CMD_CREATE_EXCL",
)
BPF = {
    0: "BPF_MAP_CREATE",
    5: "BPF_PROG_LOAD",
    6: "BPF_OBJ_PIN",
    7: "BPF_OBJ_GET",
    8: "BPF_PROG_ATTACH",
    9: "BPF_PROG_DETACH",
    10: "BPF_PROG_TEST_RUN",
    13: "BPF_PROG_GET_FD_BY_ID",
    14: "BPF_MAP_GET_FD_BY_ID",
    17: "BPF_RAW_TRACEPOINT_OPEN",
    18: "BPF_BTF_LOAD",
    19: "BPF_BTF_GET_FD_BY_ID",
    20: "BPF_TASK_FD_QUERY",
    28: "BPF_LINK_CREATE",
    29: "BPF_LINK_UPDATE",
    30: "BPF_LINK_GET_FD_BY_ID",
    32: "BPF_ENABLE_STATS",
    33: "BPF_ITER_CREATE",
    34: "BPF_LINK_DETACH",
    35: "BPF_PROG_BIND_MAP",
    36: "BPF_TOKEN_CREATE",
}
PERF_TYPES = _numbered("PERF_TYPE_", "HARDWARE SOFTWARE TRACEPOINT HW_CACHE RAW BREAKPOINT")
KEYCTL = _numbered(
    "KEYCTL_",
    "GET_KEYRING_ID JOIN_SESSION_KEYRING UPDATE REVOKE CHOWN SETPERM DESCRIBE CLEAR LINK UNLINK SEARCH READ"
    " INSTANTIATE NEGATE SET_REQKEY_KEYRING SET_TIMEOUT ASSUME_AUTHORITY GET_SECURITY SESSION_TO_PARENT"
    " REJECT INSTANTIATE_IOV INVALIDATE GET_PERSISTENT DH_COMPUTE PKEY_QUERY PKEY_ENCRYPT PKEY_DECRYPT"
    " PKEY_SIGN PKEY_VERIFY RESTRICT_KEYRING MOVE CAPABILITIES WATCH_KEY",
)


def flags(table: Mapping[int, str], value: int, taken: str = "") -> tuple[str, ...]:
    """The names of the bits that are set, `taken` before each; the rest, if any, as one number."""
    names = [taken + name for bit, name in table.items() if value & bit]
    rest = value & ~sum(table)
    return (*names, f"{taken}{rest:#x}") if rest else tuple(names)


def choice(table: Mapping[int, str], value: int) -> str:
    return table.get(value) or str(value)


def signal_name(number: int) -> str:
    """As kill -l has it, SIGRTMIN+3 among them; another number as it is."""
    try:
        return signal.Signals(number).name
    except ValueError:
        real_time = signal.SIGRTMIN <= number <= signal.SIGRTMAX
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if real_time else str(number)


def signed(values: Sequence[int]) -> tuple[int, ...]:
    """Ids of 32 bits as they were meant: -1 keeps."""
    return tuple(-1 if value & 0xFFFF_FFFF == 0xFFFF_FFFF else value & 0xFFFF_FFFF for value in values)
