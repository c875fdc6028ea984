"""One session of made-up events, at least one of every action, for the tests of exports."""

from __future__ import annotations

import errno
import os
import stat

from tracer.events import (
    Action,
    Answer,
    Boundary,
    Busy,
    Category,
    Container,
    Credentials,
    Detail,
    Dns,
    Event,
    Evidence,
    Exec,
    Exit,
    File,
    Flow,
    Fork,
    Leg,
    Level,
    Match,
    Network,
    NetworkType,
    Outcome,
    Process,
    Relation,
    Rule,
    RuleKind,
    Spoken,
    StdioKind,
    Step,
    Target,
    Truncation,
    Violation,
)
from tracer.export import SessionFacts

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SESSION = SessionFacts("01-swift-otter", "pid:100", "B", START_NS, "h\u00f4te 1", "6.18.0", "1.2.3")
HOSTILE = "/tmp/\x1b[2J\x9b\u202e\x7f\n\udcff\u2028"


def process(pid: int, executable: str, args: tuple[str, ...], parent: Process | None = None) -> Process:
    return Process(
        entity_id=f"{pid:x}-{pid * 1000:x}",
        pid=pid,
        start_ns=pid * 1000,
        start_time_ns=START_NS + pid * 1000,
        executable=executable,
        args=args,
        working_directory="/work",
        name=os.path.basename(executable)[:15],
        user_id=0 if pid == 103 else 1000,
        user_name="" if pid == 103 else "ada",
        group_id=1000,
        effective_user_id=0,
        cgroup_id=77,
        namespace_pid=pid - 90,
        parent=parent,
    )


INIT = process(1, "/sbin/init", ("/sbin/init",))
SHELL = process(100, "/usr/bin/bash", ("bash", "-c", "agent"), INIT)
AGENT = process(101, "/usr/bin/python3.11", ("python3", "agent.py", "--né", "\udcff"), SHELL)
ROOT = process(103, "/usr/bin/sudo", ("sudo", HOSTILE), AGENT)

CATEGORIES = {
    Action.FORK: Category.PROCESS,
    Action.EXEC: Category.PROCESS,
    Action.EXIT: Category.PROCESS,
    Action.CPU: Category.PROCESS,
    **dict.fromkeys(
        (
            Action.CONNECT, Action.BIND, Action.LISTEN, Action.ACCEPT, Action.SEND, Action.DNS, Action.FLOW,
        ),
        Category.NETWORK,
    ),
}  # fmt: skip
MOUNTS = {
    Action.MOUNT, Action.UMOUNT, Action.PIVOT_ROOT, Action.MOVE_MOUNT, Action.FSOPEN, Action.FSPICK,
    Action.FSCONFIG, Action.FSMOUNT, Action.OPEN_TREE, Action.MOUNT_SETATTR,
}  # fmt: skip
KERNEL = {Action.BPF, Action.MODULE_LOAD, Action.MODULE_UNLOAD}


def category(action: Action, detail: Detail) -> Category:
    if isinstance(detail, Boundary):
        if action in MOUNTS:
            return Category.CONFIGURATION
        return Category.DRIVER if action in KERNEL else Category.PROCESS
    return CATEGORIES.get(action, Category.FILE)


def exec_of(path: str, filename: str, args: tuple[str, ...], **changed: object) -> Exec:
    facts: dict[str, object] = {
        "inode": 131,
        "device": os.makedev(8, 1),
        "deleted": False,
        "stdin": StdioKind.TERMINAL,
        "stdout": StdioKind.PIPE,
        "stderr": StdioKind.FILE,
        "stdin_peer": "",
    }
    return Exec(path, filename, args, **(facts | changed))  # type: ignore[arg-type]


def connect_of(kind: NetworkType, ip: str, port: int, domain: str = "", path: str = "") -> Network:
    transport = "unix" if kind is NetworkType.UNIX else "tcp"
    source = {NetworkType.IPV4: ("10.0.0.2", 40001), NetworkType.IPV6: ("2001:db8::2", 40002)}
    return Network(kind, transport, ip, port, *source.get(kind, ("", 0)), domain, path)


V4 = NetworkType.IPV4


def outward(more: Spoken | Dns | Flow | None = None) -> Network:
    return Network(V4, "tcp", "198.51.100.7", 443, "10.0.0.2", 40001, "tunnel.example", "", more=more)


def inward(more: Flow | None = None) -> Network:
    return Network(V4, "tcp", "10.0.0.2", 8080, "198.51.100.9", 50001, "", "", "ingress", "", more)


