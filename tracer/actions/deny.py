"""The table by which the kernel refuses connections: prefixes of addresses, and the ports allowed there.

The kernel finds the longest prefix that an address is in (a BPF LPM trie) and looks at that alone; so each
holds the ports of all prefixes around it as well. Layouts: `struct peer_key` and `struct allowed_ports` of
probes/guard.bpf.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

Subnet = IPv4Network | IPv6Network
Ports = tuple[tuple[int, int], ...]
"""Ranges, both ends included; () is any port."""

RANGES_MAX = 16
ENTRIES_MAX = 65_536
_KEY = struct.Struct("=IB16s3x")
_ANY: Ports = ()
_ALL: Ports = ((0, 0xFFFF),)
_NONE: Ports = ((1, 0),)  # a range that nothing is in: in the table no ranges at all are any port


class Allowed:
    """What may be connected to. Grows, as names are resolved, and never shrinks."""

    def __init__(
        self, networks: Iterable[tuple[Subnet, Ports]], taken: Iterable[tuple[Subnet, Ports]] = ()
    ) -> None:
        """What is `taken` nobody may, whatever else is allowed.

        Raises ValueError when a network has more ranges of ports than the kernel's table holds.
        """
        self._ports: dict[Subnet, list[Ports]] = {}
        self._taken = list(taken)
        for subnet, ports in networks:
            self._ports.setdefault(subnet, []).append(ports)
        for subnet, _ports in self._taken:
            self._ports.setdefault(subnet, [])
        for subnet in self._ports:
            self._entry(subnet)

    def add(self, address: str, ports: Ports) -> Iterator[tuple[bytes, bytes]]:
        """The entries that change because one address is allowed as well; none when it was so already."""
        subnet = ip_network(address)
        known = self._ports.get(subnet, [])
        if ports not in known and len(self._ports) < ENTRIES_MAX:
            self._ports[subnet] = [*known, ports]
            yield self._entry(subnet)

    def take(self, address: str) -> Iterator[tuple[bytes, bytes]]:
        """The entries that change because one address is taken away, whatever is allowed now or later."""
        subnet = ip_network(address)
        self._taken.append((subnet, _ANY))
        self._ports.setdefault(subnet, [])
        yield self._entry(subnet)

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each entry."""
        for subnet in self._ports:
            yield self._entry(subnet)

    def _entry(self, subnet: Subnet) -> tuple[bytes, bytes]:
        around = [
            ports for other, several in self._ports.items() if _contains(other, subnet) for ports in several
        ]
        taken = [ports for other, ports in self._taken if _contains(other, subnet)]
        allowed = _ANY if _ANY in around else _merged(around) or _NONE
        return _key(subnet), _value(subnet, _without(allowed, taken))


def ports_value(ports: Ports) -> bytes:
    """Raises ValueError when the kernel's table does not hold so many ranges."""
    return _value("an entry", _merged([ports]) if ports else _ANY)


def _contains(outer: Subnet, inner: Subnet) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _merged(several: Iterable[Ports]) -> Ports:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(each for ports in several for each in ports):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def _without(ports: Ports, taken: Iterable[Ports]) -> Ports:
    for each in taken:
        for low, high in each or _ALL:
            ports = tuple(
                part
                for first, last in ports or _ALL
                for part in ((first, min(last, low - 1)), (max(first, high + 1), last))
                if part[0] <= part[1]
            )
            ports = ports or _NONE
    return ports


def _key(subnet: Subnet) -> bytes:
    return _KEY.pack(8 + subnet.prefixlen, subnet.version, subnet.network_address.packed)


def _value(who: Subnet | str, ports: Ports) -> bytes:
    if len(ports) > RANGES_MAX:
        raise ValueError(f"{who} has {len(ports)} ranges of ports, the kernel's table holds {RANGES_MAX}")
    numbers = [number for each in ports for number in each]
    numbers += [0] * (2 * RANGES_MAX - len(numbers))
    return struct.pack(f"=I{2 * RANGES_MAX}H", len(ports), *numbers)
