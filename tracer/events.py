"""The model every stage speaks: processes, events, rules and violations.

Text that comes from traced programs (paths, arguments, names) is held as `str` decoded with
`os.fsdecode`, so every byte survives; it goes through `tracer.text` before it is shown anywhere.

Instances are values: nobody changes one after it was built. `Event` and its details are not declared
frozen because a frozen dataclass costs more than a microsecond to build, and there is one per kernel record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """`event.action`; the names are part of the output format."""

    FORK = "fork"
    EXEC = "exec"
    EXIT = "exit"
    CPU = "cpu"  # a process that keeps processors busy, as told now and then
    CONNECT = "connect"
    BIND = "bind"
    LISTEN = "listen"
    ACCEPT = "accept"
    SEND = "send"  # the first message to an address given with it, or the first bytes on a connection
    DNS = "dns"  # a question to a resolver, or its answer
    FLOW = "flow"  # a socket is closed; carries bytes and duration
    FILE_WRITE = "file_write"  # opened for writing, or created
    FILE_READ = "file_read"  # opened for reading; only what a rule asks for
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
    # Boundary acts: on the walls of the sandbox, on one's privileges, on other processes, on the kernel.
    SETNS = "setns"
    UNSHARE = "unshare"  # also clone with new namespaces
    MOUNT = "mount"
    UMOUNT = "umount"
    PIVOT_ROOT = "pivot_root"
    CHROOT = "chroot"
    MOVE_MOUNT = "move_mount"
    FSOPEN = "fsopen"
    FSPICK = "fspick"
    FSCONFIG = "fsconfig"
    FSMOUNT = "fsmount"
    OPEN_TREE = "open_tree"
    MOUNT_SETATTR = "mount_setattr"
    PTRACE = "ptrace"
    PROCESS_VM_WRITE = "process_vm_write"
    PROCESS_MEM_OPEN = "process_mem_open"  # /proc/PID/mem of another process, for writing
    PIDFD_GETFD = "pidfd_getfd"
    KILL = "kill"  # a signal by any call, to a process outside the scope
    SETUID = "setuid"  # setuid, setreuid, setresuid, setfsuid
    SETGID = "setgid"
    SETGROUPS = "setgroups"
    CAPSET = "capset"
    CGROUP_MOVE = "cgroup_move"  # out of the scope's cgroup
    NETWORK_ENTER = "network_enter"  # a stranger runs a program in the container's network; it is not watched
    BPF = "bpf"
    PERF_EVENT_OPEN = "perf_event_open"
    MODULE_LOAD = "module_load"
    MODULE_UNLOAD = "module_unload"
    KEYCTL = "keyctl"  # add_key, request_key, keyctl
    MEMFD_CREATE = "memfd_create"
    IO_URING_SETUP = "io_uring_setup"
    USERFAULTFD = "userfaultfd"


BOUNDARY_ACTIONS = tuple(Action)[tuple(Action).index(Action.SETNS) :]


class Category(StrEnum):
    """`event.category`, by Elastic Common Schema."""

    PROCESS = "process"
    NETWORK = "network"
    FILE = "file"
    CONFIGURATION = "configuration"  # mounts
    DRIVER = "driver"  # modules and BPF: what runs in the kernel


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


def worse(one: Level | None, other: Level) -> Level:
    """The worse of what was found so far, None before anything was, and one more."""
    return other if one is None or other.rank > one.rank else one


class Response(StrEnum):
    """What is to be done about a violation, `on_violation` in a rule: words for it come with each."""

    ALERT = "alert"  # say it
    FREEZE = "freeze"  # hold the whole scope still until somebody thaws it
    KILL = "kill"  # end the process
    KILL_SCOPE = "kill-scope"  # end the whole scope
    DENY = "deny"  # refuse the act before it is done
    THAW = "thaw"  # let a frozen scope go on; only ever asked for by a person


# A user or group that is not known: (uid_t)-1, which nobody has; audit writes it, too.
NO_ID = 0xFFFF_FFFF


EARLIER_KEPT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """One program image in one process: a new exec makes a new `Process` with the same `entity_id`.

    A process is (pid, start): `start_ns` is in nanoseconds since boot, `start_time_ns` since the Unix epoch.
    Pids are those of the initial pid namespace; `namespace_pid` is the one the process itself sees.
    `earlier` has the other executables that it, and those it comes from, ran under watch before this one,
    each once; EARLIER_KEPT of them are more than that, maybe.
    `setting_up`: it is still the runtime's own program, which came into the container from outside and
    builds it (mounts, namespaces, capabilities); what it does is recorded and not judged. An exec ends it.
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
    earlier: tuple[str, ...] = ()
    setting_up: bool = False

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


