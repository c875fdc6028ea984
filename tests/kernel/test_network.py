"""network.bpf.c: one record for each connect, its peer from the socket."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, flags, python
from tracer.records import ConnectRecord, Flag, Kind, Peer

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP


def address(peer: Peer, data: bytes) -> str:
    if peer.family == socket.AF_INET:
        return str(ipaddress.ip_address(data[:4]))
    return str(ipaddress.ip_address(data))


def to(record: ConnectRecord) -> tuple[str, int, int]:
    """Address and port of the peer, and 0 or -errno."""
    return address(record.peer, record.peer.daddr), record.peer.dport, record.result


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listens on loopback and never accepts: the kernel completes connects by itself."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server


@pytest.fixture
def port(listener: socket.socket) -> str:
    return str(listener.getsockname()[1])


@pytest.fixture
def closed_port() -> Iterator[str]:
    """A port that is bound, so that nobody else takes it, and refuses."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield str(bound.getsockname()[1])


# ---- TCP


@pytest.mark.short
@pytest.mark.route("network: connect, TCP", Kind.CONNECT)
@pytest.mark.route("network: connect that is refused", Kind.CONNECT, failed=True)
def test_tcp(watch: Watch, port: str, closed_port: str) -> None:
    run = watch.python(
        """
good, bad = (("127.0.0.1", int(each)) for each in args)
kept = []
for i in range(17):
    kept.append(socket.socket())
    if i % 4 == 3 or i == 16:
        assert fails(kept[-1].connect, bad) == errno.ECONNREFUSED
    else:
        kept[-1].connect(good)
        print(kept[-1].getsockname()[1])
""",
        port,
        closed_port,
    )
    good, bad = ("127.0.0.1", int(port), 0), ("127.0.0.1", int(closed_port), -errno.ECONNREFUSED)
    assert [to(each) for each in run.connects] == [bad if i % 4 == 3 or i == 16 else good for i in range(17)]
    assert {(each.type, each.peer.family, each.peer.protocol) for each in run.connects} == {
        (socket.SOCK_STREAM, socket.AF_INET, TCP)
    }
    assert [each.peer.sport for each in run.connects if not each.result] == [
        int(line) for line in run.output.split()
    ]
    assert {address(each.peer, each.peer.saddr) for each in run.connects} == {"127.0.0.1"}
    assert {flags(each) for each in run.connects} == {Flag(0)}
    assert len(run.acts) == 17 + len(run.flows)
    assert [each.peer.dport for each in run.flows] == [int(port)] * 12


def test_tcp6(watch: Watch) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        with socket.socket(socket.AF_INET6) as bound:
            bound.bind(("::1", 0))
            refused = bound.getsockname()[1]
            run = watch.python(
                """
first, second = socket.socket(socket.AF_INET6), socket.socket(socket.AF_INET6)
first.connect(("::1", int(args[0])))
assert fails(second.connect, ("::1", int(args[1]))) == errno.ECONNREFUSED
""",
                str(port),
                str(refused),
            )
    assert [to(each) for each in run.connects] == [
        ("::1", port, 0),
        ("::1", refused, -errno.ECONNREFUSED),
    ]
    assert {each.peer.family for each in run.connects} == {socket.AF_INET6}


def test_v4_mapped(watch: Watch, port: str, closed_port: str) -> None:
    run = watch.python(
        """
first, second = socket.socket(socket.AF_INET6), socket.socket(socket.AF_INET6)
first.connect(("::ffff:127.0.0.1", int(args[0])))
assert fails(second.connect, ("::ffff:127.0.0.1", int(args[1]))) == errno.ECONNREFUSED
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.connect(("::ffff:127.0.0.1", 53))
""",
        port,
        closed_port,
    )
    mapped = str(ipaddress.ip_address("::ffff:127.0.0.1"))
    assert [to(each) for each in run.connects] == [
        (mapped, int(port), 0),
        (mapped, int(closed_port), -errno.ECONNREFUSED),
        (mapped, 53, 0),
    ]


def test_without_waiting(watch: Watch, port: str, closed_port: str) -> None:
    """A connect in progress, and the calls that ask how it went, are one act."""
    run = watch.python(
        """
import select
for each in args:
    client = socket.socket()
    client.setblocking(False)
    assert client.connect_ex(("127.0.0.1", int(each))) == errno.EINPROGRESS
    select.select([], [client], [])
    answer = client.connect_ex(("127.0.0.1", int(each)))
    assert answer == (0 if each == args[0] else errno.ECONNREFUSED)
    if each == args[0]:
        assert client.connect_ex(("127.0.0.1", int(args[1]))) == errno.EISCONN
""",
        port,
        closed_port,
    )
    assert [(each.peer.dport, each.result) for each in run.connects] == [
        (int(port), 0),
        (int(closed_port), -errno.ECONNREFUSED),
    ]


