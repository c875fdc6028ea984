"""Entries of `network.connect`: who may be connected to.

    pypi.org                 this domain, any port        pypi.org:443
    *.pypi.org               any name below it, not the domain itself
    localhost                127.0.0.0/8 and ::1, and the unspecified addresses, which lead there
    *                        any internet address         *:53
    192.0.2.1                this address                 192.0.2.1:22
    10.0.0.0/8               this network                 10.0.0.0/8:443
    2001:db8::/32            likewise; with a port        [2001:db8::/32]:443
    unix:/run/**             unix sockets by path, `*` and `**` as in paths
    unix:@name*              unix sockets in the abstract namespace, `*` is any text
    !10.0.0.0/8              takes these addresses away, wherever it stands and whatever allows them, a
                             domain as well; also with ports, and of unix sockets

An address is allowed when any of the names it was resolved from is: many share one, and it does not say
which is meant. Names come from this machine's own resolver, which is asked for every domain of the
policy, and from the answers to what a watched process asked, wherever it asked, but for resolvers that
are themselves watched. Who allows port 53 of any address (`*:53`) thus trusts whoever answers: allow
the resolvers that are yours.

A port is `443`, a range `8000-8100`, or several, `80,443`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from tracer.events import Network, NetworkType
from tracer.reach import parse_ip
from tracer.rules.globs import compile_globs, translate

Subnet = IPv4Network | IPv6Network
Ports = tuple[tuple[int, int], ...]
"""Ranges of ports, both ends included; () is any port."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A connect to the unspecified address reaches the machine itself (ip(7)).
_LOOPBACK: tuple[Subnet, ...] = (
    IPv4Network("127.0.0.0/8"),
    IPv4Network("0.0.0.0/32"),
    IPv6Network("::1/128"),
    IPv6Network("::/128"),
)


@dataclass(frozen=True, slots=True)
class ByKind:
    """Entries of internet addresses, each kind with its ports: networks that are allowed, and taken away;
    domains; and parents of names, which begin with a dot.
    """

    networks: list[tuple[Subnet, Ports]]
    taken: list[tuple[Subnet, Ports]]
    domains: dict[str, list[Ports]]
    parents: list[tuple[str, Ports]]

    def of_name(self, name: str) -> list[Ports]:
        """Of all entries that allow a name, in lower case and without a dot at its end."""
        below = [ports for parent, ports in self.parents if name.endswith(parent)]
        return [*self.domains.get(name, ()), *below]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One entry, parsed: exactly one of the first four says who.

    networks    any address in one of them
    domain      this name
    parent      any name that ends in this one, which begins with a dot
    unix        the path of a unix socket, "@name" for an abstract one
    taken       it takes away what others allow
    """

    networks: tuple[Subnet, ...] = ()
    domain: str = ""
    parent: str = ""
    unix: str = ""
    ports: Ports = ()
    taken: bool = False


def parse_endpoint(text: str) -> Endpoint:
    """Raises ValueError when `text` is not an entry."""
    if not text.startswith("!"):
        return _parse_allowing(text)
    endpoint = _parse_allowing(text[1:])
    if endpoint.domain or endpoint.parent:
        raise ValueError('"!" takes addresses away, not names: only those that were asked for are known')
    return replace(endpoint, taken=True)


def _parse_allowing(text: str) -> Endpoint:
    if text.startswith("unix:"):
        return Endpoint(unix=_unix_pattern(text.removeprefix("unix:")))
    host, ports = _split_ports(text)
    if host == "*":
        return Endpoint(networks=(IPv4Network("0.0.0.0/0"), IPv6Network("::/0")), ports=ports)
    if host.lower().rstrip(".") == "localhost":
        return Endpoint(networks=_LOOPBACK, ports=ports)
    if (network := _network(host)) is not None:
        return Endpoint(networks=(network,), ports=ports)
    if host.startswith("*."):
        return Endpoint(parent="." + _domain(host[2:]), ports=ports)
    return Endpoint(domain=_domain(host), ports=ports)


def is_domain(name: str) -> bool:
    """Whether an entry that is this name stands for it alone: an answer of DNS may hold anything."""
    try:
        return _parse_allowing(name).domain == name
    except ValueError:
        return False


def _unix_pattern(pattern: str) -> str:
    if pattern.startswith("@"):
        return pattern
    if not pattern.startswith("/"):
        raise ValueError('a unix socket is given by an absolute path, or by "@" and its abstract name')
    translate(pattern)
    return pattern


def _split_ports(text: str) -> tuple[str, Ports]:
    """Host and ports of `host:ports`, `[host]:ports` or a host alone, which may be an IPv6 address."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError('"[" begins an IPv6 address that "]" ends, then ":" and the port')
        if ":" not in host:
            raise ValueError("only an IPv6 address stands in brackets")
        return host, _ports(rest[1:]) if rest else ()
    if text.count(":") > 1:
        return text, ()
    host, colon, ports = text.partition(":")
    return host, _ports(ports) if colon else ()


