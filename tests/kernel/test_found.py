"""found.bpf.c: what is open already when the watch begins, once each, and what becomes of it."""

from __future__ import annotations

import os
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.kernel.test_scope import NewCgroup, end, kinds, running
from tests.kernel.watching import SECONDS_MAX, Watch, flags
from tracer.capture import Wanted
from tracer.records import (
    CloseRecord,
    ConnectRecord,
    ExecRecord,
    Flag,
    FlowRecord,
    Kind,
    OpenRecord,
    PayloadRecord,
    Record,
)

READY = "print(os.getpid(), flush=True)\nsys.stdin.read()\n"


def found(records: list[Record]) -> list[Record]:
    return [each for each in records if each.flags & Flag.FOUND]


def sockets(records: list[Record], kind: Kind) -> list[ConnectRecord]:
    return [each for each in found(records) if isinstance(each, ConnectRecord) and each.kind == kind]


def files(records: list[Record]) -> list[OpenRecord]:
    return [each for each in found(records) if isinstance(each, OpenRecord)]


# ---- sockets


TCP = """
family = getattr(socket, args[0])
server = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
print(server.getsockname()[1], flush=True)
clients, accepted = [], []
for _ in range(13):
    clients.append(socket.socket(family))
    clients[-1].connect(server.getsockname())
    if len(accepted) < 11: accepted.append(server.accept()[0])
bound = socket.socket(family)
bound.bind(("", 0))
"""