def test_a_socket_used_again(watch: Watch, port: str, closed_port: str) -> None:
    """AF_UNSPEC dissolves the association, which is no connect; the next one is."""
    run = watch.python(
        """
client = socket.socket()
unspecified = struct.pack("H14x", socket.AF_UNSPEC)
assert fails(client.connect, ("127.0.0.1", int(args[1]))) == errno.ECONNREFUSED
client.connect(("127.0.0.1", int(args[0])))
assert call(42, client.fileno(), unspecified, 16) == 0
client.connect(("127.0.0.1", int(args[0])))
""",
        port,
        closed_port,
    )
    assert [(each.peer.dport, each.result) for each in run.connects] == [
        (int(closed_port), -errno.ECONNREFUSED),
        (int(port), 0),
        (int(port), 0),
    ]


@pytest.mark.route("network: TCP fast open, without connect", Kind.CONNECT, failed=True)
def test_fast_open_sets_off_without_connect(watch: Watch, listener: socket.socket, port: str) -> None:
    """The SYN goes with the first data; how it ends is not seen. The next connect keeps its own peer."""
    run = watch.python(
        """
client, other = socket.socket(), socket.socket()
client.sendto(b"data", socket.MSG_FASTOPEN, ("127.0.0.1", int(args[0])))
other.connect(("127.0.0.2", int(args[1])))
""",
        port,
        *served_on("127.0.0.2"),
    )
    first, second = run.connects
    assert to(first) == ("127.0.0.1", int(port), -errno.EINPROGRESS)
    assert address(second.peer, second.peer.daddr) == "127.0.0.2"


def served_on(host: str) -> list[str]:
    server = socket.create_server((host, 0))
    KEPT.append(server)
    return [str(server.getsockname()[1])]


KEPT: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close_servers() -> Iterator[None]:
    yield
    while KEPT:
        KEPT.pop().close()


def test_unreachable_is_what_the_caller_asked_for(watch: Watch) -> None:
    """No SYN is sent, so no socket holds the peer."""
    run = watch.python(
        """
CLONE_NEWNET = 0x40000000
assert call(272, CLONE_NEWNET) == 0
assert fails(socket.socket().connect, ("192.0.2.7", 4444)) == errno.ENETUNREACH
six = fails(socket.socket(socket.AF_INET6).connect, ("2001:db8::7", 4444))
assert six in (errno.ENETUNREACH, errno.EADDRNOTAVAIL)
"""
    )
    four, six = run.connects
    assert to(four) == ("192.0.2.7", 4444, -errno.ENETUNREACH)
    assert to(six)[:2] == ("2001:db8::7", 4444)
    assert six.result < 0
    assert {flags(each) for each in run.connects} == {watch.by_name}


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A port whose backlog is full: the next SYN gets no answer, and connect(2) waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        with socket.create_connection(full.getsockname()):
            yield str(full.getsockname()[1])


SIGNALLED = """
import signal
def interrupt(pid, wait):
    for number in signals:
        wait()
        os.kill(pid, number)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, interrupts)
when_in_call(42, interrupt)
client = socket.socket()
loopback = struct.pack("!H4s8x", int(args[0]), socket.inet_aton("127.0.0.1"))
assert call(42, client.fileno(), struct.pack("H", socket.AF_INET) + loopback, 16) == -errno.EINTR
"""


def test_interrupted_by_a_signal(watch: Watch, silent_port: str) -> None:
    """The attempt goes on."""
    run = watch.python("signals, interrupts = [10], True" + SIGNALLED, silent_port)
    assert [to(each) for each in run.connects] == [("127.0.0.1", int(silent_port), -errno.EINTR)]


def test_begun_again_after_signals_and_killed(watch: Watch, silent_port: str) -> None:
    """The kernel begins the call again, which is no act; a thread that dies in it leaves nothing behind."""
    run = watch.run(*python("signals, interrupts = [10] * 5 + [9], False" + SIGNALLED), silent_port)
    assert run.status == -9
    assert [to(each) for each in run.connects] == [("127.0.0.1", int(silent_port), -errno.EINTR)]
    assert under_way(watch) == []


def under_way(watch: Watch) -> list[bytes]:
    """Threads that the probes believe to be in connect(2)."""
    return watch.source.probes.map("connecting").keys(4)


def test_the_kernel_sees_through_another_family_in_the_callers_memory(watch: Watch) -> None:
    """AF_UNSPEC written over the address during the call would hide it from who believes the caller."""
    run = watch.python("""
import threading
client = socket.socket(type=socket.SOCK_DGRAM)
loopback = struct.pack("!H4s8x", 53, socket.inet_aton("127.0.0.1"))
address = ctypes.create_string_buffer(struct.pack("H", socket.AF_INET) + loopback)
done = False
def overwrite():
    while not done:
        address[0:2] = b"\\0\\0"
        address[0:2] = b"\\2\\0"
thread = threading.Thread(target=overwrite)
thread.start()
reached = 0
for _ in range(499):
    call(42, client.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)
    call(42, client.fileno(), address, 16)
    try:
        client.getpeername()
        reached += 1
    except OSError:
        pass
done = True
thread.join()
print(reached)
""")
    assert int(run.output) > 0
    assert len([each for each in run.connects if not each.result]) == int(run.output)


