"""The table of allowed connections, read as the kernel reads it."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.actions.deny import Allowed, Ports, Subnet


def looked_up(entries: dict[bytes, bytes], address: str, port: int) -> bool:
    """The longest prefix alone decides, as in probes/guard.bpf.c."""
    wanted = ip_address(address)
    data = bytes([wanted.version]) + wanted.packed + bytes(16 - len(wanted.packed))
    best, found = -1, b""
    for key, value in entries.items():
        bits = int.from_bytes(key[:4], "little")
        shift = 8 * len(data) - bits
        mine = int.from_bytes(key[4 : 4 + len(data)], "big") >> shift
        if mine == int.from_bytes(data, "big") >> shift and bits > best:
            best, found = bits, value
    if best < 0:
        return False
    (count,) = struct.unpack_from("=I", found)
    numbers = struct.unpack_from("=32H", found, 4)
    ranges = list(zip(numbers[::2], numbers[1::2], strict=True))[:count]
    return not count or any(low <= port <= high for low, high in ranges)


def allowed(*networks: tuple[str, Ports]) -> dict[bytes, bytes]:
    return dict(Allowed((ip_network(text), ports) for text, ports in networks).entries())


def test_an_empty_list_allows_nothing() -> None:
    assert not looked_up(allowed(), "127.0.0.1", 80)


def test_a_prefix_has_the_ports_of_those_around_it() -> None:
    table = allowed(("10.0.0.0/8", ((443, 443),)), ("10.1.0.0/16", ((22, 22), (8000, 8100))))
    assert [looked_up(table, "10.1.2.3", port) for port in (443, 22, 8050, 8101, 80)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert not looked_up(table, "10.2.0.1", 22)
    assert not looked_up(table, "11.0.0.1", 443)


def test_what_is_taken_away() -> None:
    networks = [(ip_network("0.0.0.0/0"), ()), (ip_network("192.0.2.0/24"), ((1, 1024),))]
    taken: list[tuple[Subnet, Ports]] = [
        (ip_network("10.0.0.0/8"), ()),
        (ip_network("192.0.0.0/8"), ((22, 22), (80, 90))),
    ]
    made = Allowed(networks, taken)
    table = dict(made.entries())
    assert looked_up(table, "11.0.0.1", 22)
    assert not any(looked_up(table, "10.0.0.1", port) for port in (1, 443, 65535))
    for address in ("192.1.0.1", "192.0.2.1"):
        assert [port for port in (21, 22, 23, 80, 90, 91, 65535) if not looked_up(table, address, port)] == [
            *(22, 80, 90)
        ]
    table |= dict(made.add("10.0.0.7", ((443, 443),)))
    assert not looked_up(table, "10.0.0.7", 443), "a name that leads to what is taken away"
    assert not looked_up(dict(Allowed([], taken).entries()), "192.0.2.1", 443)


def test_one_family_is_not_the_other() -> None:
    assert not looked_up(allowed(("0.0.0.0/0", ())), "::1", 80)
    assert not looked_up(allowed(("::/0", ())), "127.0.0.1", 80)


def test_an_address_that_is_learned_later() -> None:
    table = Allowed([(ip_network("10.0.0.0/8"), ((22, 22),))])
    entries = dict(table.entries())
    entries.update(table.add("10.0.0.9", ((443, 443),)))
    assert looked_up(entries, "10.0.0.9", 443)
    assert looked_up(entries, "10.0.0.9", 22)
    assert not looked_up(entries, "10.0.0.8", 443)
    assert list(table.add("10.0.0.9", ((443, 443),))) == []


def test_more_ranges_than_there_is_room_for() -> None:
    ports = tuple((port, port) for port in range(1, 35, 2))
    with pytest.raises(ValueError, match="17 ranges of ports"):
        Allowed([(ip_network("10.0.0.0/8"), ports)])
    assert allowed(("10.0.0.0/8", tuple((port, port) for port in range(1, 100))))  # neighbours are one range


_PORTS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda pair: tuple(sorted(pair))), max_size=3
)
_NETS = st.tuples(st.integers(0, 7), st.integers(29, 32)).map(
    lambda pair: ip_network((pair[0] + 0x0A000000, pair[1]), strict=False)
)


@given(st.lists(st.tuples(_NETS, _PORTS.map(tuple)), max_size=5), st.integers(0, 7), st.integers(1, 9))
def test_as_the_list_itself_says(networks: list[tuple[Subnet, Ports]], host: int, port: int) -> None:
    address = f"10.0.0.{host}"
    said = any(
        ip_address(address) in subnet and (not ports or any(low <= port <= high for low, high in ports))
        for subnet, ports in networks
    )
    assert looked_up(dict(Allowed(networks).entries()), address, port) == said
