"""How far an address is: what contexts remember of it, and what rules ask."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


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
def reach_of(text: str) -> Reach | None:
    """Of an address as text, with or without a zone; None when it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_unspecified:
        return Reach.LOOPBACK
    if address.is_multicast or str(address) == "255.255.255.255":
        return Reach.GROUP
    if any(address in network for network in _INTERNAL):
        return Reach.INTERNAL
    return Reach.OUTSIDE
