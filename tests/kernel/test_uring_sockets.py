"""uring.bpf.c: what is done with sockets by io_uring alone, whichever thread carries it out."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from tests.kernel.test_uring import KERNEL, PLAIN, Ports, in_every_mode, ports, uring
from tests.kernel.watching import Run, Watch, flags
from tracer.records import NO_DESCRIPTOR, Flag, Kind

__all__ = ["ports"]  # the fixture

LOOPBACK = bytes([127, 0, 0, 1])
QUESTION = "\x17\x17\x01\x01"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def skip_unless(results: list[int | None], *at: int) -> None:
    if any(results[each] in (-errno.EINVAL, -errno.EOPNOTSUPP) for each in at):
        pytest.skip("this kernel has no such request")


def accepted(run: Run) -> list[tuple[int, int]]:
    return [(each.peer.sport, each.result) for each in run.own(Kind.ACCEPT)]


@pytest.mark.route("io_uring: bind, listen", Kind.BIND, Kind.LISTEN)
@in_every_mode
def test_bind_and_listen(watch: Watch, here: Path, ports: Ports, modes: str) -> None:
    port = free_port()
    run, results = uring(watch, here, modes, "bind", ports.open, "bind", port, "listen")
    skip_unless(results, 1, 2)
    found = [
        (each.kind, each.peer.saddr[:4], each.peer.sport, each.result)
        for each in run.own(Kind.BIND, Kind.LISTEN)
    ]
    assert found == [
        (Kind.BIND, LOOPBACK, ports.open, -errno.EADDRINUSE),
        (Kind.BIND, LOOPBACK, port, 0),
        (Kind.LISTEN, LOOPBACK, port, 0),
    ]
    assert {flags(each) for each in run.acts} == {KERNEL}
    assert len(run.acts) == 3


@pytest.mark.route("io_uring: accept", Kind.ACCEPT)
@in_every_mode
def test_accept(watch: Watch, here: Path, modes: str) -> None:
    """One by one, and by one request for all that are there."""
    port = free_port()
    acts: list[object] = ["serve", port, "tcp", port, "accept", *["tcp", port] * 5, "accepts"]
    run, results = uring(watch, here, modes, *acts)
    assert [(sport, result >= 0) for sport, result in accepted(run)] == [(port, True)] * 6
    assert accepted(run)[0][1] == results[2]
    assert {flags(each) for each in run.own(Kind.ACCEPT)} == {KERNEL}
    assert [each.peer.sport for each in run.connects] == [each.peer.dport for each in run.own(Kind.ACCEPT)]


def test_accept_without_a_descriptor(watch: Watch, here: Path) -> None:
    port = free_port()
    run, results = uring(
        watch, here, PLAIN, "serve", port, "tcp", port, "acceptslot", "sendslot", "SSH-2.0-x\n"
    )
    assert results[2:] == [0, 10]
    assert accepted(run) == [(port, NO_DESCRIPTOR)]
    (head,) = run.said(Kind.HEAD)
    assert (head.data, head.ingress, head.peer.sport) == (b"SSH-2.0-x\n", 1, port)
    # The ring lets go of its socket when it ends, a moment after the program: the sweep finds that.
    assert (0, 0) in [(each.ingress, each.bytes_out) for each in run.flows]


@pytest.mark.short
@pytest.mark.route("io_uring: first bytes of a connection", Kind.HEAD)
@in_every_mode
def test_the_first_bytes(watch: Watch, here: Path, ports: Ports, modes: str) -> None:
    acts = [
        word
        for how in ("send", "sendmsg", "sendwrite", "sendzc")
        for word in ("tcp", ports.open, how, f"{how} says this")
    ]
    run, results = uring(watch, here, modes, *acts)
    skip_unless(results, 7)
    heads = run.said(Kind.HEAD)
    assert [each.data for each in heads] == [
        b"send says this",
        b"sendmsg says this",
        b"sendwrite says this",
        b"sendzc says this",
    ]
    assert {(each.peer.dport, flags(each), each.pid) for each in heads} == {
        (ports.open, Flag.USER_EVIDENCE, run.pid)
    }
    assert [each.result for each in heads] == [results[at] for at in (1, 3, 5, 7)]
    assert sorted(each.bytes_out for each in run.flows) == sorted(each.result for each in heads)


@pytest.mark.route("io_uring: datagrams without connect", Kind.SEND)
@in_every_mode
def test_datagrams_to_an_address(watch: Watch, here: Path, ports: Ports, modes: str) -> None:
    acts = ["sendmsgto", ports.datagrams, "one", "sendmsgto", ports.datagrams, "two", "sendmsgto", 9, "three"]
    run, _ = uring(watch, here, modes, *acts)
    sends = run.said(Kind.SEND)
    assert [(each.peer.daddr[:4], each.peer.dport, each.data) for each in sends] == [
        (LOOPBACK, ports.datagrams, b"one"),
        (LOOPBACK, 9, b"three"),
    ]
    assert [(each.packets_out, each.bytes_out) for each in run.flows] == [(3, 11)]


def test_a_datagram_by_plain_send(watch: Watch, here: Path, ports: Ports) -> None:
    run, results = uring(watch, here, PLAIN, "sendto", ports.datagrams, "hello")
    skip_unless(results, 0)
    (send,) = run.said(Kind.SEND)
    assert (send.peer.dport, send.data, send.result) == (ports.datagrams, b"hello", 5)


@pytest.mark.parametrize("receive", ["receive", "receiveread"])
def test_received(watch: Watch, here: Path, receive: str) -> None:
    """What a UDP socket gets is counted, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        run, results = uring(watch, here, "b", "udp", port, "send", "ping", "sendto", port, "x")
        assert results[:2] == [0, 4]
        (said,) = run.said(Kind.HEAD)
        assert said.data == b"ping"
        assert (4, 1) in [(each.bytes_out, each.packets_out) for each in run.flows]


def test_without_a_word(watch: Watch, here: Path, ports: Ports) -> None:
    """IOSQE_CQE_SKIP_SUCCESS: nobody tells how it ends, so it is told when it is asked for."""
    port = free_port()
    run, _ = uring(watch, here, "k", "sendmsgto", ports.datagrams, "one", "bind", port)
    (send,) = run.said(Kind.SEND)
    assert (send.peer.dport, send.data, send.result) == (ports.datagrams, b"one", 3)
    assert [(each.peer.sport, each.result) for each in run.own(Kind.BIND)] in ([(port, 0)], [])
