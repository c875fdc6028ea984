"""The detail of a connect: family, transport and both ends."""

from __future__ import annotations

import socket

from tracer.context.names import Domains, address_text
from tracer.events import Network, NetworkType
from tracer.records import ConnectRecord, Flag, Peer

# include/uapi/linux/in.h. Multipath TCP is TCP on the wire.
_TRANSPORTS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 262: "tcp"}
_INET, _INET6, _UNIX = int(socket.AF_INET), int(socket.AF_INET6), int(socket.AF_UNIX)
_UNREADABLE = int(Flag.UNREADABLE)


def network_of(record: ConnectRecord, domains: Domains) -> Network:
    peer = record.peer
    if peer.family == _UNIX:
        return Network(NetworkType.UNIX, "unix", "", 0, "", 0, "", _unix_path(record))
    transport = _TRANSPORTS.get(peer.protocol) or str(peer.protocol)
    if peer.family not in (_INET, _INET6):
        return Network(NetworkType.OTHER, transport, "", 0, "", 0, "", "")
    destination, source = _address(peer.daddr, peer.family), _address(peer.saddr, peer.family)
    return Network(
        _type_of(destination or source, peer.family),
        transport,
        destination or ("" if record.flags & _UNREADABLE else _any_address(peer.family)),
        peer.dport,
        source,
        peer.sport,
        domains.of(destination),
        "",
    )


def endpoint(peer: Peer) -> str:
    """Where a connected internet socket leads, as "ip:port" or "[ip]:port"; "" for any other."""
    if peer.family not in (_INET, _INET6) or not peer.dport:
        return ""
    address = _address(peer.daddr, peer.family)
    return f"[{address}]:{peer.dport}" if ":" in address else f"{address}:{peer.dport}" if address else ""


def _address(packed: bytes, family: int) -> str:
    return address_text(packed[:4] if family == _INET else packed)


def _type_of(address: str, family: int) -> NetworkType:
    """By what goes over the wire: an IPv6 socket may speak IPv4 to an IPv4 address mapped into IPv6."""
    if address:
        return NetworkType.IPV6 if ":" in address else NetworkType.IPV4
    return NetworkType.IPV4 if family == _INET else NetworkType.IPV6


def _any_address(family: int) -> str:
    """A connect to the unspecified address is allowed, and reaches the machine itself (ip(7))."""
    return "0.0.0.0" if family == _INET else "::"  # noqa: S104  nothing is bound here


def _unix_path(record: ConnectRecord) -> str:
    """The path the peer is bound to, "@name" in the abstract namespace (unix(7)), "" for an unnamed peer.

    A refused peer's path is as the program asked for it: what it would be relative to is not in the record.
    """
    if record.name.startswith("\0"):
        return "@" + record.name[1:]
    if record.path not in ("", "/"):
        return record.path
    return record.name.partition("\0")[0]