@dataclass(frozen=True, slots=True)
class Container:
    """What an event happened in. "" is not known, or does not apply; `pod`, `namespace`: of Kubernetes."""

    id: str
    runtime: str = ""
    name: str = ""
    image: str = ""
    pod: str = ""
    namespace: str = ""

    @property
    def shown(self) -> str:
        """How people call it."""
        if self.pod and self.name:
            return f"{self.namespace}/{self.pod}/{self.name}"
        return self.name or self.id[:12] or self.pod


CERTAIN = 100


@dataclass(frozen=True, slots=True)
class Step:
    """What the agent was at, as it said itself: a tool call, a step of an episode. "" is not told.

    `trace_id` and `span_id` are of W3C Trace Context, in hexadecimal digits. `confidence` is in percent: less
    than CERTAIN where it was not told at the time, but found afterwards by what the agent had written down.
    """

    id: str
    tool: str = ""
    episode: str = ""
    call_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    confidence: int = CERTAIN


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
class Fork:
    """Detail of `fork`.

    generation  how many forks, with no exec since, lie between it and the last program that began
    alive       how many processes of the scope there are now, it among them
    """

    generation: int
    alive: int


@dataclass(slots=True, eq=False)
class Exec:
    """Detail of `exec`. On success the image is `Event.process`; on failure that is still the caller's image.

    `path` is the resolved executable (for a script: its interpreter), or on failure the one that was tried;
    `filename` is the name it was called by (for a script: the script). `stdin_peer` is "ip:port" when stdin
    is a connected internet socket, else "". `args_from_caller`: on failure, where the rest is the kernel's.
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
    args_from_caller: bool = False


@dataclass(slots=True, eq=False)
class Busy:
    """Detail of `cpu`: what a process took of the processors since the last look at it.

    percent   of one processor
    threads   that took a tenth of one or more, or waited for it
    contact   an address outside that it was the first of its scope to speak to, and is connected with; or ""
    """

    percent: int
    threads: int
    contact: str = ""


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
    """A question, or an answer with the question it repeats. Names have no last dot; the root is ".".

    `resolved` has the addresses that the name has by it, when the answer counts: it was asked for on the same
    socket, and not of a resolver that is watched itself.
    """

    id: int
    is_answer: bool
    name: str
    type: str
    question_class: str
    answers: tuple[Answer, ...]
    response_code: str
    resolved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """The other end of a connection that a process carried on: whose, and who began it."""

    ip: str
    port: int
    direction: str


@dataclass(slots=True, eq=False)
class Flow:
    """What went through a socket. Messages are counted for datagrams only; `late`: it was closed unseen.

    relayed     connections of the same process by which what came in here went out, and what came in there
                went out here; told by the number of bytes, not by what they say
    """

    bytes_in: int
    bytes_out: int
    messages_in: int
    messages_out: int
    duration_ns: int
    late: bool
    relayed: tuple[Leg, ...] = ()


@dataclass(slots=True, eq=False)
class Network:
    """Detail of `connect`, `bind`, `listen`, `accept`, `send`, `dns` and `flow`.

    The source is who began the connection; of `bind` and `listen` it is the socket's own end, and
    nobody is the destination. For sockets that are not of the internet the addresses are "" and the ports 0.

    path       unix: the peer's path ("@name" when abstract), for bind, listen and accept the own one;
               of other families the address in words, such as "cid 2 port 1024"
    direction  egress, ingress, or "" when there is none yet (bind)
    family     of a socket that is neither internet nor unix: the name of its address family
    other_domains  what else the destination's address was resolved from: many names may share one
    first_contact  connect, send to an address: nobody of the scope spoke to this address before
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
    other_domains: tuple[str, ...] = ()
    first_contact: bool = False


