"""uring.bpf.c: acts by io_uring give the same events as system calls, whichever thread carries them out."""

from __future__ import annotations

import errno
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.watching import Run, Watch, closed, flags, opened, where, where_to
from tracer.records import NO_DESCRIPTOR, Act, CloseRecord, Flag, Kind

KERNEL, LATE = Flag(0), Flag.LATE
PLAIN, THREAD, WORKER, ASKED, WORKER_OF_THREAD = "-", "s", "a", "d", "sa"
MODES = [PLAIN, THREAD, WORKER, ASKED, WORKER_OF_THREAD]
in_every_mode = pytest.mark.parametrize(
    "modes", MODES, ids=["plain", "sqpoll", "async", "defer", "sqpoll-async"]
)


class Ports:
    """One that answers and one that refuses, a UDP one and a unix listener."""

    def __init__(self, here: Path) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.bound, self.udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.bound.bind(("127.0.0.1", 0))
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(here / "listener"))
        self.unix.listen(64)
        self.open, self.closed, self.datagrams = (
            each.getsockname()[1] for each in (self.server, self.bound, self.udp)
        )

    def close(self) -> None:
        for each in (self.server, self.bound, self.udp, self.unix):
            each.close()


@pytest.fixture
def ports(here: Path) -> Iterator[Ports]:
    ports = Ports(here)
    yield ports
    ports.close()


def uring(
    watch: Watch, here: Path, modes: str, *acts: object, **options: object
) -> tuple[Run, list[int | None]]:
    """The run, and the result of each act; None where it was not told."""
    run = watch.trigger("uring", modes, *map(str, acts), cwd=here, **options)
    if run.status == 77:
        pytest.skip("this kernel has no io_uring of that kind")
    assert run.status == 0, run.output
    return run, [None if each == b"?" else int(each) for each in run.output.split()]


@pytest.mark.short
@pytest.mark.route("io_uring: open, write, close", Kind.OPEN, Kind.CLOSE)
@in_every_mode
def test_files(watch: Watch, here: Path, modes: str) -> None:
    """Opened, written in every way, and closed: 23 files of each kind of open."""
    acts: list[object] = []
    for i in range(23):
        acts += ["open", f"a{i}", "write", 3 + i, "writev", 5, "writefixed", 7, "close"]
        acts += ["open2", f"b{i}", "write", 11, "close"]
        acts += ["read", f"a{i}", "close"]
    run, _ = uring(watch, here, modes, *acts)
    paths = [f"{here}/{letter}{i}" for i in range(23) for letter in "ab"]
    assert opened(run.opens) == [(path, 0) for path in paths]
    totals = [total for i in range(23) for total in ((3 + i + 5 + 7, 3), (11, 1))]
    inodes = {each.inode: each.path for each in run.opens}
    found = sorted((paths.index(inodes[each.inode]), each.bytes, each.writes) for each in run.closes)
    assert found == [(i, *total) for i, total in enumerate(totals)]
    assert {(flags(each), each.created) for each in run.opens} == {(KERNEL, 1)}
    # A request holds its file a little longer than its end is told; the close is then found by the sweep.
    assert {flags(each) for each in run.closes} <= {KERNEL, LATE}
    assert [each.act for each in run.boundaries] == [Act.IO_URING_SETUP]
    assert len(run.records) == 3 + 4 * 23
    assert {each.pid for each in run.records} == {run.pid}


@pytest.mark.short
@pytest.mark.route(
    "io_uring: rename, unlink, link, symlink, mkdir, rmdir",
    Kind.RENAME,
    Kind.UNLINK,
    Kind.LINK,
    Kind.SYMLINK,
    Kind.MKDIR,
    Kind.RMDIR,
)
@in_every_mode
def test_names(watch: Watch, here: Path, modes: str) -> None:
    acts: list[object] = []
    for i in range(19):
        acts += ["mkdir", f"d{i}", "symlink", "target", f"s{i}", "link", f"s{i}", f"l{i}"]
        acts += ["rename", f"l{i}", f"d{i}/r", "unlink", here / f"d{i}/r", "rmdir", f"d{i}"]
    run, results = uring(watch, here, modes, *acts)
    assert results == [0] * 6 * 19
    found = [(each.kind, where(each), where_to(each), each.name2) for each in run.paths()]
    assert found == [
        act
        for i in range(19)
        for act in (
            (Kind.MKDIR, f"{here}/d{i}", "/", ""),
            (Kind.SYMLINK, f"{here}/s{i}", "/target", "target"),
            (Kind.LINK, f"{here}/s{i}", f"{here}/l{i}", f"l{i}"),
            (Kind.RENAME, f"{here}/l{i}", f"{here}/d{i}/r", f"d{i}/r"),
            (Kind.UNLINK, f"{here}/d{i}/r", "/", ""),
            (Kind.RMDIR, f"{here}/d{i}", "/", ""),
        )
    ]
    assert {(each.result, flags(each)) for each in run.paths()} == {(0, KERNEL)}
    assert run.paths(Kind.MKDIR)[0].value == 0o750
    assert len(run.acts) == 6 * 19


