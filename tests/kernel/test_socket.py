"""socket.bpf.c: bind, listen, accept, messages to an address, and what is said on connections."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, flags
from tracer.capture.core import UNSEEN_WITHOUT_RECEIVED
from tracer.records import Flag, Kind, Peer, Record

UDP = socket.IPPROTO_UDP


def ip(peer: Peer, data: bytes) -> str:
    return str(ipaddress.ip_address(data[:4] if peer.family == socket.AF_INET else data))


def own(record: Record) -> tuple[str, int, int]:
    """Address and port of the own end, and the result."""
    peer: Peer = record.peer  # type: ignore[attr-defined]
    return ip(peer, peer.saddr), peer.sport, record.result


def to(record: Record) -> tuple[str, int, int]:
    peer: Peer = record.peer  # type: ignore[attr-defined]
    return ip(peer, peer.daddr), peer.dport, record.result


# ---- bind, listen, accept


@pytest.mark.short
@pytest.mark.route("network: bind, listen, accept", Kind.BIND, Kind.LISTEN, Kind.ACCEPT)
def test_bind_listen_accept(watch: Watch) -> None:
    run = watch.python("""
server = socket.socket()
server.bind(("127.0.0.1", 0))
port = server.getsockname()[1]
assert fails(socket.socket().bind, ("127.0.0.1", port)) == errno.EADDRINUSE
assert fails(socket.socket().bind, ("192.0.2.1", 77)) == errno.EADDRNOTAVAIL
server.listen()
clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
for _ in clients: print(server.accept()[1][1])
server.setblocking(False)
assert fails(server.accept) == errno.EAGAIN
assert fails(clients[0].accept) == errno.EINVAL
assert fails(clients[0].listen) == errno.EINVAL
six = socket.socket(socket.AF_INET6)
six.listen()
print(port, six.getsockname()[1])
""")
    *ports, port, port6 = map(int, run.output.split())
    good, taken, foreign = run.own(Kind.BIND)
    assert [own(each) for each in (good, taken, foreign)] == [
        ("127.0.0.1", port, 0),
        ("127.0.0.1", port, -errno.EADDRINUSE),
        ("192.0.2.1", 77, -errno.EADDRNOTAVAIL),
    ]
    assert [flags(each) for each in (good, taken, foreign)] == [Flag(0)] + [Flag.USER_EVIDENCE] * 2
    assert {each.peer.protocol for each in (good, taken, foreign)} == {socket.IPPROTO_TCP}
    listens = run.own(Kind.LISTEN)
    assert [own(each)[1:] for each in listens] == [(port, 0), (ports[0], -errno.EINVAL), (port6, 0)]
    accepts = run.own(Kind.ACCEPT)
    assert [(each.peer.dport, each.peer.sport) for each in accepts if each.result >= 0] == [
        (each, port) for each in ports
    ]
    assert [each.result for each in accepts if each.result < 0] == [-errno.EINVAL]


def test_unix(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
server, hidden = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
server.bind("socket")
hidden.bind(b"\\0hidden" + args[0].encode())
assert fails(socket.socket(socket.AF_UNIX).bind, "socket") == errno.EADDRINUSE
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("socket")
server.accept()
""",
        here,
        cwd=here,
    )
    assert [(each.path, each.name, each.result) for each in run.own(Kind.BIND)] == [
        (f"{here}/socket", "socket", 0),
        ("/", f"\0hidden{here}", 0),
        ("/", "socket", -errno.EADDRINUSE),
    ]
    (listen,), (accept,) = run.own(Kind.LISTEN), run.own(Kind.ACCEPT)
    assert (listen.path, accept.path) == (f"{here}/socket",) * 2
    assert run.flows == []


# ---- messages to an address