@dataclass(slots=True, eq=False)
class File:
    """Detail of every `file_*` action.

    path            the name the act created, changed or removed (for rename and link: the new name)
    original_path   rename: the old name; link: the name that existed; else ""
    target_path     symlink: what it points to, as given; else ""
    flags           open(2) flags of `file_write` and `file_read`, else 0
    descriptor      of `file_write`: the number it is open under; -1 when refused
    inherited       `file_write`: it was opened before the watch or by a stranger: it is now first written, or
                    was found open (`Event.snapshot`)
    redirected      ... and is what a standard stream of the sandbox led to when the watch began
    mode            permission and type bits: of the file, or those asked for (chmod, mkdir)
    size            bytes: the length asked for by truncate, else 0
    bytes_written, writes   totals of `file_close`, else 0
    owner_id, group_id      chown: as asked, -1 keeps; else -1
    made_here       it was created under this watch, as far back as that is remembered
    contact         created by a process that had spoken to this address outside the machine; else ""
    copy            unlink: what was created lately under this name and a suffix more; else ""
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
    redirected: bool = False
    made_here: bool = False
    contact: str = ""
    copy: str = ""


class Relation(StrEnum):
    """How the process an act is aimed at stands to the one that acts."""

    SELF = "self"
    INSIDE = "inside"  # of the same scope
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Target:
    """The process an act is aimed at; `entity_id` is as in `Process`, `name` what the kernel calls it."""

    pid: int
    entity_id: str
    name: str
    relation: Relation

    def __str__(self) -> str:
        outside = " outside the sandbox" if self.relation is Relation.OUTSIDE else ""
        return f"{self.name or 'process'} (pid {self.pid}){outside}"


# capabilities(7), by bit.
_CAPABILITIES_IN_ORDER = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE"
    " NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT"
    " SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE"
    " AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
    " PERFMON BPF CHECKPOINT_RESTORE"
)
_CAPABILITIES = _CAPABILITIES_IN_ORDER.split()


def capability_names(bits: int) -> list[str]:
    """The capabilities in a set, as CAP_SYS_ADMIN; one without a name by its number."""
    return [
        f"CAP_{_CAPABILITIES[bit]}" if bit < len(_CAPABILITIES) else f"CAP_{bit}"
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    ]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Ids as the initial user namespace counts them; capabilities(7) as sets of bits."""

    uid: int
    euid: int
    suid: int
    fsuid: int
    gid: int
    egid: int
    sgid: int
    fsgid: int
    permitted: int
    effective: int

    @property
    def has_root(self) -> bool:
        """Whether it is root, or may become it at will."""
        return 0 in (self.uid, self.euid, self.suid)


OWN_GROUP = "own process group"