@pytest.mark.short
@pytest.mark.route(
    "network: connected or listening before the attach", Kind.CONNECT, Kind.LISTEN, Kind.ACCEPT
)
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_tcp(watch: Watch, family: str) -> None:
    """Both ends of each connection, which of them began it, and who listens. Only to be bound is nothing."""
    with running(TCP + READY, family, lines=2) as (process, (port, pid)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        records = watch.records()
        end(process)
    assert len(found(records)) == len(records) - 1 == 13 + 11 + 1
    (listening,) = sockets(records, Kind.LISTEN)
    assert (listening.peer.sport, listening.peer.dport, listening.type) == (port, 0, 1)
    out, inward = sockets(records, Kind.CONNECT), sockets(records, Kind.ACCEPT)
    assert [each.peer.dport for each in out] == [port] * 13
    assert {each.peer.sport for each in inward} == {port}
    assert {each.peer.dport for each in inward} < {each.peer.sport for each in out}
    assert len({each.peer.dport for each in inward}) == 11
    loopback = socket.inet_pton(socket.AF_INET, "127.0.0.1") + bytes(12)
    if family == "AF_INET6":
        loopback = socket.inet_pton(socket.AF_INET6, "::1")
    assert {(each.peer.daddr, each.peer.saddr) for each in out + inward} == {(loopback, loopback)}
    assert {(each.pid, each.tid, each.result, flags(each)) for each in found(records)} == {
        (pid, pid, 0, Flag.FOUND)
    }


def test_a_connect_that_is_not_through_yet(watch: Watch) -> None:
    """The queue of the server is full: the kernel drops the SYN."""
    code = """
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(0)
clients = [socket.socket() for _ in range(3)]
for each in clients:
    each.setblocking(False)
    each.connect_ex(server.getsockname())
print(server.getsockname()[1], flush=True)

"""
    with running(code + READY, lines=2) as (process, (port, pid)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        records = watch.records()
        end(process)
    results = Counter(each.result for each in sockets(records, Kind.CONNECT) if each.peer.dport == port)
    assert results == {0: 1, -115: 2}


def test_datagrams(watch: Watch) -> None:
    code = """
bound, connected, unused = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(3))
bound.bind(("127.0.0.1", 0))
connected.connect(bound.getsockname())
print(bound.getsockname()[1], flush=True)
"""
    with running(code + READY, lines=2) as (process, (port, pid)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        records = watch.records()
        end(process)
    assert [(each.kind, each.type) for each in found(records)] == [(Kind.BIND, 2), (Kind.CONNECT, 2)]
    assert [each.peer.sport for each in sockets(records, Kind.BIND)] == [port]
    assert [each.peer.dport for each in sockets(records, Kind.CONNECT)] == [port]


UNIX = """
def pair(name, kind=socket.SOCK_STREAM):
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(name)
    if kind != socket.SOCK_DGRAM: server.listen(1)
    client = socket.socket(socket.AF_UNIX, kind)
    client.connect(name)
    return [server, client, server.accept()[0] if kind != socket.SOCK_DGRAM else None]
os.chdir(args[0])
kept = [pair("named"), pair("\\0abstract"), pair("packets", socket.SOCK_SEQPACKET)]
kept += [pair("grams", socket.SOCK_DGRAM), socket.socketpair()]
"""


def test_unix(watch: Watch, here: Path) -> None:
    """A pair without names is nothing to tell."""
    with running(UNIX + READY, here) as (process, (pid,)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        records = watch.records()
        end(process)
    named = [(each.kind, each.type, each.path, each.name) for each in found(records)]  # type: ignore[attr-defined]
    both = [Kind.LISTEN, Kind.CONNECT, Kind.ACCEPT]
    assert named == [
        *((kind, 1, f"{here}/named", "named") for kind in both),
        *((kind, 1, "/", "\0abstract") for kind in both),
        *((kind, 5, f"{here}/packets", "packets") for kind in both),
        *((kind, 2, f"{here}/grams", "grams") for kind in (Kind.BIND, Kind.CONNECT)),
    ]


def test_what_goes_through_it_from_there_on(watch: Watch) -> None:
    """First bytes and totals; of TCP those of its whole life."""
    code = """
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.send(b"b" * 5)
gram = socket.socket(type=socket.SOCK_DGRAM)
gram.connect(server.getsockname())
"""
    after = """
client.send(b"a" * 7); peer.send(b"r" * 3); gram.send(b"g" * 11)
client.recv(3, socket.MSG_WAITALL); peer.recv(12, socket.MSG_WAITALL)  # it has arrived
client.close(); peer.close(); gram.close()
"""
    with running(code + READY + after) as (process, (pid,)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        assert len(found(watch.records())) == 4
        end(process)
    records = watch.records()
    heads = [each for each in records if isinstance(each, PayloadRecord)]
    assert sorted((each.data, each.ingress) for each in heads) == [
        (b"a" * 7, 0),
        (b"g" * 11, 0),
        (b"r" * 3, 1),
    ]
    flows = [each for each in records if isinstance(each, FlowRecord)]
    assert [(each.ingress, each.bytes_out, each.bytes_in, each.pid, flags(each)) for each in flows] == [
        (0, 12, 3, pid, Flag(0)),
        (1, 3, 12, pid, Flag(0)),
        (0, 11, 0, pid, Flag(0)),
    ]
    assert not sockets(records, Kind.CONNECT)


# ---- files


FILES = """
os.chdir(args[0])
read = open("read", "w"); read.close(); read = open("read")
kept = [open(f"file{i}", "w") for i in range(17)]
gone = open("gone", "w"); os.unlink("gone")
other = [os.open("/dev/null", os.O_RDWR), os.eventfd(0), *os.pipe(), os.open(".", os.O_RDONLY)]
"""


@pytest.mark.short
@pytest.mark.route("file: open for writing before the attach", Kind.OPEN)
def test_files(watch: Watch, here: Path) -> None:
    """Those open for writing. A write to one of them is no second event; the totals are from here on."""
    code = FILES + "kept[0].write('before'); kept[0].flush()\n" + READY
    after = "for each in kept[:7]: each.write('after'); each.close()\n"
    with running(code + after, here) as (process, (pid,)):
        assert watch.source.add_process(Wanted(pid), 1) == 1
        records = watch.records()
        end(process)
    assert len(found(records)) == 18
    assert sorted(each.path for each in files(records)) == sorted(
        [f"{here}/gone", *(f"{here}/file{i}" for i in range(17))]
    )
    assert {(each.created, each.open_flags & os.O_ACCMODE, each.name) for each in files(records)} == {
        (0, os.O_WRONLY, "")
    }
    assert {each.path: flags(each) for each in files(records) if flags(each) != Flag.FOUND} == {
        f"{here}/gone": Flag.FOUND | Flag.DELETED
    }
    first = next(each for each in files(records) if each.path == f"{here}/file0")
    stat = (here / "file0").stat()
    assert (first.inode, first.device, first.mode) == (stat.st_ino, stat.st_dev, stat.st_mode)
    assert first.result > 2
    rest = watch.records()
    assert kinds(rest, Kind.OPEN) == []
    closed = [(each.path, each.bytes, each.writes) for each in rest if isinstance(each, CloseRecord)]
    assert sorted(closed) == sorted(
        [
            *((f"{here}/file{i}", 5, 1) for i in range(7)),
            *((f"{here}/file{i}", 0, 0) for i in range(7, 17)),
            (f"{here}/gone", 0, 0),
        ]
    )


# ---- once each


def test_shared_by_many_processes(watch: Watch, here: Path) -> None:
    """One description is one event, whoever holds it; a second attach finds nothing new."""
    code = (
        FILES
        + TCP.replace("args[0]", "'AF_INET'")
        + UNIX.split("os.chdir", maxsplit=1)[0]
        + """
kept += pair("named")
for _ in range(5):
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
"""
    )
    with running(code + READY, here, lines=2) as (process, (_port, pid)):
        assert watch.source.add_process(Wanted(pid), 1) == 6
        first = watch.records()
        with running(READY) as (other, _):
            assert watch.source.add_process(Wanted(other.pid), 1) == 1
            second = watch.records()
            end(other)
        end(process)
    assert Counter(each.kind for each in found(first)) == {
        Kind.OPEN: 18,
        Kind.LISTEN: 2,
        Kind.CONNECT: 14,
        Kind.ACCEPT: 12,
    }
    assert [each.kind for each in second] == [Kind.PROCESS]


BUSY = """
import threading
os.chdir(args[0])
server = socket.create_server(("127.0.0.1", 0), backlog=64)
local = socket.socket(socket.AF_UNIX)
local.bind("local")
local.listen(64)
going = True
def work(number):
    i = 0
    while going:
        file = open(f"f{number}-{i}", "w")
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        near = socket.socket(socket.AF_UNIX)
        near.connect("local")
        far, _ = local.accept()
        file.write("x"); file.flush()
        if os.fork() == 0:
            file.write("y"); file.flush()
            os._exit(0)
        for each in (file, client, peer, near, far): each.close()
        os.wait()
        os.unlink(f"f{number}-{i}")
        i += 1
thread = threading.Thread(target=work, args=(0,))
thread.start()
print(os.getpid(), flush=True)
sys.stdin.read()
going = False
thread.join()
"""


@pytest.mark.parametrize("attempt", range(5))
def test_attach_while_it_opens_busily(watch: Watch, here: Path, attempt: int) -> None:
    """Each file is opened once and closed once, each connection begun once, by the attach or by its call; but
    for the one call that was under way in the very moment of the attach, which may be told twice or not."""
    with running(BUSY, here) as (process, (pid,)):
        assert watch.source.add_process(Wanted(pid), 1) >= 1
        records: list[Record] = []
        while len(kinds(records, Kind.CLOSE)) < 53:
            assert watch.source.wait(SECONDS_MAX)
            records += watch.records()
        end(process)
    records += watch.records()
    opened = Counter(each.path for each in records if isinstance(each, OpenRecord))
    closes = [each for each in records if isinstance(each, CloseRecord)]
    closed = Counter(each.path for each in closes if not each.flags & Flag.LATE)  # LATE ones have no path
    assert opened.total() - len(opened) <= 1
    assert (closed - opened).total() <= 1
    assert abs(len(closes) - len(opened)) <= 1
    ports = Counter(
        (each.kind, each.peer.sport, each.peer.dport)
        for each in records
        if isinstance(each, ConnectRecord) and each.peer.family == socket.AF_INET
    )
    assert ports.total() - len(ports) <= 1
    local = Counter(each.kind for each in records if isinstance(each, ConnectRecord) and each.name == "local")
    assert abs(local[Kind.CONNECT] - len(opened)) <= 1
    assert local[Kind.LISTEN] == 1


def test_in_a_cgroup(watch: Watch, new_cgroup: NewCgroup, here: Path) -> None:
    """Of those in it, and of those alone."""
    cgroup = new_cgroup("found")
    code = FILES + TCP.replace("args[0]", "'AF_INET'")
    (here / "in").mkdir()
    (here / "out").mkdir()
    with (
        running(code + READY, here / "in", lines=2) as (inside, _),
        running(code + READY, here / "out", lines=2) as (outside, _),
    ):
        (cgroup.path / "cgroup.procs").write_text(str(inside.pid))
        assert watch.source.add_cgroup(cgroup.id, 1) == 1
        records = watch.records()
        end(inside)
        end(outside)
    assert {each.pid for each in records} == {inside.pid}
    assert len(files(records)) == 18
    assert len(found(records)) == 18 + 25


WRITES = "os.write(int(sys.stdin.readline()), b'x')\n"


def test_who_is_moved_into_a_cgroup_later(watch: Watch, new_cgroup: NewCgroup, here: Path) -> None:
    """What it has open is told as it comes, once, and its first write is no second record."""
    cgroup = new_cgroup("later")
    code = FILES + TCP.replace("args[0]", "'AF_INET'")
    assert watch.source.add_cgroup(cgroup.id, 1) == 0
    with running(code + READY, here, lines=2) as (process, (_port, pid)):
        (cgroup.path / "cgroup.procs").write_text(str(pid))
        records = watch.records()
        assert watch.source.add_cgroup(cgroup.id, 1) == 0
        again = watch.records()
        end(process)
    (joined,) = [each for each in records if isinstance(each, ExecRecord)]
    assert (joined.kind, joined.pid, flags(joined)) == (Kind.PROCESS, pid, Flag.JOINED)
    assert len(files(records)) == 18
    assert len(found(records)) == len(records) - 1 == 18 + 25
    assert {each.pid for each in records} == {pid}
    assert found(again) == []


def test_who_builds_a_container_brings_nothing_along(
    fresh_watch: Watch, new_cgroup: NewCgroup, here: Path
) -> None:
    """It is the runtime: a file that it forgot to close is told when the container writes to it."""
    cgroup = new_cgroup("built")
    code = "log = open(os.path.join(args[0], 'log'), 'w')\nprint(log.fileno(), flush=True)\n"
    code += "print(os.getpid(), flush=True)\n" + WRITES
    fresh_watch.source.mark_container(1)
    assert fresh_watch.source.add_cgroup(cgroup.id, 1) == 0
    with running(code, here, lines=2) as (process, (descriptor, pid)):
        (cgroup.path / "cgroup.procs").write_text(str(pid))
        assert process.stdin
        process.stdin.write(f"{descriptor}\n".encode())
        end(process)
        records = fresh_watch.records()
    assert found(records) == []
    (written,) = [each for each in records if isinstance(each, OpenRecord)]
    assert (written.path, flags(written)) == (f"{here}/log", Flag.INHERITED)


def test_a_command_that_is_started_for_the_watch_has_nothing_before(watch: Watch, here: Path) -> None:
    """What `rubicon run` hands on to it is reported when it is used."""
    with socket.create_server(("127.0.0.1", 0)) as server, open(here / "log", "w") as log:
        passed = [server.fileno(), log.fileno()]
        run = watch.python("os.write(int(args[0]), b'x')", str(log.fileno()), pass_fds=passed)
    assert found(run.records) == []
    assert [(each.path, flags(each)) for each in run.opens] == [(f"{here}/log", Flag.INHERITED)]


def test_the_standard_streams_of_who_is_there(watch: Watch, here: Path) -> None:
    """A shell that takes its commands from the network already."""
    code = """
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
if os.fork() == 0:
    os.dup2(client.fileno(), 0)
    os.dup2(os.open(args[0], os.O_WRONLY | os.O_CREAT), 2)
    os.execv("/bin/sh", ["sh"])
print(server.getsockname()[1], flush=True)
"""
    after = "peer.close()\nos.wait()\n"
    with running(code + READY + after, here / "errors", lines=2) as (process, (port, pid)):
        while "sh" not in Path(f"/proc/{child_of(pid)}/comm").read_text():
            os.sched_yield()
        assert watch.source.add_process(Wanted(pid), 1) == 2
        records = watch.records()
        end(process)
    (shell,) = [each for each in records if isinstance(each, ExecRecord) and each.pid != pid]
    assert (shell.stdio[:3], shell.stdin_peer.dport) == (bytes([3, 2, 1]), port)


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
