"""A kernel record, decoded and not yet understood: the fields of `probes/abi.h`, strings as text.

Made by `tracer.capture.decode`, turned into events by `tracer.context`. The classes have the fields of the C
structs under the same names and in the same order, without what only frames the strings (`..._len`,
`reserved`); the decoder holds them against the layout in the probes' own BTF, so a difference is an error
when the object is loaded or a trace opened, and not a wrong value.

Times are nanoseconds since boot, sleep included (CLOCK_BOOTTIME). Paths are absolute, from the root of the
mount namespace; names are as the program gave them. Text is decoded with `os.fsdecode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag


class Kind(IntEnum):
    """enum rb_kind"""

    FORK = 1
    EXEC = 2
    EXEC_FAILED = 3
    EXIT = 4
    PROCESS = 5
    CONNECT = 6
    OPEN = 7
    CLOSE = 8
    RENAME = 9
    UNLINK = 10
    LINK = 11
    SYMLINK = 12
    MKDIR = 13
    RMDIR = 14
    TRUNCATE = 15
    CHMOD = 16
    CHOWN = 17
    BOUNDARY = 18
    BIND = 19
    LISTEN = 20
    ACCEPT = 21
    SEND = 22
    FLOW = 23
    HEAD = 24
    DNS = 25
    CGROUP = 26


class Act(IntEnum):
    """enum rb_act: the system call a BOUNDARY record is about. See `BoundaryRecord` for what is where."""

    MOUNT = 1
    UMOUNT = 2
    PIVOT_ROOT = 3
    CHROOT = 4
    MOVE_MOUNT = 5
    FSOPEN = 6
    FSPICK = 7
    FSCONFIG = 8
    FSMOUNT = 9
    OPEN_TREE = 10
    MOUNT_SETATTR = 11
    PTRACE = 12
    PROCESS_VM_WRITEV = 13
    BPF = 14
    PERF_EVENT_OPEN = 15
    INIT_MODULE = 16
    FINIT_MODULE = 17
    DELETE_MODULE = 18
    MEMFD_CREATE = 19
    ADD_KEY = 20
    REQUEST_KEY = 21
    KEYCTL = 22
    IO_URING_SETUP = 23
    USERFAULTFD = 24
    PIDFD_GETFD = 25
    CLONE = 26
    MEM_OPEN = 27
    CGROUP_MOVE = 28
    SETNS = 29
    UNSHARE = 30
    SETUID = 31
    SETGID = 32
    SETREUID = 33
    SETREGID = 34
    SETRESUID = 35
    SETRESGID = 36
    SETFSUID = 37
    SETFSGID = 38
    SETGROUPS = 39
    CAPSET = 40
    KILL = 41
    TKILL = 42
    TGKILL = 43
    PIDFD_SEND_SIGNAL = 44
    RT_SIGQUEUEINFO = 45
    RT_TGSIGQUEUEINFO = 46
    NETWORK_ENTER = 47


class Flag(IntFlag):
    """enum rb_flag"""

    USER_EVIDENCE = 1 << 0
    UNREADABLE = 1 << 1
    LATE = 1 << 2
    PATH_CUT = 1 << 3
    NAME_CUT = 1 << 4
    ARGS_CUT = 1 << 5
    DELETED = 1 << 6
    INHERITED = 1 << 7
    MAPPED = 1 << 8
    JOINED = 1 << 9
    FOUND = 1 << 10  # it was open when the watch began
    REFUSED = 1 << 11
    KILLED = 1 << 12
    USER_ARGS = 1 << 13


NO_DESCRIPTOR = 0x7FFF_FFFF  # RB_NO_DESCRIPTOR


@dataclass(frozen=True, slots=True)
class Section:
    """Kernel records not yet decoded, framed as in the BPF ring buffer (see `tracer.trace`).

    `records` counts those that are not discarded; `first_ns` and `last_ns` are their boot-clock times.
    """

    data: bytes
    records: int
    first_ns: int
    last_ns: int


EMPTY = Section(b"", 0, 0, 0)


@dataclass(slots=True, eq=False)
class Record:
    """struct rb_head. `pid` is the process (tgid), `tid` the thread; `start_ns` is the process's start.

    result      what the call returned; negative is -errno
    cut_bytes   true length of the string that a ..._CUT flag names; 0 when unknown
    """

    time_ns: int
    start_ns: int
    pid: int
    tid: int
    kind: int
    flags: int
    scope: int
    result: int
    cut_bytes: int


@dataclass(slots=True, eq=False)
class ForkRecord(Record):
    """The head names the child."""

    parent_start_ns: int
    cgroup: int
    parent_pid: int
    ns_pid: int


@dataclass(slots=True, eq=False)
class CgroupRecord(Record):
    """struct rb_cgroup: the cgroup of an awaited container was made; `scope` is the container's."""

    cgroup: int
    version: int
    name: str


@dataclass(slots=True, eq=False)
class Peer:
    """struct rb_peer: addresses in network order, IPv4 in the first four bytes; ports in host order."""

    daddr: bytes
    saddr: bytes
    dport: int
    sport: int
    family: int
    protocol: int


@dataclass(frozen=True, slots=True)
class FileId:
    """struct rb_file_id: which file it is; zeros for none."""

    inode: int
    device: int