@pytest.mark.short
@pytest.mark.route("network: sendto, sendmsg without connect", Kind.SEND)
def test_datagrams_without_connect(watch: Watch) -> None:
    """The first to each peer of each socket; and whoever is written to by another route is the same peer."""
    run = watch.python("""
first, second = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
for _ in range(3):
    for port in (1001, 1002, 1003):
        first.sendto(b"xyz", ("127.0.0.1", port))
    first.sendmsg([b"x", b"y"], [], 0, ("127.0.0.1", 1001))
    first.sendmsg([b"x", b"y"], [], 0, ("127.0.0.2", 1001))
    second.sendto(b"xyz", ("127.0.0.1", 1001))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.sendto(b"xyz", ("::1", 1004))
six.sendto(b"xyz", ("::ffff:127.0.0.1", 1005))
if not os.fork():
    first.sendto(b"xyzw", ("127.0.0.1", 1001))
    os._exit(0)
os.wait()
for _ in range(2):
    assert fails(first.sendto, b"", ("127.0.0.1", 0)) == errno.EINVAL
""")
    sends = run.said(Kind.SEND)
    assert [to(each) for each in sends] == [
        ("127.0.0.1", 1001, 3),
        ("127.0.0.1", 1002, 3),
        ("127.0.0.1", 1003, 3),
        ("127.0.0.2", 1001, 2),
        ("127.0.0.1", 1001, 3),
        ("::1", 1004, 3),
        (str(ipaddress.ip_address("::ffff:127.0.0.1")), 1005, 3),
        ("127.0.0.1", 1001, 4),
        ("127.0.0.1", 0, -errno.EINVAL),
    ]
    assert {flags(each) for each in sends} == {Flag.USER_EVIDENCE}
    assert {(each.type, each.peer.protocol) for each in sends} == {(socket.SOCK_DGRAM, UDP)}
    assert [each.data for each in sends[2:4]] == [b"xyz", b"xy"]
    assert run.said(Kind.HEAD) == []


@pytest.mark.route("network: sendmmsg", Kind.SEND)
def test_sendmmsg_names_every_peer(watch: Watch) -> None:
    run = watch.python("""
def header(port, data):
    loopback = struct.pack("!H4s8x", port, bytes([127, 0, 0, 1]))
    address = ctypes.create_string_buffer(struct.pack("=H", 2) + loopback)
    text = ctypes.create_string_buffer(data)
    piece = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(text), len(data)))
    kept.extend((address, text, piece))
    name, pieces = ctypes.addressof(address), ctypes.addressof(piece)
    return struct.pack("QIxxxxQQQQIxxxxIxxxx", name, 16, pieces, 1, 0, 0, 0, 0)
kept = []
headers = ctypes.create_string_buffer(b"".join(header(2000 + i, b"d" * (i + 1)) for i in range(31)))
client = socket.socket(type=socket.SOCK_DGRAM)
assert call(307, client.fileno(), headers, 31, 0) == 31
""")
    assert [(each.peer.dport, each.result) for each in run.said(Kind.SEND)] == [
        (2000 + i, i + 1) for i in range(31)
    ]


def test_unix_datagrams(watch: Watch, here: Path) -> None:
    run = watch.python(
        """
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("log")
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range(3):
    client.sendto(b"line", "log")
    client.sendto(b"line", args[0] + "/log")
assert fails(client.sendto, b"line", b"\\0nobody") == errno.ECONNREFUSED
left, right = socket.socketpair()
left.send(b"not to an address")
""",
        here,
        cwd=here,
    )
    assert [(each.name, each.result) for each in run.said(Kind.SEND)] == [
        ("log", 4),
        (f"{here}/log", 4),
        ("\0nobody", -errno.ECONNREFUSED),
    ]


@pytest.mark.route("network: raw, packet and netlink sockets", Kind.SEND)
def test_raw_packet_and_netlink(watch: Watch) -> None:
    run = watch.python("""
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(b"\\x08\\x00\\xf7\\xff" + bytes(4), ("127.0.0.1", 0))
packet = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
packet.bind(("lo", 0x88b5))
packet.sendto(b"frame", ("lo", 0x88b5, 0, 0, bytes(6)))
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
netlink.bind((0, 0x11))
netlink.send(struct.pack("IHHIIB3x", 20, 18, 0x301, 1, 0, 0))
""")
    raw, packet, netlink = run.said(Kind.SEND)
    assert to(raw) == ("127.0.0.1", 0, 8)
    assert (raw.type, raw.peer.protocol) == (socket.SOCK_RAW, socket.IPPROTO_ICMP)
    assert (packet.peer.family, packet.result, packet.type) == (socket.AF_PACKET, 5, socket.SOCK_DGRAM)
    assert (netlink.peer.family, netlink.result, netlink.name) == (socket.AF_NETLINK, 20, "")
    of_packet, of_netlink = run.own(Kind.BIND)
    assert of_packet.peer.family == socket.AF_PACKET
    assert struct.unpack_from("=II", of_netlink.name.encode("utf-8", "surrogateescape"), 4)[1] == 0x11


