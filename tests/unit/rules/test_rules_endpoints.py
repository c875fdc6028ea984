from __future__ import annotations

import pytest

from tests.unit.rules.made import connected, connected_other, connected_unix
from tracer.events import Event, Network
from tracer.reach import parse_ip
from tracer.rules.endpoints import compile_endpoints, parse_endpoint


def allows(entries: list[str], event: Event) -> bool:
    assert isinstance(event.detail, Network)
    return compile_endpoints([parse_endpoint(entry) for entry in entries])(event.detail)


@pytest.mark.parametrize(
    ("entry", "yes", "no"),
    [
        ("192.0.2.1", [("192.0.2.1", 1), ("::ffff:192.0.2.1", 2)], [("192.0.2.2", 1), ("::1", 1)]),
        ("192.0.2.1:22", [("192.0.2.1", 22)], [("192.0.2.1", 23), ("192.0.2.1", 0)]),
        ("10.0.0.0/8", [("10.255.0.1", 9)], [("11.0.0.1", 9), ("::ffff:11.0.0.1", 9), ("a::", 9)]),
        ("10.0.0.0/8:80,8000-8010", [("10.1.1.1", 80), ("10.1.1.1", 8010)], [("10.1.1.1", 8011)]),
        ("2001:db8::1", [("2001:db8::1", 5), ("2001:0db8:0::1", 5)], [("2001:db8::2", 5)]),
        ("2001:db8::/32", [("2001:db8:f::", 5)], [("2001:db9::", 5)]),
        ("[2001:db8::1]:443", [("2001:db8::1", 443)], [("2001:db8::1", 444)]),
        ("[2001:db8::/32]:443", [("2001:db8::9", 443)], [("2001:db8::9", 80)]),
        ("[::1]", [("::1", 1)], [("127.0.0.1", 1)]),
        (
            "localhost:5432",
            [("127.0.0.1", 5432), ("127.9.9.9", 5432), ("::1", 5432), ("0.0.0.0", 5432), ("::", 5432)],
            [("127.0.0.1", 80)],
        ),
        ("*:53", [("192.0.2.1", 53), ("2001:db8::1", 53)], [("192.0.2.1", 54)]),
        ("*", [("192.0.2.1", 1), ("fe80::1%eth0", 1)], [("", 1), ("what", 1)]),
    ],
)
def test_addresses_networks_and_ports(
    entry: str, yes: list[tuple[str, int]], no: list[tuple[str, int]]
) -> None:
    assert [peer for peer in yes if not allows([entry], connected(*peer))] == []
    assert [peer for peer in no if allows([entry], connected(*peer))] == []


@pytest.mark.parametrize(
    ("entry", "yes", "no"),
    [
        ("pypi.org", ["pypi.org", "PyPI.org."], ["a.pypi.org", "pypi.org.evil.net", "xpypi.org", ""]),
        ("PyPI.org.", ["pypi.org"], ["pypi.com"]),
        ("*.pypi.org", ["a.pypi.org", "a.b.pypi.org"], ["pypi.org", "apypi.org", "pypi.org.evil.net"]),
        ("bücher.example", ["xn--bcher-kva.example"], ["bucher.example"]),
    ],
)
def test_domains_are_those_the_address_was_resolved_from(entry: str, yes: list[str], no: list[str]) -> None:
    assert [name for name in yes if not allows([entry], connected("192.0.2.1", 443, name))] == []
    assert [name for name in no if allows([entry], connected("192.0.2.1", 443, name))] == []


def test_any_of_the_names_of_an_address_will_do() -> None:
    shared = connected("192.0.2.1", 443, "cdn.example")
    assert isinstance(shared.detail, Network)
    shared.detail.other_domains = ("evil.example", "pypi.org")
    assert allows(["pypi.org:443"], shared)
    assert allows(["*.example"], shared)
    assert not allows(["pypi.org:80", "files.example"], shared)


def test_ports_of_domains() -> None:
    assert allows(["a.example:443", "a.example:80"], connected("192.0.2.1", 80, "a.example"))
    assert not allows(["a.example:443", "a.example:80"], connected("192.0.2.1", 22, "a.example"))
    assert not allows(["*.a.example:443"], connected("192.0.2.1", 22, "b.a.example"))


def test_getaddrinfo_asks_for_a_source_address_with_udp_port_0() -> None:
    assert allows(["a.example:443"], connected("192.0.2.1", 0, "a.example", transport="udp"))
    assert not allows(["a.example:443"], connected("192.0.2.1", 0, "b.example", transport="udp"))
    assert not allows(["a.example:443"], connected("192.0.2.1", 0, "a.example", transport="tcp"))


def test_unix_sockets_are_allowed_until_an_entry_speaks_of_them() -> None:
    assert allows([], connected_unix("/run/docker.sock"))
    assert allows(["10.0.0.0/8"], connected_unix("@x"))
    some = ["unix:/run/*.sock", "unix:@dbus-*"]
    assert allows(some, connected_unix("/run/a.sock"))
    assert allows(some, connected_unix("@dbus-1/x"))
    assert not allows(some, connected_unix("/run/a/b.sock"))
    assert not allows(some, connected_unix("@other"))
    assert not allows(some, connected_unix(""))
    assert not allows(["unix:/run/**"], connected_unix("@run"))


def test_what_is_neither_internet_nor_unix_carries_nothing_to_judge() -> None:
    assert allows([], connected_other())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("", "not a domain name"),
        ("a b", "not a domain name"),
        ("a..b", "not a domain name"),
        ("-a.example", "not a domain name"),
        ("*.", "not a domain name"),
        ("a.*.example", "not a domain name"),
        ("http://a.example", "not a port|not a domain"),
        ("a.example:", "not a port"),
        ("a.example:0", "not a port"),
        ("a.example:65536", "not a port"),
        ("a.example:https", "not a port"),
        ("a.example:90-80", "ends before it begins"),
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.256", "not an address"),
        ("1.2.3", "not an address"),
        ("2001:db8::g", "not an address"),
        ("[2001:db8::1", "begins an IPv6"),
        ("[2001:db8::1]443", "begins an IPv6"),
        ("[10.0.0.1]:22", "only an IPv6"),
        ("unix:run/x", "absolute path"),
        ("unix:/a/b**", "alone"),
        ("x" * 64 + ".example", "not a domain name"),
    ],
)
def test_what_is_no_entry_says_why(entry: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_endpoint(entry)


def test_addresses_are_read_without_zone_and_mapping() -> None:
    assert str(parse_ip("::ffff:192.0.2.1")) == "192.0.2.1"
    assert str(parse_ip("fe80::1%eth0")) == "fe80::1"
    assert parse_ip("x") is None
