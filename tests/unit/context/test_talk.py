"""Names from answers, protocols from pieces: what is believed of what programs say."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.records import SESSION, connect, execve, flow, payload, peer
from tests.unit.context.test_dns import BACK, message, name, record
from tracer.context import Context
from tracer.events import Dns, Event, Flow, Network, Spoken
from tracer.records import Kind, Peer

RESOLVER = peer("192.0.2.53", 53, source="10.0.0.2", sport=4000, protocol=17)
QUESTION = message(name("pypi.org"), flags=0x0100)
ANSWER = message(name("pypi.org"), record(BACK, 1, bytes([203, 0, 113, 7])))
PYPI = peer("203.0.113.7", 443)


@pytest.fixture
def context() -> Context:
    made = Context(SESSION)
    made.event(execve(100, "/bin/agent", 1))
    return made


def network(event: Event) -> Network:
    assert isinstance(event.detail, Network)
    return event.detail


def ask(context: Context, resolver: Peer = RESOLVER, **changes: Any) -> None:
    context.event(payload(Kind.DNS, 100, resolver, QUESTION, **changes))


def answer(context: Context, resolver: Peer = RESOLVER, data: bytes = ANSWER, **changes: Any) -> Network:
    return network(context.event(payload(Kind.DNS, 100, resolver, data, received=1, **changes)))


def domain(context: Context) -> str:
    return network(context.event(connect(100, PYPI))).destination_domain


def test_a_connect_carries_the_name_it_was_resolved_from(context: Context) -> None:
    ask(context)
    found = answer(context)
    assert isinstance(found.more, Dns)
    assert (found.more.name, found.destination_ip, found.destination_port) == ("pypi.org", "192.0.2.53", 53)
    assert domain(context) == "pypi.org"


def test_one_address_for_many_names(context: Context) -> None:
    """First the name that the process itself asked for."""
    ask(context)
    answer(context)
    context.learn([{"type": "name", "domain": "other.org", "addresses": ["203.0.113.7"]}])
    found = network(context.event(connect(100, PYPI)))
    assert (found.destination_domain, found.other_domains) == ("pypi.org", ("other.org",))
    found = network(context.event(connect(101, PYPI)))
    assert (found.destination_domain, found.other_domains) == ("other.org", ("pypi.org",))


def test_over_tcp(context: Context) -> None:
    over_tcp = peer("192.0.2.53", 53)
    framed = [struct.pack("!H", len(each)) + each for each in (QUESTION, ANSWER)]
    context.event(payload(Kind.DNS, 100, over_tcp, framed[0]))
    answer(context, over_tcp, framed[1])
    assert domain(context) == "pypi.org"


@pytest.mark.parametrize("changes", [{"inode": 7}, {"data": message(name("other.org"))}])
def test_nobody_asked(context: Context, changes: dict[str, Any]) -> None:
    ask(context)
    answer(context, **changes)
    assert domain(context) == ""


@pytest.mark.parametrize(
    ("bound", "resolver", "believed"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("", "127.0.0.53", False),
        ("", "10.0.0.2", False),
        ("", "192.0.2.53", True),
        ("127.0.0.1", "127.0.0.53", True),
    ],
)
def test_a_resolver_of_its_own_is_not_believed(
    context: Context, bound: str, resolver: str, believed: bool
) -> None:
    own = peer("0.0.0.0", source=bound, sport=53, protocol=17)
    context.event(connect(100, own, kind=Kind.BIND))
    asked = peer(resolver, 53, source="10.0.0.2", protocol=17)
    ask(context, asked)
    answer(context, asked)
    assert domain(context) == ("pypi.org" if believed else "")


def test_what_is_no_dns(context: Context) -> None:
    assert network(context.event(payload(Kind.DNS, 100, RESOLVER, b"something else"))).more is None


def spoken(context: Context, data: bytes, offset: int = 0, **changes: Any) -> Spoken:
    found = network(context.event(payload(Kind.HEAD, 100, PYPI, data, offset=offset, **changes)))
    assert isinstance(found.more, Spoken)
    return found.more


def test_first_bytes_one_by_one(context: Context) -> None:
    told = [spoken(context, bytes([byte]), offset).protocol for offset, byte in enumerate(b"SSH-2.0-x")]
    assert told == ["unknown"] * 7 + ["ssh", ""]


def test_pieces_of_two_connections(context: Context) -> None:
    assert spoken(context, b"SSH-2", inode=1).protocol == "unknown"
    assert spoken(context, b".0-x\r\n", offset=5, inode=2).protocol == "unknown"
    assert spoken(context, b".0-x\r\n", offset=5, inode=1).protocol == "ssh"
    assert spoken(context, b"GET / HTTP/1.1\r\n", inode=1).protocol == "http"  # a new connection


def test_both_ends_of_an_accepted_connection(context: Context) -> None:
    remote = peer("198.51.100.9", 50001, source="10.0.0.2", sport=22)
    made = [
        connect(100, remote, kind=Kind.ACCEPT),
        payload(Kind.HEAD, 100, remote, b"SSH-2.0-x\r\n", ingress=1),
        flow(100, remote, ingress=1),
    ]
    for each in made:
        found = network(context.event(each))
        assert (found.source_ip, found.source_port, found.destination_ip, found.destination_port) == (
            "198.51.100.9", 50001, "10.0.0.2", 22,
        )  # fmt: skip
        assert found.direction == "ingress"
    assert isinstance(found.more, Flow)
    assert (found.more.bytes_in, found.more.bytes_out) == (7000, 300)


@pytest.mark.parametrize(
    ("family", "address", "words"),
    [
        (40, struct.pack("=HHII4x", 40, 0, 1024, 2), "cid 2 port 1024"),
        (16, struct.pack("=HHII", 16, 0, 0, 17), "pid 0 groups 0x11"),
        (17, struct.pack("=H", 17) + b"\x88\xb5" + struct.pack("=i12x", 3), "interface 3 protocol 0x88b5"),
        (38, struct.pack("=H14sII64s", 38, b"hash", 0, 0, b"sha256"), "hash sha256"),
        (40, b"short", ""),
        (31, b"whatever", ""),
    ],
)
def test_other_families(context: Context, family: int, address: bytes, words: str) -> None:
    given = address.decode("utf-8", "surrogateescape")
    found = network(context.event(connect(100, peer(family=family, protocol=1), kind=Kind.BIND, name=given)))
    assert found.path == words
    assert found.family in ("vsock", "netlink", "packet", "alg", "bluetooth")
