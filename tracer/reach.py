"""Addresses as text, and how far they are: what contexts remember, what rules and filters ask."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address


class Reach(StrEnum):
    LOOPBACK = "loopback"  # this machine; the unspecified address leads there, too
    INTERNAL = "internal"  # private, shared, link-local and unique local addresses
    GROUP = "group"  # multicast and broadcast
    OUTSIDE = "outside"


# RFC 1918, 6598, 3927, 4193 and 4291. Python's `is_private` also has the addresses of documentation.
_INTERNAL = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)


@lru_cache(maxsize=16_384)
def parse_ip(text: str) -> Address | None:
    """The address, an IPv4-mapped one as IPv4, without a zone; None when `text` is not one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def address_test(network: IPv4Network | IPv6Network) -> Callable[[str], bool]:
    """Whether a text is an address in it."""

    def test(text: str) -> bool:
        address = parse_ip(text)
        return address is not None and address in network

    return test


@lru_cache(maxsize=16_384)
def reach_of(text: str) -> Reach | None:
    """Of an address as text, with or without a zone; None when it is none."""
    address = parse_ip(text)
    if address is None:
        return None
    if address.is_loopback or address.is_unspecified:
        return Reach.LOOPBACK
    if address.is_multicast or str(address) == "255.255.255.255":
        return Reach.GROUP
    if any(address in network for network in _INTERNAL):
        return Reach.INTERNAL
    return Reach.OUTSIDE
