"""Which domains an address was resolved from."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from tracer.context.fields import text, texts
from tracer.context.recent import Recent

ADDRESSES_KEPT = 65_536
DOMAINS_KEPT = 16  # of one address
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2: an IPv4 address written as IPv6


@lru_cache(maxsize=4096)
def address_text(packed: bytes) -> str:
    """An address of 4 or 16 bytes as text; "" for all zeros, which is what an unset address is.

    An IPv4 address mapped into IPv6 is written as the IPv4 address: that is where its packets go.
    """
    if not any(packed):
        return ""
    if packed[:12] == _MAPPED and len(packed) == 16:
        packed = packed[12:]
    if len(packed) not in (4, 16):
        return ""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


class Domains:
    """Address -> domains, from `name` records and DNS answers: many names may share an address.

    Of one address the last `DOMAINS_KEPT` are kept.
    """

    def __init__(self, limit: int = ADDRESSES_KEPT) -> None:
        self._domains: Recent[str, tuple[str, ...]] = Recent(limit)
        self._asked: Recent[tuple[int, str], str] = Recent(limit)

    def learn(self, record: Mapping[str, Any]) -> None:
        """Raises TraceError when the record is not one of a domain and addresses."""
        domain = text(record, "domain")
        for address in texts(record, "addresses"):
            if canonical := _canonical(address):
                self._put(canonical, domain)

    def resolved(self, domain: str, addresses: Iterable[str], pid: int) -> None:
        """From an answer that a watched process got."""
        for address in addresses:
            if canonical := _canonical(address):
                self._put(canonical, domain)
                self._asked.put((pid, canonical), domain)

    def of(self, address: str, pid: int = 0) -> tuple[str, ...]:
        """The domains of an address as `address_text` writes it: first what the process asked for, if it did,
        then the others, the newest first."""
        domains = self._domains.get(address)
        if not domains:
            return ()
        if len(domains) == 1:
            return domains
        first = self._asked.get((pid, address))
        if first is None or first == domains[0]:
            return domains
        return first, *(each for each in domains if each != first)

    def _put(self, address: str, domain: str) -> None:
        known = self._domains.get(address)
        if not known:
            self._domains.put(address, (domain,))
        elif known[0] != domain:
            others = tuple(each for each in known if each != domain)
            self._domains.put(address, (domain, *others)[:DOMAINS_KEPT])


def _canonical(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return address_text(socket.inet_pton(family, address))
    except (OSError, ValueError):  # not an address; a NUL or a surrogate in it
        return ""