@dataclass(slots=True, eq=False)
class Boundary:
    """Detail of boundary acts. Names are those of the manual pages; what does not apply is empty.

    call            the system call, "" where that is not what was seen
    operation       what it was asked for: a ptrace request, a BPF or keyctl command, a signal ...
    flags           by name, "~" before one that is taken away
    path            what it was done to: a mount point, a root, the file of a module
    source          what is mounted or moved; of pivot_root, where the old root goes
    filesystem      type of file system; of keys, type of key
    name            of a memfd, key, module, BPF program, cgroup, or mount option; "id" of a BPF object
                    asked for by its number; OWN_GROUP of a signal to that as a whole
    value           of a mount option or an id
    requested       ids that were asked for, -1 keeps
    old, new        credentials before and after; None where they cannot change
    own_namespace   of setns: one that the scope was in from the start, or has made itself
    user_namespace_level    of who acts; 0 is the initial user namespace, where root is root of the machine
    """

    call: str
    operation: str = ""
    flags: tuple[str, ...] = ()
    target: Target | None = None
    path: str = ""
    source: str = ""
    filesystem: str = ""
    name: str = ""
    value: str = ""
    requested: tuple[int, ...] = ()
    old: Credentials | None = None
    new: Credentials | None = None
    own_namespace: bool = False
    user_namespace_level: int = 0

    @property
    def gained_root(self) -> bool:
        """It was not root in any way, and now is."""
        return self.old is not None and self.new is not None and self.new.has_root and not self.old.has_root

    def words(self) -> str:
        """To what, and how, in one line; not shortened, not escaped."""
        place = f"{self.source} on {self.path}" if self.source and self.path else self.path or self.source
        name = f"{self.name}={self.value}" if self.value else self.name
        parts = (self.operation, self.filesystem, name, place, "|".join(self.flags), self._change())
        text = " ".join(part for part in parts if part)
        if self.target is None:
            return text
        link = "to" if self.call else "of"
        return f"{text} {link} {self.target}" if text else str(self.target)

    def _change(self) -> str:
        if self.old is None or self.new is None or self.old == self.new:
            return f"to {', '.join(map(str, self.requested))}" if self.requested else ""
        changes = [
            f"{name} {before} → {after}"
            for name, before, after in (
                ("uid", self.old.uid, self.new.uid),
                ("euid", self.old.euid, self.new.euid),
                ("gid", self.old.gid, self.new.gid),
                ("egid", self.old.egid, self.new.egid),
            )
            if before != after
        ]
        if self.old.effective != self.new.effective:
            changes.append(f"capabilities {self.old.effective:x} → {self.new.effective:x}")
        return ", ".join(changes)


Detail = Fork | Exec | Exit | Busy | Network | File | Boundary | None


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
    container   where it happened, when the scope is a container
    target      of the scope, as the user named it; for a container that was found, "docker:NAME" and the like
    answer      what the probes did about it, before it came to its end: deny, kill; else None
    step        the step that started the process, or that was open when it acted; None when none was told
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
    container: Container | None = None
    target: str = ""
    answer: Response | None = None
    step: Step | None = None


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
    response: Response = Response.ALERT


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


class RulesFailedError(Exception):
    """Some rules failed on an event; `found` are the violations of the others."""

    def __init__(self, rules: Sequence[Rule], found: Sequence[Violation]) -> None:
        super().__init__(", ".join(rule.name for rule in rules))
        self.rules = tuple(rules)
        self.found = tuple(found)


class Result(StrEnum):
    """What came of an action."""

    DONE = "done"
    WOULD = "would"  # nothing was done, as nobody said --enforce
    GONE = "gone"  # who it was for had ended by itself
    FAILED = "failed"
    REFUSED = "refused"  # a command from somebody who has no say here


@dataclass(frozen=True, slots=True)
class Subject:
    """The process an action was for, as far as it is told."""

    pid: int
    entity_id: str
    name: str
    executable: str


@dataclass(frozen=True, slots=True)
class Taken:
    """An action of Rubicon's own: the trace keeps it, and a replay shows it and does nothing.

    time_ns     when it was done, nanoseconds since the Unix epoch
    message     what was done, or why not, in a sentence; traced text in it is not yet escaped
    latency_ns  from the act that broke the rule, or from the command, to the end of the action
    in_kernel   done by a probe, before the act came to its end
    by          who asked for it: "" is the rule, else a user
    event       the number of the event that broke the rule, 0 without one
    subject     None: a whole scope, or all of them
    scope       for which it was, 0 for all of the session; `target` is what the user called it
    """

    time_ns: int
    response: Response
    result: Result
    message: str
    latency_ns: int = 0
    in_kernel: bool = False
    by: str = ""
    event: int = 0
    rule: Rule | None = None
    subject: Subject | None = None
    scope: int = 0
    target: str = ""
