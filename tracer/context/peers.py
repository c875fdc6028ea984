"""The detail of what is done with a socket: family, transport and both ends."""

from __future__ import annotations

import os
import socket
import struct

from tracer.context.names import Domains, address_text
from tracer.events import Dns, Flow, Network, NetworkType, Spoken
from tracer.records import ConnectRecord, Flag, FlowRecord, Kind, PayloadRecord, Peer

# include/uapi/linux/in.h. Multipath TCP is TCP on the wire.
_TRANSPORTS = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    58: "icmp",
    132: "sctp",
    136: "udp-lite",
    255: "raw",
    262: "tcp",
}
_INET, _INET6, _UNIX = int(socket.AF_INET), int(socket.AF_INET6), int(socket.AF_UNIX)
_UNREADABLE = int(Flag.UNREADABLE)
_OWN_END = frozenset({int(Kind.BIND), int(Kind.LISTEN)})
_DIRECTIONS = {int(Kind.BIND): "", int(Kind.LISTEN): "ingress", int(Kind.ACCEPT): "ingress"}
_SEND = int(Kind.SEND)

# include/linux/socket.h; those that Python does not know by name among them.
_FAMILIES = {
    3: "ax25", 4: "ipx", 5: "appletalk", 15: "key", 16: "netlink", 17: "packet", 19: "econet", 21: "rds",
    24: "pppox", 27: "ib", 28: "mpls", 29: "can", 30: "tipc", 31: "bluetooth", 33: "rxrpc", 36: "ieee802154",
    37: "caif", 38: "alg", 39: "nfc", 40: "vsock", 41: "kcm", 42: "qipcrtr", 43: "smc", 44: "xdp", 45: "mctp",
}  # fmt: skip
_TYPES = {
    "netlink": NetworkType.NETLINK,
    "packet": NetworkType.PACKET,
    "vsock": NetworkType.VSOCK,
    "alg": NetworkType.ALG,
}
_SOCKET_TYPES = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}
# include/uapi/linux/netlink.h
_NETLINK = {
    0: "route", 2: "usersock", 4: "sock_diag", 6: "xfrm", 7: "selinux", 9: "audit", 12: "netfilter",
    15: "kobject_uevent", 16: "generic", 21: "crypto",
}  # fmt: skip

SocketRecord = ConnectRecord | PayloadRecord | FlowRecord
More = Spoken | Dns | Flow | None


def network_of(record: SocketRecord, domains: Domains, more: More = None) -> Network:
    peer, kind = record.peer, record.kind
    direction = _DIRECTIONS.get(kind, "egress")
    if isinstance(record, PayloadRecord | FlowRecord) and record.ingress:
        direction = "ingress"
    if peer.family == _UNIX:
        path = "" if isinstance(record, FlowRecord) else _unix_path(record)
        return Network(NetworkType.UNIX, "unix", "", 0, "", 0, "", path, direction, "", more)
    if peer.family not in (_INET, _INET6):
        return _of_another_family(record, direction, more)
    there, here = _address(peer.daddr, peer.family), _address(peer.saddr, peer.family)
    transport = _TRANSPORTS.get(peer.protocol) or str(peer.protocol)
    kind_of_network = _type_of(there or here, peer.family)
    readable = not record.flags & _UNREADABLE
    if kind in _OWN_END:
        here = here or (_any_address(peer.family) if readable else "")
        return Network(kind_of_network, transport, "", 0, here, peer.sport, "", "", direction)
    if direction == "ingress":
        return Network(
            kind_of_network, transport, here, peer.sport, there, peer.dport, "", "", direction, "", more
        )
    if not there and readable and (peer.dport or kind == _SEND or isinstance(record, ConnectRecord)):
        there = _any_address(peer.family)
    names = domains.of(there, record.pid)
    return Network(
        kind_of_network,
        transport,
        there,
        peer.dport,
        here,
        peer.sport,
        names[0] if names else "",
        "",
        direction,
        "",
        more,
        names[1:],
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


def _of_another_family(record: SocketRecord, direction: str, more: More) -> Network:
    peer = record.peer
    family = _FAMILIES.get(peer.family) or (str(peer.family) if peer.family else "")
    kind = _TYPES.get(family, NetworkType.OTHER)
    transport = str(peer.protocol)
    if kind is NetworkType.NETLINK:
        transport = _NETLINK.get(peer.protocol) or transport
    elif kind is not NetworkType.OTHER:
        transport = _SOCKET_TYPES.get(record.type) or transport
    given = b"" if isinstance(record, FlowRecord) else os.fsencode(record.name)
    return Network(kind, transport, "", 0, "", 0, "", _words(family, given), direction, family, more)


def _words(family: str, address: bytes) -> str:
    """A socket address of one of these families in words: netlink(7), packet(7), vsock(7), and
    include/uapi/linux/if_alg.h. "" when it is none, or too short."""
    try:
        if family == "netlink":
            pid, groups = struct.unpack_from("=II", address, 4)
            return f"pid {pid} groups {groups:#x}"
        if family == "packet":
            protocol, interface = (
                struct.unpack_from("!H", address, 2)[0],
                struct.unpack_from("=i", address, 4)[0],
            )
            return f"interface {interface} protocol {protocol:#06x}"
        if family == "vsock":
            port, cid = struct.unpack_from("=II", address, 4)
            return f"cid {cid} port {port}"
        if family == "alg":
            kind, _feature, _mask, name = struct.unpack("=14sII64s", address[2:88].ljust(86, b"\0"))
            return " ".join(os.fsdecode(word.partition(b"\0")[0]) for word in (kind, name)).strip()
    except struct.error:
        return ""
    return ""


def _unix_path(record: ConnectRecord | PayloadRecord) -> str:
    """The path the peer is bound to, "@name" in the abstract namespace (unix(7)), "" for an unnamed peer.

    A refused peer's path is as the program asked for it: what it would be relative to is not in the record.
    """
    if record.name.startswith("\0"):
        return "@" + record.name[1:]
    if isinstance(record, ConnectRecord) and record.path not in ("", "/"):
        return record.path
    return record.name.partition("\0")[0]