@pytest.mark.route("network: vsock", Kind.CONNECT, failed=True)
def test_vsock_and_alg(watch: Watch) -> None:
    run = watch.python("""
try:
    alg = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
except OSError:
    print("none")
else:
    print("alg", call(49, alg.fileno(), struct.pack("=H14sII64s", 38, b"hash", 0, 0, b"sha256"), 88))
try:
    vsock = socket.socket(socket.AF_VSOCK)
except OSError:
    pass
else:
    vsock.settimeout(1)
    print("vsock", fails(vsock.connect, (77, 1234)))
""")
    said = run.output.split()
    if "alg" in said:
        (bind,) = run.own(Kind.BIND)
        assert (bind.peer.family, "hash" in bind.name, "sha256" in bind.name) == (socket.AF_ALG, True, True)
    if "vsock" in said:
        (connect,) = run.connects
        address = connect.name.encode("utf-8", "surrogateescape")
        assert connect.peer.family == socket.AF_VSOCK
        assert struct.unpack_from("=II", address, 4) == (1234, 77)
    if not said[1:]:
        pytest.skip("this kernel has neither AF_ALG nor AF_VSOCK")


# ---- what is said


@pytest.mark.short
@pytest.mark.route("network: first bytes of a connection", Kind.HEAD)
def test_the_first_bytes_by_every_route(watch: Watch) -> None:
    run = watch.python("""
server = socket.create_server(("127.0.0.1", 0), backlog=64)
def connected():
    s = socket.create_connection(server.getsockname())
    kept.append(s)
    return s
kept = []
connected().send(b"by send")
os.write(connected().fileno(), b"by write")
os.writev(connected().fileno(), [b"by ", b"writev"])
connected().sendmsg([b"by", b" ", b"sendmsg"])
fast = socket.socket()
fast.sendto(b"by fast open", socket.MSG_FASTOPEN, server.getsockname())
slow = connected()
for byte in b"SSH-2.0-x": slow.send(bytes([byte]))
long = connected()
long.send(b"l" * 5000)
long.send(b"never seen")
accepted, _ = server.accept()
accepted.send(b"from the server")
""")
    heads = run.said(Kind.HEAD)
    whole = [each for each in heads if each.result > 1]
    assert [(each.data[:20], each.result, each.offset) for each in whole] == [
        (b"by send", 7, 0),
        (b"by write", 8, 0),
        (b"by writev", 9, 0),
        (b"by sendmsg", 10, 0),
        (b"by fast open", 12, 0),
        (b"l" * 20, 5000, 0),
        (b"from the server", 15, 0),
    ]
    assert [each.ingress for each in whole] == [0] * 6 + [1]
    assert len(whole[5].data) == 2048
    pieces = [each for each in heads if each.result == 1]
    assert [(each.data, each.offset) for each in pieces] == [
        (bytes([byte]), i) for i, byte in enumerate(b"SSH-2.0-")
    ]
    assert {flags(each) for each in heads} == {Flag.USER_EVIDENCE}


QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04pypi\x03org\x00\x00\x01\x00\x01"

# A resolver on port 53 in a network namespace of the trigger's own.
RESOLVER = f"""
import threading
CLONE_NEWNET = 0x40000000
assert call(272, CLONE_NEWNET) == 0
import fcntl
control = socket.socket(type=socket.SOCK_DGRAM)
fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 1))
control.close()
question = {QUESTION!r}
answer = question[:2] + b"\\x81\\x80" + question[4:7] + b"\\x01" + question[8:] + (
    b"\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04" + bytes([127, 0, 0, 9]))
resolver = socket.socket(type=socket.SOCK_DGRAM)
resolver.bind(("127.0.0.53", 53))
"""