@in_every_mode
def test_failures(watch: Watch, here: Path, modes: str) -> None:
    (here / "full").mkdir()
    (here / "full/file").touch()
    acts = ["open", "no/file", "rename", "no", "new", "unlink", "no", "rmdir", "full", "mkdir", "full"]
    acts += ["symlink", "to", "full", "link", "no", "new", "write", "7"]
    run, results = uring(watch, here, modes, *acts)
    errors = [
        errno.ENOENT,
        errno.ENOENT,
        errno.ENOENT,
        errno.ENOTEMPTY,
        errno.EEXIST,
        errno.EEXIST,
        errno.ENOENT,
    ]
    assert results == [*(-each for each in errors), -errno.EBADF]
    assert [(each.kind, each.result) for each in run.acts] == [
        (kind, -error)
        for kind, error in zip(
            (Kind.OPEN, Kind.RENAME, Kind.UNLINK, Kind.RMDIR, Kind.MKDIR, Kind.SYMLINK, Kind.LINK),
            errors,
            strict=True,
        )
    ]
    assert {flags(each) for each in run.acts} == {KERNEL}
    assert opened(run.opens) == [(f"{here}/no/file", -errno.ENOENT)]


@pytest.mark.route("io_uring: connect", Kind.CONNECT)
@in_every_mode
def test_connects(watch: Watch, here: Path, ports: Ports, modes: str) -> None:
    acts: list[object] = []
    for _ in range(13):
        acts += ["tcp", ports.open, "tcp", ports.closed, "udp", ports.datagrams]
        acts += ["unix", "listener", "unix", "no", "unix", "@no"]
    run, _ = uring(watch, here, modes, *acts)
    refused = -errno.ECONNREFUSED
    inet = [(each.peer.dport, each.type, each.result) for each in run.connects if each.peer.dport]
    assert (
        inet
        == [
            (ports.open, socket.SOCK_STREAM, 0),
            (ports.closed, socket.SOCK_STREAM, refused),
            (ports.datagrams, socket.SOCK_DGRAM, 0),
        ]
        * 13
    )
    unix = [(each.path, each.name, each.result) for each in run.connects if not each.peer.dport]
    assert (
        unix
        == [
            (f"{here}/listener", f"{here}/listener", 0),
            ("/", "no", -errno.ENOENT),
            ("/", "\0no", refused),
        ]
        * 13
    )
    assert {each.peer.daddr[:4] for each in run.connects if each.peer.dport} == {bytes([127, 0, 0, 1])}
    evidence = Counter(flags(each) for each in run.connects)
    assert evidence in (
        {KERNEL: 6 * 13},
        {KERNEL: 4 * 13, Flag.USER_EVIDENCE: 2 * 13},
    )  # before 6.9 the latter
    assert [each.type for each in run.flows].count(socket.SOCK_STREAM) == 13
    # The ring's own thread may let go of a socket after the process has exited, so not by `acts`.
    others = (Kind.EXEC, Kind.EXIT, Kind.FLOW, Kind.BOUNDARY)
    acts = [each for each in run.records if each.kind not in others]
    assert len(acts) == 6 * 13
    assert {each.pid for each in run.records} == {run.pid}


def test_who_did_it(watch: Watch, here: Path) -> None:
    """The thread that submits: the program's own, or that of the ring."""
    run, _ = uring(watch, here, PLAIN, "mkdir", "a")
    assert [each.tid - run.pid for each in run.acts] == [0]
    run, _ = uring(watch, here, THREAD, "mkdir", "b", "rmdir", "b")
    threads = {each.tid for each in run.acts}
    assert len(threads) == 1
    assert threads != {run.pid}


@pytest.mark.route("io_uring: ftruncate, fallocate", Kind.TRUNCATE)
def test_truncate_and_allocate(watch: Watch, here: Path) -> None:
    """To allocate is a write of no bytes."""
    run, results = uring(watch, here, PLAIN, "open", "f", "allocate", 100, "truncate", 13, "close")
    if results[2] == -errno.EINVAL:
        pytest.skip("this kernel has no truncate by io_uring")
    (truncate,) = run.paths()
    assert (truncate.kind, where(truncate), truncate.value) == (Kind.TRUNCATE, f"{here}/f", 13)
    assert (truncate.inode, flags(truncate)) == (run.opens[0].inode, KERNEL)
    assert closed(run.closes) == [(f"{here}/f", 0, 1)]


@pytest.mark.route("io_uring: file without a descriptor", Kind.OPEN)
@in_every_mode
def test_a_file_without_a_descriptor(watch: Watch, here: Path, modes: str) -> None:
    """Opened into the ring's own table, and written there; the ring's end closes it."""
    run, results = uring(watch, here, modes, "slot", "f", "writeslot", 7, "writeslot", 11)
    assert results == [0, 7, 11]
    (open_,) = run.opens
    assert (open_.path, open_.result, open_.created, flags(open_)) == (f"{here}/f", NO_DESCRIPTOR, 1, KERNEL)
    assert len(run.records) == 3 + len(run.opens) + len(run.closes)
    closes = run.closes
    while not closes:  # the kernel takes a ring apart in its own time
        time.sleep(0.01)
        closes = [each for each in watch.records() if isinstance(each, CloseRecord)]
    assert [(each.bytes, each.writes) for each in closes] == [(18, 2)]


