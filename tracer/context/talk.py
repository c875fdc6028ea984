"""What watched processes say: the beginnings of connections, and names that resolvers gave them."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import ip_address

from tracer.context import dns
from tracer.context.names import Domains, address_text
from tracer.context.protocols import classify
from tracer.context.recent import Recent
from tracer.events import UNKNOWN_PROTOCOL, Dns, Spoken
from tracer.records import ConnectRecord, PayloadRecord

SOCKETS_KEPT = 16_384
QUESTIONS_KEPT = 16_384
DNS_PORT = 53
_STREAM = int(socket.SOCK_STREAM)
_INET = int(socket.AF_INET)


class Talk:
    """Kept for a while by the inode of the socket, which no two have at the same time.

    Names are taken from an answer when the same socket has asked for them, and not from a resolver that a
    watched process is itself: what it says could make any address look like an allowed name.
    """

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._beginnings: Recent[int, tuple[bytes, bool]] = Recent(SOCKETS_KEPT)
        self._questions: Recent[tuple[int, int, str, str], bool] = Recent(QUESTIONS_KEPT)
        self._own_resolvers: set[str] = set()

    def head(self, record: PayloadRecord) -> Spoken:
        """The protocol is told once, as soon as it is known: the first bytes may be sent one by one."""
        before, known = b"", False
        if record.offset:
            before, known = self._beginnings.get(record.inode) or (b"", False)
        if known or len(before) != record.offset:
            return Spoken("" if known else UNKNOWN_PROTOCOL)
        data = before + record.data
        spoken = classify(data, stream=record.type == _STREAM)
        self._beginnings.put(record.inode, (data, spoken.protocol != UNKNOWN_PROTOCOL))
        return spoken

    def message(self, record: PayloadRecord) -> Dns | None:
        """None when it is no DNS."""
        if record.type == _STREAM:
            message = dns.parse_stream(record.data, record.result)
        else:
            message = dns.parse_datagram(record.data)
        if message is None:
            return None
        key = (record.inode, message.id, message.name.lower(), message.type)
        if not record.received:
            if not message.is_answer:
                self._questions.put(key, True)
        elif self._questions.get(key) and not self._is_own(record):
            message = replace(message, resolved=dns.resolved(message))
            self._domains.resolved(message.name.lower(), message.resolved, record.pid)
        return message

    def bound(self, record: ConnectRecord) -> None:
        """A watched process that takes port 53 may be a resolver."""
        if record.result >= 0 and record.peer.sport == DNS_PORT and len(self._own_resolvers) < SOCKETS_KEPT:
            self._own_resolvers.add(_text(record.peer.saddr, record.peer.family))

    def _is_own(self, record: PayloadRecord) -> bool:
        """Bound to that address; or to any, and then it is reached at this machine's own addresses."""
        if not self._own_resolvers:
            return False
        resolver = _text(record.peer.daddr, record.peer.family)
        if not resolver or resolver in self._own_resolvers:
            return True
        own = _text(record.peer.saddr, record.peer.family)
        return "" in self._own_resolvers and (ip_address(resolver).is_loopback or resolver == own)


def _text(packed: bytes, family: int) -> str:
    return address_text(packed[:4] if family == _INET else packed)