# ---- datagrams


@pytest.mark.short
@pytest.mark.route("network: connect, UDP", Kind.CONNECT)
def test_udp(watch: Watch) -> None:
    run = watch.python("""
client = socket.socket(type=socket.SOCK_DGRAM)
for port in (53, 123, 53):
    client.connect(("127.0.0.1", port))
assert call(42, client.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16) == 0
assert fails(client.connect, ("127.255.255.255", 9)) == errno.EACCES
""")
    assert [to(each) for each in run.connects] == [
        ("127.0.0.1", 53, 0),
        ("127.0.0.1", 123, 0),
        ("127.0.0.1", 53, 0),
        ("127.255.255.255", 9, -errno.EACCES),
    ]
    assert {(each.type, each.peer.protocol) for each in run.connects} == {(socket.SOCK_DGRAM, UDP)}
    assert [flags(each) for each in run.connects] == [Flag(0)] * 3 + [watch.by_name]


# ---- unix


@pytest.mark.short
@pytest.mark.route("network: connect, unix", Kind.CONNECT)
def test_unix(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
servers = [socket.socket(socket.AF_UNIX) for _ in range(2)]
servers[0].bind("socket")
servers[1].bind(b"\\0rubicon\\0test" + args[0].encode())
for each in servers: each.listen()
for name in ("socket", b"\\0rubicon\\0test" + args[0].encode(), args[0] + "/socket"):
    socket.socket(socket.AF_UNIX).connect(name)
""",
        here,
        cwd=here,
    )
    abstract = f"\0rubicon\0test{here}"
    assert [(each.path, each.name, each.result) for each in run.connects] == [
        (f"{here}/socket", "socket", 0),
        ("/", abstract, 0),
        (f"{here}/socket", "socket", 0),
    ]
    assert {(each.peer.family, flags(each)) for each in run.connects} == {(socket.AF_UNIX, Flag(0))}


def test_unix_failures(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
bound = socket.socket(socket.AF_UNIX)
bound.bind("deaf")
for name in ("missing", b"\\0missing\\0name", "deaf", "x" * 107):
    print(fails(socket.socket(socket.AF_UNIX).connect, name))
full = struct.pack("H108s", socket.AF_UNIX, b"y" * 108)
client = socket.socket(socket.AF_UNIX)
print(-call(42, client.fileno(), full, len(full)))
""",
        cwd=here,
    )
    names = ["missing", "\0missing\0name", "deaf", "x" * 107, "y" * 108]
    errors = [errno.ENOENT, errno.ECONNREFUSED, errno.ECONNREFUSED, errno.ENOENT, errno.ENOENT]
    assert list(map(int, run.output.split())) == errors
    assert [(each.name, -each.result) for each in run.connects] == list(zip(names, errors, strict=True))
    assert {flags(each) for each in run.connects} == {watch.by_name}


def test_unix_datagrams(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
server, client = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
server.bind("log")
client.connect("log")
assert call(42, client.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16) == 0
""",
        cwd=here,
    )
    assert [(each.path, each.type, each.result) for each in run.connects] == [
        (f"{here}/log", socket.SOCK_DGRAM, 0)
    ]


# ---- what is asked of nobody


def test_no_socket_no_event(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
address = struct.pack("H14x", socket.AF_INET)
assert call(42, 999, address, 16) == -errno.EBADF
assert call(42, os.open("/", os.O_RDONLY), address, 16) == -errno.ENOTSOCK
stream, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
for each in (stream, datagrams):
    assert call(42, each.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16) == 0
pair = socket.socketpair()
"""
    )
    assert run.acts == []


def test_another_thread_closes_the_descriptor(watch: Watch, silent_port: str) -> None:
    """The caller cannot hide a connect by closing the socket while it is under way."""
    run = watch.python(
        """
import signal, threading
def interrupt(pid, wait):
    wait()
    os.write(written, b"x")
    os.read(done, 1)
    os.kill(pid, signal.SIGUSR1)
def close():
    os.read(read, 1)
    client.close()
    os.write(closed, b"x")
(read, written), (done, closed) = os.pipe(), os.pipe()
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, True)
client = socket.socket()
thread = threading.Thread(target=close)
when_in_call(42, interrupt)
thread.start()
loopback = struct.pack("!H4s8x", int(args[0]), socket.inet_aton("127.0.0.1"))
assert call(42, client.fileno(), struct.pack("H", socket.AF_INET) + loopback, 16) == -errno.EINTR
thread.join()
""",
        silent_port,
    )
    assert [to(each) for each in run.connects] == [("127.0.0.1", int(silent_port), -errno.EINTR)]