OUTSIDER = Target(4242, "1092-7", "\x1b[2J\udcff", Relation.OUTSIDE)
INSIDER = Target(102, "66-1", "worker", Relation.INSIDE)
ALL = (1 << 41) - 1
USER = Credentials(1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 0, 0)
SUPER = Credentials(0, 0, 0, 0, 0, 0, 0, 0, ALL, ALL)
BOUNDARIES: dict[Action, tuple[int, Boundary]] = {
    Action.SETNS: (0, Boundary("setns", flags=("CLONE_NEWNS",), old=SUPER, new=SUPER, target=OUTSIDER)),
    Action.UNSHARE: (
        0,
        Boundary(
            "unshare",
            flags=("CLONE_NEWUSER", "CLONE_NEWNS"),
            old=USER,
            new=Credentials(1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, ALL, 1 << 21 | 1 << 63),
            user_namespace_level=1,
        ),
    ),
    Action.MOUNT: (
        errno.EPERM,
        Boundary("mount", flags=("MS_BIND", "MS_REC"), path=HOSTILE, source="/", filesystem="none"),
    ),
    Action.UMOUNT: (0, Boundary("umount2", flags=("MNT_DETACH",), path="/mnt")),
    Action.PIVOT_ROOT: (errno.EINVAL, Boundary("pivot_root", path="/new", source="/new/old")),
    Action.CHROOT: (0, Boundary("chroot", path="/jail")),
    Action.MOVE_MOUNT: (
        0,
        Boundary("move_mount", flags=("MOVE_MOUNT_F_EMPTY_PATH",), path="/mnt", source="/"),
    ),
    Action.FSOPEN: (0, Boundary("fsopen", filesystem="tmpfs", flags=("FSOPEN_CLOEXEC",))),
    Action.FSPICK: (errno.EPERM, Boundary("fspick", path="/")),
    Action.FSCONFIG: (
        0,
        Boundary("fsconfig", operation="FSCONFIG_SET_STRING", name="size", value="\udcff4k"),
    ),
    Action.FSMOUNT: (0, Boundary("fsmount", flags=("MOUNT_ATTR_RDONLY",))),
    Action.OPEN_TREE: (0, Boundary("open_tree", flags=("OPEN_TREE_CLONE",), path="/")),
    Action.MOUNT_SETATTR: (0, Boundary("mount_setattr", flags=("~MOUNT_ATTR_RDONLY",), path="/usr")),
    Action.PTRACE: (0, Boundary("ptrace", operation="PTRACE_ATTACH", target=OUTSIDER)),
    Action.PROCESS_VM_WRITE: (0, Boundary("process_vm_writev", target=INSIDER)),
    Action.PROCESS_MEM_OPEN: (0, Boundary("", target=OUTSIDER, path="/proc/4242/mem")),
    Action.PIDFD_GETFD: (0, Boundary("pidfd_getfd", target=OUTSIDER, path="/etc/shadow")),
    Action.KILL: (errno.EPERM, Boundary("kill", operation="SIGKILL", target=OUTSIDER)),
    Action.SETUID: (0, Boundary("setresuid", requested=(0, -1, 0), old=USER, new=SUPER)),
    Action.SETGID: (errno.EPERM, Boundary("setgid", requested=(0,), old=USER, new=USER)),
    Action.SETGROUPS: (errno.EPERM, Boundary("setgroups", old=USER, new=USER)),
    Action.CAPSET: (0, Boundary("capset", old=SUPER, new=Credentials(0, 0, 0, 0, 0, 0, 0, 0, ALL, 1))),
    Action.CGROUP_MOVE: (
        0,
        Boundary("", name="/else\udcff", target=Target(101, "65-1", "a", Relation.SELF)),
    ),
    Action.NETWORK_ENTER: (0, Boundary("", target=OUTSIDER, path="/usr/bin/curl")),
    Action.BPF: (
        errno.EPERM,
        Boundary("bpf", operation="BPF_PROG_LOAD", name="hide", path="/sys/fs/bpf/x"),
    ),
    Action.PERF_EVENT_OPEN: (0, Boundary("perf_event_open", operation="PERF_TYPE_TRACEPOINT")),
    Action.MODULE_LOAD: (errno.ENOSYS, Boundary("finit_module", path="/tmp/rootkit.ko", value="a=1")),
    Action.MODULE_UNLOAD: (errno.ENOSYS, Boundary("delete_module", name="nf_tables", flags=("O_NONBLOCK",))),
    Action.KEYCTL: (0, Boundary("add_key", name="session", filesystem="user")),
    Action.MEMFD_CREATE: (0, Boundary("memfd_create", name=HOSTILE, flags=("MFD_CLOEXEC",))),
    Action.IO_URING_SETUP: (0, Boundary("io_uring_setup", flags=("IORING_SETUP_SQPOLL",))),
    Action.USERFAULTFD: (0, Boundary("userfaultfd", flags=("UFFD_USER_MODE_ONLY",))),
}

