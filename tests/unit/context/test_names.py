from __future__ import annotations

import pytest

from tracer.context.names import DOMAINS_KEPT, Domains, address_text
from tracer.errors import TraceError


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        (bytes([10, 0, 0, 1]), "10.0.0.1"),
        (bytes(4), ""),
        (bytes(16), ""),
        (bytes(15) + b"\1", "::1"),
        (bytes(10) + b"\xff\xff\x0a\0\0\1", "10.0.0.1"),
        (b"\x20\x01" + bytes(13) + b"\1", "2001::1"),
        (b"abc", ""),
    ],
)
def test_address_as_text(packed: bytes, text: str) -> None:
    assert address_text(packed) == text


def test_domain_of_an_address_however_it_is_written() -> None:
    domains = Domains()
    domains.learn({"domain": "a.example", "addresses": ["10.0.0.1", "2001:DB8:0::1", "::ffff:10.0.0.2"]})
    assert [domains.of(ip) for ip in ("10.0.0.1", "2001:db8::1", "10.0.0.2", "10.0.0.3", "")] == [
        ("a.example",), ("a.example",), ("a.example",), (), (),
    ]  # fmt: skip


def test_names_that_share_an_address() -> None:
    """The newest first, but before it what the process itself asked for."""
    domains = Domains()
    for domain in ("a.example", "b.example", "a.example"):
        domains.learn({"domain": domain, "addresses": ["10.0.0.1"]})
    domains.resolved("c.example", ["10.0.0.1"], pid=7)
    domains.resolved("d.example", ["10.0.0.1"], pid=8)
    assert domains.of("10.0.0.1", 8) == ("d.example", "c.example", "a.example", "b.example")
    assert domains.of("10.0.0.1", 7) == ("c.example", "d.example", "a.example", "b.example")
    assert domains.of("10.0.0.1", 9) == domains.of("10.0.0.1", 8)


def test_of_names_without_end_the_last_are_kept() -> None:
    domains = Domains()
    for number in range(1000):
        domains.learn({"domain": f"{number}.example", "addresses": ["10.0.0.1"]})
    assert domains.of("10.0.0.1") == tuple(f"{999 - i}.example" for i in range(DOMAINS_KEPT))


@pytest.mark.parametrize("address", ["", "x", "10.0.0", "1:2", "10.0.0.1\0", "\udcff", "0.0.0.0"])
def test_what_is_no_address_is_passed_over(address: str) -> None:
    domains = Domains()
    domains.learn({"domain": "a.example", "addresses": [address]})
    assert domains.of(address) == ()


@pytest.mark.parametrize(
    "record", [{}, {"domain": 5, "addresses": []}, {"domain": "a", "addresses": "b"}, {"domain": "\ud800"},
               {"domain": "a", "addresses": [1]}],
)  # fmt: skip
def test_damaged_record(record: dict[str, object]) -> None:
    with pytest.raises(TraceError):
        Domains().learn(record)