@dataclass(slots=True, eq=False)
class ExecRecord(Record):
    """An exec that succeeded, or a process that was there at the attach (PROCESS: then without arguments).

    path        the executable that runs; for a script its interpreter
    name        what the kernel was asked to run; for a script the script
    stdio       enum rb_stdio of descriptors 0, 1, 2; the fourth is not used
    stdin_file, stdout_file, stderr_file    what they lead to, when that can be written and keeps it
    env         RUBICON_STEP=... and TRACEPARENT=... of its environment, as far as they are there
    args_total  true length of the argument vector in bytes
    """

    parent_start_ns: int
    cgroup: int
    inode: int
    device: int
    parent_pid: int
    ns_pid: int
    old_tid: int
    uid: int
    gid: int
    euid: int
    egid: int
    ns_mnt: int
    ns_net: int
    ns_pidns: int
    ns_user: int
    args_total: int
    stdio: bytes
    stdin_peer: Peer
    stdin_file: FileId
    stdout_file: FileId
    stderr_file: FileId
    comm: bytes
    path: str
    name: str
    cwd: str
    env: tuple[str, ...]
    args: tuple[str, ...]


@dataclass(slots=True, eq=False)
class ExecFailedRecord(Record):
    """path: what `name` is relative to."""

    args_total: int
    path: str
    name: str
    args: tuple[str, ...]


@dataclass(slots=True, eq=False)
class ExitRecord(Record):
    """status: as wait(2) gives it."""

    status: int


@dataclass(slots=True, eq=False)
class ConnectRecord(Record):
    """CONNECT, and of the socket's own end BIND LISTEN ACCEPT.

    path    of a unix socket bound in a file system
    name    sun_path, its leading NUL kept when abstract; of a family that is neither internet nor unix the
            sockaddr as given
    """

    peer: Peer
    type: int
    path: str
    name: str


@dataclass(slots=True, eq=False)
class PayloadRecord(Record):
    """SEND HEAD DNS: the beginning of a message. result: its length, or -errno.

    peer      of a SEND the address given with it
    inode     of the socket
    offset    of a HEAD: bytes sent on the connection before
    ingress   the connection was accepted
    name      as in ConnectRecord
    """

    peer: Peer
    inode: int
    offset: int
    type: int
    ingress: int
    received: int
    name: str
    data: bytes


@dataclass(slots=True, eq=False)
class FlowRecord(Record):
    """An internet socket is closed. The packets are those of datagram sockets."""

    peer: Peer
    inode: int
    duration_ns: int
    bytes_in: int
    bytes_out: int
    packets_in: int
    packets_out: int
    type: int
    ingress: int


@dataclass(slots=True, eq=False)
class OpenRecord(Record):
    """result: the descriptor, also of a file that was INHERITED, or NO_DESCRIPTOR.

    Refused, or without a file to look at any more: `path` is the directory, `name` what was asked for.
    """

    inode: int
    device: int
    mode: int
    open_flags: int
    created: int
    path: str
    name: str


@dataclass(slots=True, eq=False)
class CloseRecord(Record):
    """The last reference to a written file is gone."""

    inode: int
    bytes: int
    writes: int
    device: int
    mode: int
    path: str


@dataclass(slots=True, eq=False)
class PathRecord(Record):
    """RENAME UNLINK LINK SYMLINK MKDIR RMDIR TRUNCATE CHMOD CHOWN.

    value, value2   truncate: length; chmod, mkdir: mode; chown: uid and gid; rename, link: the flags of the
                    call. Those of a chmod or chown stand in the upper half of `value`.
    path, name      the file: `path` alone when a descriptor named it, else what `name` is relative to
    path2, name2    rename, link: the new name; symlink: `name2` is the target, as given
    """

    value: int
    value2: int
    inode: int
    device: int
    path: str
    name: str
    path2: str
    name2: str


@dataclass(slots=True, eq=False)
class Target:
    """struct rb_target: the process an act is aimed at.

    relation    enum rb_relation: 0 none, 1 itself, 2 in the same scope, 3 outside
    comm        the name the kernel has for it, padded with NUL
    """

    start_ns: int
    pid: int
    relation: int
    comm: bytes


@dataclass(slots=True, eq=False)
class Credentials:
    """struct rb_credentials: capabilities a bit each, and ids as the initial user namespace counts them."""

    permitted: int
    effective: int
    uid: int
    euid: int
    suid: int
    fsuid: int
    gid: int
    egid: int
    sgid: int
    fsgid: int


@dataclass(slots=True, eq=False)
class BoundaryRecord(Record):
    """An act on namespaces, mounts, credentials, other processes or the kernel; `act` is which (`Act`).

    value1 to value4, name to name3     what rb_act in abi.h says of the act
    old, new                            differ where the act changed them; `old` is `new` for acts that cannot
    user_ns_level                       of who acts; 0 is the initial user namespace
    path, path2                         what `name` and `name2` are relative to
    """

    value1: int
    value2: int
    value3: int
    value4: int
    target: Target
    old: Credentials
    new: Credentials
    act: int
    user_ns_level: int
    path: str
    name: str
    path2: str
    name2: str
    name3: str