@pytest.mark.short
@pytest.mark.route("network: DNS over UDP", Kind.DNS)
def test_dns_over_udp(watch: Watch) -> None:
    run = watch.python(
        RESOLVER
        + """
asked = socket.socket(type=socket.SOCK_DGRAM)
asked.connect(("127.0.0.53", 53))
asked.send(question)
_, peer = resolver.recvfrom(512)
resolver.sendto(answer, peer)
asked.recv(512)
loose = socket.socket(type=socket.SOCK_DGRAM)
loose.sendto(question, ("127.0.0.53", 53))
_, peer = resolver.recvfrom(512)
resolver.sendto(answer, peer)
loose.recvfrom(512)
for _ in range(9): asked.send(b"this is no question, but something else")
"""
    )
    dns = run.said(Kind.DNS)
    assert [(each.received, each.result, ip(each.peer, each.peer.daddr)) for each in dns[:4]] == [
        (0, 26, "127.0.0.53"),
        (1, 42, "127.0.0.53"),
        (0, 26, "127.0.0.53"),
        (1, 42, "127.0.0.53"),
    ]
    assert dns[0].data == QUESTION
    assert dns[1].data[-4:] == bytes([127, 0, 0, 9])
    assert dns[2].inode == dns[3].inode != dns[0].inode
    assert len(dns[4:]) == 4  # no more of what is no DNS
    assert ("127.0.0.53", 53, 26) in [to(each) for each in run.said(Kind.SEND)]
    assert run.said(Kind.HEAD) == []


def test_dns_read_like_a_file(watch: Watch) -> None:
    """By read(2) and readv(2), as Go does; a pipe or a file that is read so is nothing."""
    if set(UNSEEN_WITHOUT_RECEIVED) & set(watch.source.unseen):
        pytest.skip("this kernel does not tell what a socket received")
    run = watch.python(
        RESOLVER
        + """
asked = socket.socket(type=socket.SOCK_DGRAM)
asked.connect(("127.0.0.53", 53))
for way in range(2):
    asked.send(question)
    _, peer = resolver.recvfrom(512)
    resolver.sendto(answer, peer)
    if way: os.readv(asked.fileno(), [bytearray(13), bytearray(512)])
    else: os.read(asked.fileno(), 512)
"""
    )
    dns = [each for each in run.said(Kind.DNS) if each.peer.dport == 53]
    assert [(each.received, each.result, each.data[-4:]) for each in dns if each.received] == [
        (1, 42, bytes([127, 0, 0, 9]))
    ] * 2
    assert (52, 84, 2, 2) in [
        (each.bytes_out, each.bytes_in, each.packets_out, each.packets_in) for each in run.flows
    ]


@pytest.mark.route("network: DNS over TCP", Kind.DNS)
def test_dns_over_tcp(watch: Watch) -> None:
    run = watch.python(
        RESOLVER
        + """
server = socket.create_server(("127.0.0.53", 53))
client = socket.create_connection(("127.0.0.53", 53))
client.sendall(struct.pack("!H", len(question)) + question)
peer, _ = server.accept()
peer.recv(512)
peer.sendall(struct.pack("!H", len(answer)) + answer)
assert client.recv(2) == struct.pack("!H", len(answer))
assert client.recv(512) == answer
"""
    )
    dns = [each for each in run.said(Kind.DNS) if not each.ingress]
    assert [(each.received, each.result) for each in dns] == [(0, 28), (1, 42)]
    assert [each.data[2:] for each in run.said(Kind.HEAD) if not each.ingress] == [QUESTION]


def test_reading_of_other_things_is_nothing(watch: Watch) -> None:
    run = watch.python("""
file = os.open("/", os.O_RDONLY)
assert call(45, file, ctypes.create_string_buffer(10), 10, 0, 0, 0) == -errno.ENOTSOCK
assert call(45, 999, ctypes.create_string_buffer(10), 10, 0, 0, 0) == -errno.EBADF
assert call(49, file, b"", 0) == -errno.ENOTSOCK
assert call(50, 999, 1) == -errno.EBADF
assert call(44, file, b"x", 1, 0, 0, 0) == -errno.ENOTSOCK
read, write = os.pipe()
os.write(write, b"x")
left, right = socket.socketpair()
left.send(b"x")
right.recv(1)
""")
    assert run.acts == []