REGULAR = stat.S_IFREG | 0o640
SAMPLES: list[tuple[Action, int, Process, Detail]] = [
    (Action.FORK, 0, AGENT, Fork(1, 3)),
    (Action.EXEC, 0, AGENT, exec_of("/usr/bin/python3.11", "./agent.py", AGENT.args)),
    (Action.EXEC, errno.ENOENT, AGENT, exec_of("/opt/none", "none", ("none", "-x"), inode=0, device=0)),
    (
        Action.EXEC,
        0,
        ROOT,
        exec_of(
            "/memfd:x (deleted)",
            HOSTILE,
            ROOT.args,
            deleted=True,
            stdin=StdioKind.SOCKET,
            stdin_peer="198.51.100.7:4444",
        ),
    ),
    (Action.CONNECT, 0, AGENT, connect_of(NetworkType.IPV4, "198.51.100.7", 22, "tunnel.example")),
    (Action.CONNECT, errno.ECONNREFUSED, AGENT, connect_of(NetworkType.IPV6, "2001:db8::1", 443)),
    (Action.CONNECT, 0, AGENT, connect_of(NetworkType.UNIX, "", 0, path="@/tmp/\udcfe.sock")),
    (Action.CONNECT, 0, AGENT, connect_of(NetworkType.OTHER, "", 0)),
    (
        Action.FILE_WRITE,
        0,
        AGENT,
        File(
            HOSTILE,
            inode=7,
            device=os.makedev(259, 300),
            mode=REGULAR,
            created=True,
            flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC,
        ),
    ),
    (Action.FILE_WRITE, errno.EACCES, AGENT, File("/etc/shadow", flags=os.O_RDWR)),
    (Action.FILE_WRITE, 0, AGENT, File("/tmp/#9", inode=9, device=1, mode=REGULAR, flags=os.O_TMPFILE | 2)),
    (
        Action.FILE_CLOSE,
        0,
        AGENT,
        File("/work/a", inode=7, device=1, mode=REGULAR, bytes_written=2**40, writes=31),
    ),
    (Action.FILE_RENAME, 0, AGENT, File("/work/new", original_path="/work/old")),
    (Action.FILE_UNLINK, 512, AGENT, File("/work/gone")),
    (Action.FILE_LINK, 0, AGENT, File("/work/name", original_path="/work/a")),
    (Action.FILE_SYMLINK, 0, AGENT, File("/work/link", target_path="../\udcff")),
    (Action.FILE_MKDIR, 0, AGENT, File("/work/d", mode=0o1777)),
    (Action.FILE_RMDIR, errno.ENOTEMPTY, AGENT, File("/work/d")),
    (Action.FILE_TRUNCATE, 0, AGENT, File("/work/a", inode=7, device=1, size=0)),
    (Action.FILE_CHMOD, 0, AGENT, File("/work/a", mode=0o4755)),
    (Action.FILE_CHOWN, 0, AGENT, File("/work/a", owner_id=0, group_id=-1)),
    (Action.BIND, errno.EADDRINUSE, AGENT, Network(V4, "tcp", "", 0, "127.0.0.1", 8080, "", "", "")),
    (Action.BIND, 0, AGENT, Network(NetworkType.UNIX, "unix", "", 0, "", 0, "", "/run/x.sock", "")),
    (Action.LISTEN, 0, AGENT, Network(V4, "tcp", "", 0, "0.0.0.0", 8080, "", "", "ingress")),
    (Action.ACCEPT, 0, AGENT, inward()),
    (Action.SEND, 0, AGENT, Network(V4, "udp", "192.0.2.53", 53, "", 0, "", "")),
    (
        Action.CONNECT,
        0,
        AGENT,
        Network(NetworkType.VSOCK, "stream", "", 0, "", 0, "", "cid 2 port 1024", family="vsock"),
    ),
    (Action.SEND, 0, AGENT, outward(Spoken("tls", server_name="tunnel.example"))),
    (Action.SEND, 0, AGENT, outward(Spoken("ssh", banner="SSH-2.0-\x1b[2J"))),
    (Action.SEND, 0, AGENT, outward(Spoken("stratum", method="mining.subscribe"))),
    (Action.SEND, 0, AGENT, outward(Spoken("http", domain="example.org"))),
    (Action.SEND, 0, AGENT, outward(Spoken("unknown"))),
    (Action.DNS, 0, AGENT, outward(Dns(7, False, "pypi.org", "AAAA", "IN", (), ""))),
    (
        Action.DNS,
        0,
        AGENT,
        outward(
            Dns(
                7,
                True,
                "pypi.org",
                "AAAA",
                "IN",
                (
                    Answer("pypi.org", "AAAA", "IN", 60, "2001:db8::7"),
                    Answer("pypi.org", "TXT", "IN", 0, "x"),
                ),
                "NOERROR",
            )
        ),
    ),
    (Action.DNS, 0, AGENT, outward(Dns(8, True, "\\007.x", "A", "IN", (), "NXDOMAIN"))),
    (Action.DNS, 0, AGENT, outward(None)),
    (Action.FLOW, 0, AGENT, outward(Flow(7000, 300, 0, 0, 2_000_000_007, False))),
    (Action.FLOW, 0, AGENT, inward(Flow(7000, 300, 5, 3, 17, True))),
    (Action.EXIT, 0, AGENT, Exit(3, 0)),
    (Action.EXIT, 0, ROOT, Exit(0, 9)),
    (Action.EXIT, 0, SHELL, Exit(0, 40)),
    *((action, error, AGENT, detail) for action, (error, detail) in BOUNDARIES.items()),
    (
        Action.FILE_READ,
        0,
        AGENT,
        File("/home/ada/.netrc", inode=11, device=1, mode=REGULAR, flags=os.O_CLOEXEC),
    ),
    (
        Action.FILE_WRITE,
        0,
        AGENT,
        File("/work/x", inode=13, mode=REGULAR, created=True, flags=1, contact="198.51.100.7"),
    ),
    (
        Action.FLOW,
        0,
        AGENT,
        outward(Flow(31, 23, 0, 0, 7, False, (Leg("127.0.0.1", 8080, "egress"),))),
    ),
    (Action.FILE_UNLINK, 0, AGENT, File("/work/a.txt", copy="/work/a.txt.locked")),
    (Action.CPU, 0, AGENT, Busy(398, 4, "198.51.100.7")),
]

