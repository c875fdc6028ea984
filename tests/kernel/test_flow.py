"""flow.h: one record for each internet socket that was used, with what went through it, when it is closed."""

from __future__ import annotations

import socket

import pytest

from tests.kernel.watching import Watch, flags
from tracer.records import Flag, FlowRecord, Kind


def ends(record: FlowRecord) -> tuple[int, int, int]:
    """Port of the peer, bytes out, bytes in."""
    return record.peer.dport, record.bytes_out, record.bytes_in


@pytest.mark.short
@pytest.mark.route("network: bytes and duration, TCP", Kind.FLOW)
def test_bytes_of_tcp_by_every_route(watch: Watch) -> None:
    """From the kernel's own count: what went by sendfile and splice, and what was read by read(2), too."""
    run = watch.python("""
import threading
def serve(server):
    for _ in range(7):
        peer, _ = server.accept()
        while data := peer.recv(65536): pass
        peer.sendall(b"r" * 131)
        peer.close()
server = socket.create_server(("127.0.0.1", 0))
thread = threading.Thread(target=serve, args=(server,))
thread.start()
file = os.memfd_create("data")
os.write(file, b"f" * 5003)
def by_sendfile(s): os.sendfile(s.fileno(), file, 0, 5003)
def by_splice(s):
    read, write = os.pipe()
    os.write(write, b"p" * 5003)
    os.splice(read, s.fileno(), 5003)
ways = [
    lambda s: s.send(b"x" * 5003),
    lambda s: s.sendto(b"x" * 5003, 0),
    lambda s: os.write(s.fileno(), b"x" * 5003),
    lambda s: os.writev(s.fileno(), [b"x" * 3, b"y" * 5000]),
    lambda s: s.sendmsg([b"x" * 5000, b"y" * 3]),
    by_sendfile,
    by_splice,
]
ways[1] = lambda s: call(44, s.fileno(), b"x" * 5003, 5003, 0, 0, 0)
for way in ways:
    client = socket.create_connection(server.getsockname())
    way(client)
    client.shutdown(socket.SHUT_WR)
    while os.read(client.fileno(), 100): pass
    client.close()
thread.join()
print(server.getsockname()[1])
""")
    port = int(run.output)
    out = [each for each in run.flows if not each.ingress]
    accepted = [each for each in run.flows if each.ingress]
    assert [ends(each) for each in out] == [(port, 5003, 131)] * 7
    assert [(each.bytes_out, each.bytes_in) for each in accepted] == [(131, 5003)] * 7
    assert {each.peer.sport for each in accepted} == {port}
    assert {flags(each) for each in run.flows} == {Flag(0)}
    assert {(each.type, each.packets_in, each.packets_out) for each in run.flows} == {(1, 0, 0)}
    heads = [each for each in run.said(Kind.HEAD) if not each.ingress]
    assert [(len(each.data), each.result) for each in heads] == [(2048, 5003)] * 5 + [(0, 5003)] * 2


def test_a_socket_is_closed_when_the_last_holder_lets_go(watch: Watch) -> None:
    run = watch.python("""
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
copy = client.dup()
if not os.fork():
    client.close()
    copy.send(b"x" * 17)
    os._exit(0)
os.wait()
client.close()
assert fails(os.mkdir, "/") == errno.EEXIST
copy.close()
assert fails(os.rmdir, "/") in (errno.EBUSY, errno.EPERM)
""")
    kinds = [each.kind for each in run.acts if each.kind in (Kind.FLOW, Kind.MKDIR, Kind.RMDIR)]
    assert kinds == [Kind.MKDIR, Kind.FLOW, Kind.RMDIR]
    (flow,) = run.flows
    assert (flow.pid, flow.bytes_out, flow.duration_ns > 0) == (run.pid, 17, True)


def test_left_open_at_the_end_and_never_established(watch: Watch) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        run = watch.python(
            """
server = socket.create_server(("127.0.0.1", 0))
refused, kept = socket.socket(), socket.create_connection(server.getsockname())
assert fails(refused.connect, ("127.0.0.1", int(args[0]))) == errno.ECONNREFUSED
late = socket.socket()
late.setblocking(False)
late.connect_ex(("127.0.0.1", int(args[0])))
kept.send(b"seven..")
os._exit(0)
""",
            str(bound.getsockname()[1]),
        )
    (flow,) = run.flows
    assert flow.bytes_out == 7


@pytest.mark.short
@pytest.mark.route("network: bytes and duration, UDP", Kind.FLOW)
def test_datagrams_are_counted(watch: Watch) -> None:
    run = watch.python("""
server, one, many = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(3))
server.bind(("127.0.0.1", 0))
one.connect(server.getsockname())
for size in (3, 5, 7): one.send(b"x" * size)
for size in (2, 4): many.sendto(b"x" * size, server.getsockname())
for _ in range(5): server.recvfrom(100)
server.sendto(b"x" * 11, one.getsockname())
one.recv(100, socket.MSG_PEEK)
one.recv_into(bytearray(100))
for each in (server, one, many): each.close()
""")
    assert [(each.packets_in, each.bytes_in, each.packets_out, each.bytes_out) for each in run.flows] == [
        (5, 21, 1, 11),
        (1, 11, 3, 15),
        (0, 0, 2, 6),
    ]
    server, one, many = run.flows
    assert one.peer.dport == server.peer.sport
    assert (server.peer.dport, many.peer.dport) == (0, 0)


@pytest.mark.route("network: socket inherited from a stranger", Kind.HEAD)
def test_inherited_from_a_stranger(watch: Watch) -> None:
    """First seen when it is used: a TCP socket's bytes are those of its whole life."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            client.send(b"before")
            run = watch.python(
                "os.write(int(args[0]), b'after')", str(client.fileno()), pass_fds=[client.fileno()]
            )
            assert run.flows == []  # the stranger holds it still
            assert [each.data for each in run.said(Kind.HEAD)] == [b"after"]


@pytest.mark.route("network: socket received in a message", Kind.FLOW)
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_passed_to_another_process(watch: Watch, family: str) -> None:
    run = watch.python(
        """
family = getattr(socket, args[0])
server = socket.create_server(("" if family == socket.AF_INET else "::1", 0), family=family)
left, right = socket.socketpair()
if not os.fork():
    _, (fd,), _, _ = socket.recv_fds(right, 1, 1)
    os.write(fd, b"x" * 13)
    os._exit(0)
client = socket.socket(family)
client.connect(("127.0.0.1" if family == socket.AF_INET else "::1", server.getsockname()[1]))
socket.send_fds(left, [b"x"], [client.fileno()])
client.close()
os.wait()
""",
        family,
    )
    (flow,) = run.flows
    (head,) = run.said(Kind.HEAD)
    assert (flow.bytes_out, head.data, head.pid != run.pid) == (13, b"x" * 13, True)
