"""resolved.bpf.c: an address is allowed when a resolver that was asked says it is an allowed domain's."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_network

import pytest

from tests.kernel.conftest import cgroup2_mount
from tests.kernel.resolver import ASK, OWN, RESOLVER, Resolver
from tests.kernel.watching import Watch
from tracer.actions.deny import Allowed, ports_value
from tracer.capture.guard import GuardMode

Answering = Callable[..., Watch]


@pytest.fixture
def answering(guarding: Watch) -> Iterator[Answering]:
    """A source that allows the resolver, any domain below example.org at one port, and a70.example.net
    at a second."""
    if cgroup2_mount() is None:
        pytest.skip("this machine has no cgroup v2 hierarchy")
    resolver = Resolver()

    def opened(port: int, *, second: int = 0) -> Watch:
        guard = guarding.guard
        for entry in Allowed([(ip_network(RESOLVER), ((53, 53),)), (ip_network(OWN), ())]).entries():
            guard.allow(*entry)
        for entry in Allowed([(ip_network("127.9.0.200/29"), ())]).entries():
            guard.take(*entry)
        guard.domain_ports(1, ports_value(((port, port),)))
        guard.domain_ports(2, ports_value(((1, 1),)))
        guard.allow_domain("example.org", [1], below=True)
        guard.allow_domain("a1.example.org", [2], below=False)
        guard.allow_domain("a9", [1], below=False)
        if second:
            guard.domain_ports(3, ports_value(((second, second),)))
            guard.allow_domain("a70.example.net", [3], below=False)
        guard.open(GuardMode.DENY, domains=True)
        return guarding

    try:
        yield opened
    finally:
        resolver.close()


def listening() -> socket.socket:
    return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)


@pytest.fixture
def port() -> Iterator[int]:
    with closing(listening()) as listener:
        yield listener.getsockname()[1]


def run(watch: Watch, code: str, port: int) -> list[str]:
    done = watch.python(ASK + code, str(port))
    found: list[str] = json.loads(done.output)
    return found


def test_the_first_connect_to_a_fresh_address(answering: Answering, port: int) -> None:
    """At once after the answer, however it is read; before it the address is as good as any other."""
    code = r"""
port, found = int(sys.argv[1]), []
found.append(tried("127.9.0.3", port))
for i in range(1, 24):
    ask(f"A{i}|eXample|org", number=i, connected=i % 2)
    found.append(tried(f"127.9.0.{i}", port))
ask("s|example|org", kind=28)
found.append(tried("::1", port))
print(json.dumps(found))
"""
    assert run(answering(port), code, port) == ["EPERM"] + ["ok"] * 24


def test_an_address_that_two_names_share(answering: Answering, port: int) -> None:
    """The one that is heard of later does not take from the first what it allows."""
    code = r"""
port, second, found = int(sys.argv[1]), int(sys.argv[2]), []
for text in ("a70|example|org", "a70|example|net"):
    ask(text)
    found += [tried("127.9.0.70", port), tried("127.9.0.70", second)]
print(json.dumps(found))
"""
    with closing(listening()) as other:
        second = other.getsockname()[1]
        done = answering(port, second=second).python(ASK + code, str(port), str(second))
    assert json.loads(done.output) == ["ok", "EPERM", "ok", "ok"]


def test_what_is_not_allowed_stays_refused(answering: Answering, port: int) -> None:
    """Another domain, the domain itself, one that only looks alike, another port, what was taken away."""
    code = r"""
port, found = int(sys.argv[1]), []
names = "a31|example|com", "a32|example|org|com", "a33.example|org", "a34|xexample|org", "a9|example|net"
for text in (*names, "a201|example|org"):
    ask(text)
    found.append(tried("127.9.0." + text[1:].partition("|")[0].partition(".")[0], port))
ask("a40|example|org")
found.append(tried("127.9.0.40", port + 1))
found.append(tried("127.9.0.41", port))
print(json.dumps(found))
"""
    assert run(answering(port), code, port) == ["EPERM"] * 8


def test_forged_answers_open_nothing(answering: Answering, port: int) -> None:
    """With another number, for another question, from elsewhere, or by the sandbox itself."""
    code = r"""
import threading
port, found = int(sys.argv[1]), []
for text in ("n51|example|org", "q52|example|org", "l53|example|org"):
    ask(text, connected=False)
    found.append(tried("127.9.0." + text[1:3], port))

own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.bind(("127.53.0.3", 53))
def serve():
    asked, peer = own.recvfrom(2048)
    record = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 4) + bytes([127, 9, 0, 54])
    own.sendto(asked[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + asked[12:] + record, peer)
thread = threading.Thread(target=serve)
thread.start()
ask("a54|example|org", resolver="127.53.0.3", source="127.53.0.3")
thread.join()
found.append(tried("127.9.0.54", port))
print(json.dumps(found))
"""
    assert run(answering(port), code, port) == ["EPERM"] * 4


def test_nobody_else_is_asked(answering: Answering, port: int) -> None:
    """What a stranger asks allows nothing, and he is refused nothing."""
    watch = answering(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(
            struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\3a61\7example\3org\0\0\1\0\1", (RESOLVER, 53)
        )
        assert stranger.recv(2048)
    code = 'print(json.dumps([tried("127.9.0.61", int(sys.argv[1]))]))'
    assert run(watch, code, port) == ["EPERM"]
