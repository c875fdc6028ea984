"""The model every stage speaks: processes, events, rules and violations.

Text that comes from traced programs (paths, arguments, names) is held as `str` decoded with
`os.fsdecode`, so every byte survives; it goes through `tracer.text` before it is shown anywhere.

Instances are values: nobody changes one after it was built. `Event` and its details are not declared
frozen because a frozen dataclass costs more than a microsecond to build, and there is one per kernel record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """`event.action`; the names are part of the output format."""

    FORK = "fork"
    EXEC = "exec"
    EXIT = "exit"
    CONNECT = "connect"
    BIND = "bind"
    LISTEN = "listen"
    ACCEPT = "accept"
    SEND = "send"  # the first message to an address given with it, or the first bytes on a connection
    DNS = "dns"  # a question to a resolver, or its answer
    FLOW = "flow"  # a socket is closed; carries bytes and duration
    FILE_WRITE = "file_write"  # opened for writing, or created
    FILE_CLOSE = "file_close"  # last reference to a written file gone; carries bytes and count
    FILE_RENAME = "file_rename"
    FILE_UNLINK = "file_unlink"
    FILE_LINK = "file_link"
    FILE_SYMLINK = "file_symlink"
    FILE_MKDIR = "file_mkdir"
    FILE_RMDIR = "file_rmdir"
    FILE_TRUNCATE = "file_truncate"
    FILE_CHMOD = "file_chmod"
    FILE_CHOWN = "file_chown"


class Category(StrEnum):
    """`event.category`, by Elastic Common Schema."""

    PROCESS = "process"
    NETWORK = "network"
    FILE = "file"


class Outcome(StrEnum):
    """`event.outcome`; unknown is an attempt whose result was not there yet (a connect in progress)."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class Evidence(StrEnum):
    """What an event's text was read from: the kernel's own objects, or the caller's memory."""

    KERNEL = "kernel"
    USER = "user"


class Level(StrEnum):
    """Severity of a rule; the names are Sigma's, the order is that of declaration."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _LEVEL_RANK[self]


_LEVEL_RANK = {level: rank for rank, level in enumerate(Level)}


# A user or group that is not known: (uid_t)-1, which nobody has; audit writes it, too.
NO_ID = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """One program image in one process: a new exec makes a new `Process` with the same `entity_id`.

    A process is (pid, start): `start_ns` is in nanoseconds since boot, `start_time_ns` since the Unix epoch.
    Pids are those of the initial pid namespace; `namespace_pid` is the one the process itself sees.
    """

    entity_id: str
    pid: int
    start_ns: int
    start_time_ns: int
    executable: str
    args: tuple[str, ...]
    working_directory: str
    name: str
    user_id: int
    user_name: str
    group_id: int
    effective_user_id: int
    cgroup_id: int
    namespace_pid: int
    parent: Process | None = None

    @property
    def command_line(self) -> str:
        return " ".join(self.args)

    @property
    def watched(self) -> bool:
        """Whether it is in a scope; what is known of the others comes from /proc."""
        return self.namespace_pid != 0

    def lineage(self) -> Iterator[Process]:
        """The process, its parent, and so on up to the oldest known ancestor."""
        process: Process | None = self
        while process is not None:
            yield process
            process = process.parent


class StdioKind(StrEnum):
    """What a standard stream of a new program is."""

    CLOSED = "closed"
    FILE = "file"
    PIPE = "pipe"
    SOCKET = "socket"
    TERMINAL = "terminal"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Inode numbers, as in /proc/PID/ns; 0 when not known."""

    mount: int = 0
    network: int = 0
    pid: int = 0
    user: int = 0


UNKNOWN_NAMESPACES = Namespaces()


@dataclass(slots=True, eq=False)
class Exec:
    """Detail of `exec`. On success the image is `Event.process`; on failure that is still the caller's image.

    `path` is the resolved executable (for a script: its interpreter), or on failure the one that was tried;
    `filename` is the name it was called by (for a script: the script). `stdin_peer` is "ip:port" when stdin
    is a connected internet socket, else "".
    """

    path: str
    filename: str
    args: tuple[str, ...]
    inode: int
    device: int
    deleted: bool
    stdin: StdioKind
    stdout: StdioKind
    stderr: StdioKind
    stdin_peer: str
    namespaces: Namespaces = UNKNOWN_NAMESPACES


@dataclass(slots=True, eq=False)
class Exit:
    """Detail of `exit`: `code` 0 to 255, or `signal` when one ended the process (then `code` is 0)."""

    code: int
    signal: int