def _ports(text: str) -> Ports:
    ranges = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low = _port(first)
        high = _port(last) if dash else low
        if low > high:
            raise ValueError(f'the port range "{part}" ends before it begins')
        ranges.append((low, high))
    return tuple(ranges)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise ValueError(f'"{text}" is not a port (1 to 65535)')
    return int(text)


def _network(host: str) -> Subnet | None:
    """The address or network `host` is, None when it is a name. Raises ValueError for one that is wrong."""
    if not (":" in host or "/" in host or re.fullmatch(r"[0-9.]+", host)):
        return None
    try:
        return ip_network(host)
    except ValueError as error:
        raise ValueError(f"is not an address or network: {error}") from None


def _domain(name: str) -> str:
    """The name in the form it is compared in: lower case, no dot at the end, international names encoded."""
    name = name.rstrip(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f'"{name}" is not a domain name') from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f'"{name}" is not a domain name, an address or a network')
    return name


def compile_endpoints(endpoints: Sequence[Endpoint]) -> Callable[[Network], bool]:
    """True for a connection that one of `endpoints` allows.

    Unix sockets are allowed unless an entry speaks of them. Sockets that are neither internet nor unix carry
    no address that could be judged, and pass.
    """
    internet = _compile_internet(endpoints)
    unix = _compile_unix([endpoint for endpoint in endpoints if endpoint.unix])

    def allowed(network: Network) -> bool:
        if network.type is NetworkType.UNIX:
            return unix(network.path)
        if network.type not in (NetworkType.IPV4, NetworkType.IPV6):
            return True
        return internet(network)

    return allowed


def _compile_unix(endpoints: Sequence[Endpoint]) -> Callable[[str], bool]:
    allowing = [each.unix for each in endpoints if not each.taken]
    allowed = _unix_test(allowing) if allowing else lambda _path: True
    taken = _unix_test([each.unix for each in endpoints if each.taken])
    return lambda path: allowed(path) and not taken(path)


def _unix_test(patterns: Sequence[str]) -> Callable[[str], bool]:
    by_path = compile_globs(pattern for pattern in patterns if pattern.startswith("/"))
    abstract = [re.escape(pattern).replace(r"\*", ".*") for pattern in patterns if pattern.startswith("@")]
    by_name = re.compile("|".join(abstract) if abstract else r"(?!)", re.DOTALL).fullmatch
    return lambda path: by_path(path) or by_name(path) is not None


def by_kind(endpoints: Iterable[Endpoint]) -> ByKind:
    """Those of unix sockets are left out."""
    found = ByKind([], [], {}, [])
    for each in endpoints:
        networks = found.taken if each.taken else found.networks
        networks += [(subnet, each.ports) for subnet in each.networks]
        if each.parent:
            found.parents.append((each.parent, each.ports))
        if each.domain:
            found.domains.setdefault(each.domain, []).append(each.ports)
    return found


def _compile_internet(endpoints: Iterable[Endpoint]) -> Callable[[Network], bool]:
    known = by_kind(endpoints)

    def by_name(name: str, port: int) -> bool:
        return any(_fits(port, ports) for ports in known.of_name(name))

    def allowed(network: Network) -> bool:
        port = network.destination_port
        # getaddrinfo(3) connects UDP sockets to port 0 to learn the source address (RFC 6724): who decides.
        if port == 0 and network.transport == "udp":
            port = -1
        address = parse_ip(network.destination_ip)
        if address is not None:
            if port != -1 and any(_fits(port, ports) and address in subnet for subnet, ports in known.taken):
                return False
            if any(_fits(port, ports) and address in subnet for subnet, ports in known.networks):
                return True
        return any(
            by_name(name.lower().rstrip("."), port)
            for name in (network.destination_domain, *network.other_domains)
            if name
        )

    return allowed


def _fits(port: int, ports: Ports) -> bool:
    return not ports or port == -1 or any(low <= port <= high for low, high in ports)
