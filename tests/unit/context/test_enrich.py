"""Each kind of record as an event: names, results, and what is said when something could not be read."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from typing import Any

import pytest

from tests.records import (
    ADA,
    BOOT_NS,
    SECOND_NS,
    SESSION,
    boundary,
    closed,
    connect,
    exec_failed,
    execve,
    flow,
    fork,
    leave,
    named,
    opened,
    payload,
    peer,
    snapshot,
)
from tracer.context import Context
from tracer.context.enrich import PATHS_KEPT
from tracer.errors import TraceError
from tracer.events import (
    Action,
    Category,
    Event,
    Evidence,
    Exec,
    Exit,
    File,
    Network,
    NetworkType,
    Outcome,
    StdioKind,
    Truncation,
)
from tracer.records import NO_DESCRIPTOR, Act, FileId, Flag, Kind, Record


class Equal:
    """Compares by value what has no equality of its own."""

    def __init__(self, wanted: object) -> None:
        self.wanted = wanted

    def __eq__(self, other: object) -> bool:
        return repr(other) == repr(self.wanted)

    def __repr__(self) -> str:
        return repr(self.wanted)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def context() -> Context:
    """A session with /bin/agent running as 100."""
    made = Context(SESSION)
    made.event(execve(100, "/bin/agent", 1))
    return made


def network(event: Event) -> Network:
    assert isinstance(event.detail, Network)
    return event.detail


def file(event: Event) -> File:
    assert isinstance(event.detail, File)
    return event.detail


def execution(event: Event) -> Exec:
    assert isinstance(event.detail, Exec)
    return event.detail


def test_every_kind_has_its_action_and_category() -> None:
    context = Context(SESSION)
    records: list[Record] = [
        fork(100, 1),
        execve(100, "/bin/sh"),
        exec_failed(100, "none"),
        leave(100),
        snapshot(100, "/bin/sh"),
        connect(100, peer("10.0.0.1", 22)),
        opened(100, "/x"),
        closed(100, "/x"),
        *(named(kind, 100, "/work", "a", "/work", "b") for kind in Kind if Kind.RENAME <= kind <= Kind.CHOWN),
        boundary(Act.PTRACE, 100, 16),
        *(connect(100, peer("10.0.0.1", 22), kind=kind) for kind in (Kind.BIND, Kind.LISTEN, Kind.ACCEPT)),
        payload(Kind.SEND, 100, peer("10.0.0.1", 22), b"data"),
        flow(100, peer("10.0.0.1", 22)),
        payload(Kind.HEAD, 100, peer("10.0.0.1", 22), b"data"),
        payload(Kind.DNS, 100, peer("10.0.0.1", 53), b"data"),
    ]
    assert [record.kind for record in records] == [kind for kind in Kind if kind != Kind.CGROUP]
    events = [context.event(record) for record in records]
    assert [event.sequence for event in events] == list(range(1, 26))
    assert [event.action.value for event in events] == [
        "fork", "exec", "exec", "exit", "exec", "connect", "file_write", "file_close", "file_rename",
        "file_unlink", "file_link", "file_symlink", "file_mkdir", "file_rmdir", "file_truncate", "file_chmod",
        "file_chown", "ptrace", "bind", "listen", "accept", "send", "flow", "send", "dns",
    ]  # fmt: skip
    assert [event.category for event in events] == (
        [Category.PROCESS] * 5
        + [Category.NETWORK]
        + [Category.FILE] * 11
        + [Category.PROCESS]
        + [Category.NETWORK] * 7
    )
    assert [event.snapshot for event in events] == [record.kind == Kind.PROCESS for record in records]


def test_kind_that_is_not_known(context: Context) -> None:
    with pytest.raises(TraceError, match="kind 99"):
        context.event(opened(100, "/x", kind=99))
    assert context.event(opened(100, "/x")).sequence == 2  # a bad record takes no number


def test_head(context: Context) -> None:
    event = context.event(opened(100, "/x", 5 * SECOND_NS, tid=107, scope=3))
    assert (event.time_ns, event.thread_id, event.scope) == (BOOT_NS + 5 * SECOND_NS, 107, 3)
    assert event.process.executable == "/bin/agent"


@pytest.mark.parametrize(
    ("record", "outcome", "error"),
    [
        (opened(100, "/x", result=3), Outcome.SUCCESS, 0),
        (opened(100, "/x", result=-13), Outcome.FAILURE, errno.EACCES),
        (named(Kind.UNLINK, 100, "/", "a", result=-2), Outcome.FAILURE, errno.ENOENT),
        (exec_failed(100, "a", result=-8), Outcome.FAILURE, errno.ENOEXEC),
        (connect(100, peer("10.0.0.1", 1), result=-111), Outcome.FAILURE, errno.ECONNREFUSED),
        (connect(100, peer("10.0.0.1", 1), result=-115), Outcome.UNKNOWN, errno.EINPROGRESS),
        (connect(100, peer("10.0.0.1", 1), result=-4), Outcome.UNKNOWN, errno.EINTR),
        (opened(100, "/x", result=-4), Outcome.FAILURE, errno.EINTR),
    ],
)
def test_outcome(context: Context, record: Record, outcome: Outcome, error: int) -> None:
    event = context.event(record)
    assert (event.outcome, event.error) == (outcome, error)


def test_evidence(context: Context) -> None:
    assert context.event(opened(100, "/x")).evidence is Evidence.KERNEL
    assert context.event(named(Kind.UNLINK, 100, "/", "a")).evidence is Evidence.USER


# --- processes ---


def test_exec(context: Context) -> None:
    record = execve(
        100, "/usr/bin/python3.11", 9, "python3", "-c", "\udcff", name="./agent.py", uid=7, gid=8, euid=0,
        stdio=bytes([3, 2, 4, 0]), stdin_peer=peer("198.51.100.7", 4444), comm=b"agent\0junk\xff".ljust(16),
    )  # fmt: skip
    context.learn([{"type": "user", "id": 7, "name": "ada"}])
    event = context.event(record)
    process, detail = event.process, execution(event)
    assert (process.executable, process.args) == ("/usr/bin/python3.11", ("python3", "-c", "\udcff"))
    assert (process.name, process.working_directory) == ("agent", "/work")
    assert (process.user_id, process.user_name, process.group_id, process.effective_user_id) == (
        7,
        "ada",
        8,
        0,
    )
    assert (detail.path, detail.filename, detail.args) == (process.executable, "./agent.py", process.args)
    assert (detail.stdin, detail.stdout, detail.stderr) == (
        StdioKind.SOCKET, StdioKind.PIPE, StdioKind.TERMINAL,
    )  # fmt: skip
    assert (detail.stdin_peer, detail.inode, detail.device, detail.deleted) == (
        "198.51.100.7:4444",
        131,
        8,
        False,
    )


@pytest.mark.parametrize(
    ("stdin", "to", "text"),
    [
        (3, peer("2001:db8::1", 80), "[2001:db8::1]:80"),
        (3, peer("::ffff:10.0.0.1", 80), "10.0.0.1:80"),
        (3, peer("10.0.0.1", 0), ""),  # not connected
        (3, peer(family=socket.AF_UNIX), ""),
        (1, peer("10.0.0.1", 80), ""),  # not a socket
    ],
)
def test_peer_of_stdin(context: Context, stdin: int, to: Any, text: str) -> None:
    event = context.event(execve(100, "/bin/sh", 9, stdio=bytes([stdin, 0, 0, 0]), stdin_peer=to))
    assert execution(event).stdin_peer == text


@pytest.mark.parametrize("stdio", [b"", b"\xff\x07\x06\x00"])
def test_streams_of_a_kind_that_is_not_known(context: Context, stdio: bytes) -> None:
    detail = execution(context.event(execve(100, "/bin/sh", 9, stdio=stdio)))
    assert (detail.stdin, detail.stdout, detail.stderr) == (StdioKind.OTHER,) * 3


@pytest.mark.parametrize("make", [execve, snapshot])
def test_program_without_a_name_is_written_as_in_proc(context: Context, make: Any) -> None:
    event = context.event(make(100, "/memfd:x", 9, flags=int(Flag.DELETED)))
    assert execution(event).deleted
    assert execution(event).path == event.process.executable == "/memfd:x (deleted)"


def test_failed_exec_leaves_the_process_and_names_what_was_tried(context: Context) -> None:
    event = context.event(exec_failed(100, "../none", args=("none", "-x")))
    detail = execution(event)
    assert event.process.executable == "/bin/agent"
    assert (detail.path, detail.filename, detail.args) == ("/none", "../none", ("none", "-x"))


def test_snapshot_is_the_state_at_the_attach(context: Context) -> None:
    context.learn([{"type": "process", "pid": 50, "start_ns": 50 * SECOND_NS, "args": ["sh", "-l"]}])
    event = context.event(
        snapshot(50, "/bin/sh", 9, stdio=bytes([3, 2, 4, 0]), stdin_peer=peer("198.51.100.7", 4444))
    )
    detail = execution(event)
    assert (event.action, event.snapshot, event.process.args) == (Action.EXEC, True, ("sh", "-l"))
    assert (detail.path, detail.filename, detail.args) == ("/bin/sh", "/bin/sh", ("sh", "-l"))
    assert (detail.stdin, detail.stdin_peer) == (StdioKind.SOCKET, "198.51.100.7:4444")


@pytest.mark.parametrize(
    "record",
    [
        connect(100, peer("198.51.100.7", 22), 9, flags=int(Flag.FOUND)),
        opened(100, "/work/log", 9, flags=int(Flag.FOUND)),
    ],
)
def test_found_open_is_the_state_at_the_attach(context: Context, record: Record) -> None:
    event = context.event(record)
    assert (event.snapshot, event.outcome) == (True, Outcome.SUCCESS)
    assert not isinstance(event.detail, File) or event.detail.inherited


@pytest.mark.parametrize(
    ("status", "code", "signal"),
    [(0, 0, 0), (3 << 8, 3, 0), (255 << 8, 255, 0), (9, 0, 9), (11 | 0x80, 0, 11)],
)
def test_exit_status(context: Context, status: int, code: int, signal: int) -> None:
    detail = context.event(leave(100, 9, status=status)).detail
    assert isinstance(detail, Exit)
    assert (detail.code, detail.signal) == (code, signal)


def test_the_user_of_a_process_follows_its_credentials(context: Context) -> None:
    """From the act on, for it and for whom it forks; the events before it keep theirs."""
    context.learn([{"type": "user", "id": 65534, "name": "nobody"}])
    context.event(execve(100, "/bin/agent", 9))
    nobody = replace(ADA, uid=65534, euid=65534, gid=65534)
    act = context.event(boundary(Act.SETUID, 100, 65534, time_ns=20, new=nobody))
    after, before = context.event(opened(100, "/a", 30)), context.event(opened(100, "/b", 15))
    child = context.event(fork(101, 100, 40))
    later = context.event(execve(100, "/bin/id", 50, uid=65534, gid=65534, euid=65534))
    users = [each.process.user_id for each in (act, before, after, child, later)]
    assert users == [1000, 1000, 65534, 65534, 65534]
    assert (after.process.user_name, after.process.effective_user_id) == ("nobody", 65534)
    assert (after.process.group_id, after.process.executable) == (65534, "/bin/agent")


@pytest.mark.parametrize(
    ("act", "changes"), [(Act.SETUID, {"result": -errno.EPERM}), (Act.SETUID, {"tid": 107}), (Act.PTRACE, {})]
)
def test_credentials_that_are_not_those_of_the_process(
    context: Context, act: Act, changes: dict[str, Any]
) -> None:
    """Refused; of one thread alone; of an act that changes none."""
    context.event(execve(100, "/bin/agent", 9))
    nobody = replace(ADA, uid=65534)
    context.event(boundary(act, 100, time_ns=20, new=nobody, **changes))
    assert context.event(opened(100, "/a", 30)).process.user_id == 1000


# --- network ---


def test_connect(context: Context) -> None:
    context.learn([{"type": "name", "domain": "tunnel.example", "addresses": ["198.51.100.7"]}])
    to = peer("198.51.100.7", 22, source="10.0.0.2", sport=40001)
    assert network(context.event(connect(100, to))) == Equal(
        Network(
            NetworkType.IPV4,
            "tcp",
            "198.51.100.7",
            22,
            "10.0.0.2",
            40001,
            "tunnel.example",
            "",
            first_contact=True,
        )
    )


@pytest.mark.parametrize(
    ("to", "kind", "transport", "ip"),
    [
        (peer("2001:db8::1", 53, protocol=17), NetworkType.IPV6, "udp", "2001:db8::1"),
        (peer("::ffff:10.0.0.1", 80), NetworkType.IPV4, "tcp", "10.0.0.1"),
        (peer("10.0.0.1", 80, protocol=262), NetworkType.IPV4, "tcp", "10.0.0.1"),
        (peer("::1", 0, protocol=58), NetworkType.IPV6, "icmp", "::1"),
        (peer("10.0.0.1", 5, protocol=132), NetworkType.IPV4, "sctp", "10.0.0.1"),
        (peer("0.0.0.0", 80), NetworkType.IPV4, "tcp", "0.0.0.0"),
        (peer("::", 80), NetworkType.IPV6, "tcp", "::"),
        (peer(family=16, protocol=9), NetworkType.NETLINK, "audit", ""),
        (peer(family=31, protocol=3), NetworkType.OTHER, "3", ""),
    ],
)
def test_families_and_transports(
    context: Context, to: Any, kind: NetworkType, transport: str, ip: str
) -> None:
    found = network(context.event(connect(100, to)))
    assert (found.type, found.transport, found.destination_ip) == (kind, transport, ip)


def test_address_that_could_not_be_read_is_not_made_up(context: Context) -> None:
    to = replace(peer("0.0.0.0"), family=int(socket.AF_INET))
    flags = int(Flag.UNREADABLE | Flag.USER_EVIDENCE)
    assert network(context.event(connect(100, to, flags=flags, result=-14))).destination_ip == ""


@pytest.mark.parametrize(
    ("path", "name", "shown"),
    [
        ("/run/x.sock", "x.sock\0", "/run/x.sock"),
        ("/", "\0bus/\udcfe\0tail", "@bus/\udcfe\0tail"),
        ("", "/run/none.sock", "/run/none.sock"),
        ("/", "", ""),
    ],
)
def test_unix_peer(context: Context, path: str, name: str, shown: str) -> None:
    to = peer(family=socket.AF_UNIX, protocol=0)
    found = network(context.event(connect(100, to, path=path, name=name)))
    assert (found.type, found.transport, found.path) == (NetworkType.UNIX, "unix", shown)


# --- files ---


def test_open(context: Context) -> None:
    assert file(context.event(opened(100, "/work/a"))) == Equal(
        File(
            "/work/a",
            inode=7,
            device=8,
            flags=0o1101,
            mode=0o100644,
            created=True,
            descriptor=3,
            made_here=True,
        )
    )
    refused = opened(100, "/work", name="../etc/shadow", result=-13, flags=1, inode=0, created=0)
    found = file(context.event(refused))
    assert (found.path, found.descriptor) == ("/etc/shadow", -1)


def test_open_without_a_descriptor(context: Context) -> None:
    found = file(context.event(opened(100, "/work/a", result=NO_DESCRIPTOR)))
    assert (found.path, found.descriptor) == ("/work/a", -1)


def test_open_without_a_file_to_look_at(context: Context) -> None:
    """It succeeded, and is known by name only."""
    event = context.event(opened(100, "/work", name="a", inode=0, device=0, flags=int(Flag.LATE)))
    assert (file(event).path, event.outcome) == ("/work/a", Outcome.SUCCESS)


def test_an_end_that_was_not_seen(context: Context) -> None:
    late = opened(100, "/work", name="a", inode=0, result=-errno.EINPROGRESS, flags=int(Flag.LATE))
    assert context.event(late).outcome is Outcome.UNKNOWN


def test_written_through_a_mapping(context: Context) -> None:
    event = context.event(closed(100, "/work/a", flags=int(Flag.MAPPED)))
    assert event.truncated == (Truncation("rubicon.file.bytes_written", 0),)


def test_open_before_the_watch(context: Context) -> None:
    found = file(context.event(opened(100, "/log", result=1, flags=int(Flag.INHERITED), created=0)))
    assert (found.inherited, found.descriptor, found.created) == (True, 1, False)


def test_what_the_sandbox_was_started_with_is_known_by_the_file_and_not_by_its_number() -> None:
    log, other, inherited = FileId(31, 8), FileId(37, 8), int(Flag.INHERITED)

    def redirected(context: Context, written: FileId, **changes: int) -> bool:
        facts = {"inode": written.inode, "device": written.device, "flags": inherited, "result": 1} | changes
        return file(context.event(opened(100, "/log", **facts))).redirected

    run = Context(SESSION | {"targets": ["run"]})
    run.event(execve(100, "/bin/sh", stdout_file=log))
    run.event(execve(100, "/bin/cat", stdout_file=other))  # not the command: it chose that itself
    assert redirected(run, log, result=9)
    assert not redirected(run, other)
    assert not redirected(run, FileId(log.inode, 9))
    assert not redirected(run, log, flags=0)
    attached = Context(SESSION | {"targets": ["pid:100"]})
    attached.event(snapshot(100, "/bin/sh", stdin_file=log))
    attached.event(snapshot(101, "/bin/sh", stderr_file=FileId(41, 8)))
    attached.event(execve(102, "/bin/cat", stdout_file=other))
    assert redirected(attached, log)
    assert redirected(attached, FileId(41, 8))
    assert not redirected(attached, other)


def test_close(context: Context) -> None:
    assert file(context.event(closed(100, "/work/a", bytes=2**40, writes=31))) == Equal(
        File("/work/a", inode=7, device=8, mode=0o100644, bytes_written=2**40, writes=31)
    )


def test_late_close_has_the_path_of_the_open(context: Context) -> None:
    late = closed(100, "/", 9, flags=int(Flag.LATE))
    assert file(context.event(late)).path == ""
    context.event(opened(100, "/work/a", 5))
    context.event(leave(100, 7))
    event = context.event(late)
    assert (file(event).path, event.process.executable) == ("/work/a", "/bin/agent")
    assert file(context.event(replace(late, device=9))).path == ""


def test_remembered_paths_are_bounded(context: Context) -> None:
    for inode in range(1, 3 * PATHS_KEPT):
        context.event(opened(100, "/work/a", inode=inode))
    assert len(context._paths) <= 2 * PATHS_KEPT


def test_chroot_and_descriptor_and_hostile_bytes(context: Context) -> None:
    def path(*strings: str) -> str:
        return file(context.event(named(Kind.UNLINK, 100, *strings))).path

    assert path("/jail", "/etc/x") == "/jail/etc/x"
    assert path("/work/by-descriptor") == "/work/by-descriptor"
    assert path("/work", "\x1b[2J\n\udcff") == "/work/\x1b[2J\n\udcff"


@pytest.mark.parametrize("kind", [Kind.RENAME, Kind.LINK])
def test_two_names(context: Context, kind: Kind) -> None:
    found = file(context.event(named(kind, 100, "/work", "old", "/other", "./new")))
    assert (found.path, found.original_path) == ("/other/new", "/work/old")


def test_symlink_keeps_its_target_as_given(context: Context) -> None:
    found = file(context.event(named(Kind.SYMLINK, 100, "/work", "link", "", "../a/./b")))
    assert (found.path, found.target_path) == ("/work/link", "../a/./b")


def test_names_go_through_links_that_were_made_under_watch(context: Context) -> None:
    def path(kind: Kind, name: str, *more: str, **changes: Any) -> str:
        return file(context.event(named(kind, 100, "/work", name, *more, **changes))).path

    nofollow, follow = 0x100 << 32, 0x400
    assert path(Kind.SYMLINK, "refused", "", "/etc", result=-errno.EPERM) == "/work/refused"
    assert path(Kind.SYMLINK, "out", "", "/etc") == "/work/out"
    assert path(Kind.UNLINK, "refused/x") == "/work/refused/x"
    assert path(Kind.UNLINK, "out/passwd") == "/etc/passwd"
    assert path(Kind.MKDIR, "out/new", result=-errno.EACCES) == "/etc/new"
    assert path(Kind.RENAME, "a", "/work", "out/a") == "/etc/a"
    assert path(Kind.LINK, "a", "/work", "out/a") == "/etc/a"
    assert path(Kind.TRUNCATE, "out") == "/etc"
    assert path(Kind.CHMOD, "out") == "/etc"
    assert path(Kind.CHMOD, "out", value=nofollow) == "/work/out"
    assert path(Kind.CHOWN, "out") == "/etc"
    assert path(Kind.CHOWN, "out", value=nofollow) == "/work/out"
    linked = context.event(named(Kind.LINK, 100, "/work", "out", "/work", "b", value=follow))
    assert file(linked).original_path == "/etc"
    refused = opened(100, "/work", name="out/passwd", result=-errno.EACCES, flags=Flag.USER_EVIDENCE)
    assert file(context.event(refused)).path == "/etc/passwd"


def test_a_link_that_is_gone_leads_nowhere(context: Context) -> None:
    def after(*records: Record) -> str:
        """Where out/x leads when after the link this happened."""
        for record in (named(Kind.SYMLINK, 100, "/work", "out", "", "/etc"), *records):
            context.event(record)
        return file(context.event(named(Kind.UNLINK, 100, "/work", "out/x"))).path

    assert after() == "/etc/x"
    assert after(named(Kind.UNLINK, 100, "/work", "out", result=-errno.EACCES)) == "/etc/x"
    assert after(named(Kind.UNLINK, 100, "/work", "out")) == "/work/out/x"
    assert after(named(Kind.RENAME, 100, "/work", "out", "/work", "b")) == "/work/out/x"
    assert after(named(Kind.RENAME, 100, "/work", "c", "/work", "out", value=2)) == "/work/out/x"
    assert after(named(Kind.RENAME, 100, "/work", "out", "/work", "d", value=2)) == "/work/out/x"
    assert after(named(Kind.MKDIR, 100, "/work", "out")) == "/work/out/x"
    assert after(opened(100, "/work/out", created=1)) == "/work/out/x"
    assert file(context.event(named(Kind.UNLINK, 100, "/work", "c/x"))).path == "/etc/x"


def test_attributes(context: Context) -> None:
    def made(kind: Kind, value: int, value2: int = 0) -> File:
        return file(context.event(named(kind, 100, "/work", "a", value=value, value2=value2)))

    assert made(Kind.MKDIR, 0o1777).mode == 0o1777
    assert made(Kind.CHMOD, 0o104755).mode == 0o4755
    assert made(Kind.TRUNCATE, 5).size == 5
    owners = [made(Kind.CHOWN, *values) for values in ((0, 2**32 - 1), (2**64 - 1, 1000))]
    assert [(found.owner_id, found.group_id) for found in owners] == [(0, -1), (-1, 1000)]
    assert file(context.event(named(Kind.CHMOD, 100, "/work/a", value=0))).inode == 7


def test_names_that_could_not_be_read(context: Context) -> None:
    flags = int(Flag.USER_EVIDENCE | Flag.UNREADABLE)

    def path(directory: str, name: str) -> str:
        return file(context.event(named(Kind.UNLINK, 100, directory, name, flags=flags, result=-14))).path

    assert path("/work", "") == ""  # and not the directory
    assert path("", "a") == "a"  # relative to a descriptor that is not open


# --- what was cut ---


@pytest.mark.parametrize(
    ("record", "cuts"),
    [
        (execve(100, "/a", flags=Flag.ARGS_CUT, args_total=200_000), [("process.args", 200_000)]),
        (execve(100, "/aaa", cwd="/", flags=Flag.PATH_CUT, cut_bytes=5000), [("process.executable", 5000)]),
        (execve(100, "/a", cwd="/bbb", flags=Flag.PATH_CUT, cut_bytes=9), [("process.working_directory", 9)]),
        (
            execve(100, "/aaa", cwd="/", flags=Flag.PATH_CUT | Flag.ARGS_CUT, cut_bytes=7, args_total=7),
            [("process.executable", 0), ("process.args", 7)],
        ),
        (exec_failed(100, "a", flags=Flag.ARGS_CUT), [("rubicon.attempted.args", 0)]),
        (connect(100, peer(family=1), flags=Flag.NAME_CUT, cut_bytes=9), [("destination.address", 9)]),
        (opened(100, "/a", flags=Flag.PATH_CUT, cut_bytes=5000), [("file.path", 5000)]),
        (named(Kind.RENAME, 100, "/aaa", "b", "/", "c", flags=Flag.PATH_CUT, cut_bytes=9),
         [("file.Ext.original.path", 9)]),
        (named(Kind.LINK, 100, "/", "b", "/aaa", "c", flags=Flag.PATH_CUT, cut_bytes=9), [("file.path", 9)]),
        (opened(100, "/a", flags=Flag.UNREADABLE | Flag.DELETED), []),
    ],
)  # fmt: skip
def test_truncation_names_the_field(context: Context, record: Record, cuts: list[tuple[str, int]]) -> None:
    record.flags = int(record.flags)
    assert context.event(record).truncated == tuple(Truncation(*cut) for cut in cuts)


# --- context records ---


def test_context_records_that_are_damaged_are_counted_and_others_passed_over(context: Context) -> None:
    records: list[dict[str, Any]] = [
        {"type": "user", "id": "x", "name": "ada"},
        {"type": "user"},
        {"type": "name", "domain": 5},
        {"type": "process", "pid": 1},
        {"type": "notice", "message": 7},
        {"type": "who knows"},
        {"type": "user", "id": 5, "name": "ada"},
    ]
    assert context.learn(records) == 4


@pytest.mark.parametrize("session", [{}, {"boot_offset_ns": "0"}, {"boot_offset_ns": -1}])
def test_session_without_the_time_of_the_boot(session: dict[str, Any]) -> None:
    with pytest.raises(TraceError, match="boot_offset_ns"):
        Context(session)