class NetworkType(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    UNIX = "unix"
    PACKET = "packet"
    NETLINK = "netlink"
    VSOCK = "vsock"
    ALG = "alg"  # the kernel's cryptography
    OTHER = "other"


UNKNOWN_PROTOCOL = "unknown"


@dataclass(slots=True, eq=False)
class Spoken:
    """What the first bytes of a connection say. `send` of a connection has one, of a datagram none.

    protocol     tls, ssh, http, stratum, json-rpc, socks, smtp, bittorrent, dns, quic, stun or
                 UNKNOWN_PROTOCOL; "" in a later event of a connection whose protocol was told
    server_name  the host a TLS ClientHello asks for; else ""
    domain       of HTTP the host, of DNS the name in question; else ""
    banner       of SSH its version line; else ""
    method       of JSON-RPC and Stratum; else ""
    """

    protocol: str
    server_name: str = ""
    domain: str = ""
    banner: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A resource record; `data` is an address, a name, text, or hexadecimal digits, by its type."""

    name: str
    type: str
    answer_class: str
    ttl_seconds: int
    data: str


@dataclass(slots=True, eq=False)
class Dns:
    """A question, or an answer with the question it repeats. Names have no last dot; the root is "."."""

    id: int
    is_answer: bool
    name: str
    type: str
    question_class: str
    answers: tuple[Answer, ...]
    response_code: str


@dataclass(slots=True, eq=False)
class Flow:
    """What went through a socket. Messages are counted for datagrams only; `late`: it was closed unseen."""

    bytes_in: int
    bytes_out: int
    messages_in: int
    messages_out: int
    duration_ns: int
    late: bool


@dataclass(slots=True, eq=False)
class Network:
    """Detail of `connect`, `bind`, `listen`, `accept`, `send`, `dns` and `flow`.

    The source is who began the connection; of `bind` and `listen` it is the socket's own end, and
    nobody is the destination. For sockets that are not of the internet the addresses are "" and the ports 0.

    path       unix: the peer's path ("@name" when abstract), for bind, listen and accept the own one;
               of other families the address in words, such as "cid 2 port 1024"
    direction  egress, ingress, or "" when there is none yet (bind)
    family     of a socket that is neither internet nor unix: the name of its address family
    more       send on a connection: Spoken; dns: Dns, or None when it was no DNS; flow: Flow
    """

    type: NetworkType
    transport: str  # tcp, udp, icmp, unix, or the protocol number as text
    destination_ip: str
    destination_port: int
    source_ip: str
    source_port: int
    destination_domain: str
    path: str
    direction: str = "egress"
    family: str = ""
    more: Spoken | Dns | Flow | None = None


@dataclass(slots=True, eq=False)
class File:
    """Detail of every `file_*` action.

    path            the name the act created, changed or removed (for rename and link: the new name)
    original_path   rename: the old name; link: the name that existed; else ""
    target_path     symlink: what it points to, as given; else ""
    flags           open(2) flags of `file_write`, else 0
    descriptor      of `file_write`: the number it is open under; -1 when refused
    inherited       `file_write`: it was opened before the watch or by a stranger, and is now first written
    mode            permission and type bits: of the file, or those asked for (chmod, mkdir)
    size            bytes: the length asked for by truncate, else 0
    bytes_written, writes   totals of `file_close`, else 0
    owner_id, group_id      chown: as asked, -1 keeps; else -1
    """

    path: str
    original_path: str = ""
    target_path: str = ""
    inode: int = 0
    device: int = 0
    flags: int = 0
    mode: int = 0
    created: bool = False
    size: int = 0
    bytes_written: int = 0
    writes: int = 0
    owner_id: int = -1
    group_id: int = -1
    descriptor: int = -1
    inherited: bool = False


Detail = Exec | Exit | Network | File | None


@dataclass(frozen=True, slots=True)
class Truncation:
    """A field that was longer than the documented limit; `length_bytes` is its true length."""

    field: str
    length_bytes: int


@dataclass(slots=True, eq=False)
class Event:
    """One fact from the kernel.

    sequence    position among the events of its trace, from 1
    time_ns     nanoseconds since the Unix epoch
    process     who did it; for `fork` the child, for a successful `exec` the new image
    error       errno of a failure (positive), else 0
    snapshot    true when it describes what was already there at the attach
    """

    sequence: int
    time_ns: int
    action: Action
    category: Category
    outcome: Outcome
    error: int
    process: Process
    thread_id: int
    scope: int
    evidence: Evidence
    snapshot: bool = False
    truncated: tuple[Truncation, ...] = ()
    detail: Detail = None


class RuleKind(StrEnum):
    POLICY = "policy"
    DETECTION = "detection"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a violation cites. `techniques` are MITRE ATT&CK ids such as "T1572"."""

    id: str
    name: str
    level: Level
    kind: RuleKind
    description: str = ""
    techniques: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """One field that made a rule match, and the value the event had there."""

    field: str
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Violation:
    """One event that broke a policy or matched a detection.

    `summary` is one plain sentence saying what happened; traced text in it is not yet escaped.
    """

    rule: Rule
    event: Event
    matched: tuple[Match, ...]
    summary: str