@in_every_mode
def test_opened_before_the_watch(watch: Watch, here: Path, modes: str) -> None:
    with open(here / "out", "wb") as out:
        run, _ = uring(watch, here, modes, *["writeto", out.fileno(), 17] * 5, pass_fds=[out.fileno()])
        assert [(each.path, each.result, each.created, each.flags) for each in run.opens] == [
            (f"{here}/out", out.fileno(), 0, Flag.INHERITED)
        ]
    assert len(run.acts) == 1
    assert (here / "out").stat().st_size == 5 * 17


def test_all_at_once(watch: Watch, here: Path) -> None:
    """As many requests as a ring of this size takes; none is lost."""
    acts = [word for i in range(4093) for word in ("unlink", f"no{i}")]
    run, results = uring(watch, here, "b", *acts)
    assert results == [-errno.ENOENT] * 4093
    assert Counter(map(where, run.paths(Kind.UNLINK))) == Counter(f"{here}/no{i}" for i in range(4093))


def test_names_of_any_length(watch: Watch, here: Path) -> None:
    """Those that need more room than usual, and as many of them as there is room for."""
    names = [f"{'x' * 255}/{'y' * 255}/{i:0240}" for i in range(61)]
    run, _ = uring(watch, here, "b", *[word for name in names for word in ("rename", name, name)])
    assert sorted((where(each), where_to(each)) for each in run.paths()) == [
        (f"{here}/{name}", f"{here}/{name}") for name in names
    ]


def test_more_than_can_be_kept(fresh_watch: Watch, here: Path) -> None:
    names = [f"{'x' * 255}/{'y' * 255}/{i}" for i in range(64 + 29)]
    acts = [word for name in names for word in ("unlink", name)]
    run = fresh_watch.trigger("uring", "b", *acts, cwd=here, lossy=True)
    if run.status == 77:
        pytest.skip("this kernel has no io_uring")
    lost = len(names) - len(run.paths())
    assert fresh_watch.source.losses() == ({"RB_LOST_REQUEST": lost} if lost else {})
    assert len(run.paths()) >= 64


def test_a_chain_stops_where_one_fails(watch: Watch, here: Path) -> None:
    """What is never carried out is no act."""
    run, results = uring(watch, here, "bl", "mkdir", "a", "read", "no", "mkdir", "b", "open", "c")
    assert results == [0, -errno.ENOENT, -errno.ECANCELED, -errno.ECANCELED]
    assert [(each.kind, where(each)) for each in run.paths()] == [(Kind.MKDIR, f"{here}/a")]
    assert len(run.acts) == 1


def test_what_never_happens_is_no_act(watch: Watch, here: Path) -> None:
    run, _ = uring(watch, here, "bln", "hang", "mkdir", "a", "open", "b")
    assert run.acts == []
    assert sorted(here.iterdir()) == []


@pytest.mark.route("io_uring: without completions", Kind.OPEN)
@pytest.mark.parametrize("modes", ["k", "o"], ids=["no word of success", "no room for completions"])
def test_without_completions(watch: Watch, here: Path, ports: Ports, modes: str) -> None:
    """The end is found later, with the result."""
    acts = ["mkdir", "a", "open", "b", "unlink", "no", "rename", "no", "new"]
    acts += ["udp", ports.datagrams, "tcp", ports.open, "tcp", ports.closed, "unix", "listener"]
    with open(here / "out", "wb") as out:
        acts += ["writeto", out.fileno(), "7"]
        run, _ = uring(watch, here, modes, *acts, pass_fds=[out.fileno()])
    made = [each for each in run.opens if not each.flags & Flag.INHERITED]
    assert [(where(each), each.result >= 0, flags(each)) for each in made] == [(f"{here}/b", True, LATE)]
    assert sorted((each.kind, where(each), each.result) for each in run.paths()) == [
        (Kind.RENAME, f"{here}/no", -errno.ENOENT),
        (Kind.UNLINK, f"{here}/no", -errno.ENOENT),
        (Kind.MKDIR, f"{here}/a", 0),
    ]
    assert sorted((each.peer.dport, each.name, each.result) for each in run.connects) == sorted(
        [
            (ports.datagrams, "", 0),
            (ports.open, "", 0),
            (ports.closed, "", -errno.ECONNREFUSED),
            (0, "listener", 0),
        ]
    )
    (inherited,) = (each for each in run.opens if each.flags & Flag.INHERITED)
    assert inherited.path == f"{here}/out"
    assert {each.pid for each in run.acts} == {run.pid}
    assert len(run.acts) == 9 + len(run.closes) + len(run.flows)


def test_strangers_are_not_seen(watch: Watch, here: Path) -> None:
    """A ring of a process out of scope leaves nothing behind."""

    done = subprocess.run(
        [watch.triggers("uring"), "-", "mkdir", "a", "open", "b", "write", "7", "tcp", "9"],
        cwd=here,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel has no io_uring")
    assert watch.records() == []
    assert (here / "b").stat().st_size == 7