# What was open when the watch began.
FOUND: list[tuple[Action, int, Process, Detail]] = [
    (Action.CONNECT, 0, AGENT, outward(None)),
    (Action.ACCEPT, 0, AGENT, inward(None)),
    (
        Action.FILE_WRITE,
        0,
        AGENT,
        File("/work/log", inode=77, device=8, mode=0o100644, flags=1, descriptor=5, inherited=True),
    ),
]


# By the number of the event; of the others none is known.
CONTAINERS = {
    3: Container("ab" * 32, "docker", "web", "box:1"),
    4: Container("cd" * 32, "containerd", "agent", "box:1", "agent-0", "training"),
    5: Container("", pod="agent-0", namespace="training"),
    6: Container("web\udcff"),
}


STEPS = {
    5: Step("7", "Bash", "episode-1", "call\udcff", "ab" * 16, "cd" * 8),
    6: Step("8"),
    9: Step("7", "Bash", "episode-1", "call\udcff", "ab" * 16, "cd" * 8),
}


def events() -> list[Event]:
    """The samples in order, a microsecond apart; the first and the last are what was there at the attach."""
    return [
        Event(
            sequence=number,
            time_ns=START_NS + number * 1_000,
            action=action,
            category=category(action, detail),
            outcome=Outcome.FAILURE if error else Outcome.SUCCESS,
            error=error,
            process=who,
            thread_id=who.pid + 1,
            scope=1,
            evidence=Evidence.USER if error else Evidence.KERNEL,
            snapshot=number == 1 or number > len(SAMPLES),
            truncated=(Truncation("process.args", 123_456),) if number == 2 else (),
            detail=detail,
            container=CONTAINERS.get(number),
            target="docker:web" if number in CONTAINERS else "",
            step=STEPS.get(number),
        )
        for number, (action, error, who, detail) in enumerate([*SAMPLES, *FOUND], start=1)
    ]


TUNNEL = Rule("r-1", "Reverse tunnel", Level.CRITICAL, RuleKind.DETECTION, "Leaves the sandbox.", ("T1572",))
OUTSIDE = Rule("network.connect", "Connection not allowed", Level.HIGH, RuleKind.POLICY)


def items() -> list[tuple[Event, tuple[Violation, ...]]]:
    """The events with two violations of the first connect, and one of the file with the hostile name."""
    found: list[tuple[Event, tuple[Violation, ...]]] = []
    for event in events():
        violations: tuple[Violation, ...] = ()
        if event.sequence == 5:
            violations = (
                Violation(TUNNEL, event, (Match("destination.port", "22"),), "a tunnel was opened"),
                Violation(OUTSIDE, event, (), "connected to 198.51.100.7:22"),
            )
        elif event.sequence == 9:
            violations = (Violation(OUTSIDE, event, (Match("file.path", HOSTILE),), f"wrote {HOSTILE}"),)
        found.append((event, violations))
    return found
