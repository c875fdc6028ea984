"""Whom the session talked to: one line for each other end, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from tracer.events import Action, Event, Flow, Level, Network, NetworkType, Outcome, Spoken, Violation, worse
from tui.kept import Kept
from tui.snapshot import Peer

MAX_PEERS = 2_000
MAX_PROCESSES = 4  # named for one peer

Key = tuple[str, int, str, bool]  # name or address, port, transport, incoming
_COUNTED = frozenset({Action.CONNECT, Action.ACCEPT, Action.SEND, Action.FLOW, Action.DNS})


@dataclass(slots=True, eq=False)
class _Line:
    name: str
    ip: str
    port: int
    transport: str
    incoming: bool
    first_ns: int
    protocol: str = ""
    connects: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    last_ns: int = 0
    level: Level | None = None
    processes: dict[str, None] = field(default_factory=dict)


class Traffic(Kept):
    """`forgotten` counts the ends there was no room for: those quiet longest, without a violation."""

    MADE_ANEW = MappingProxyType({"_peers": lambda: None})

    def __init__(self, max_peers: int = MAX_PEERS) -> None:
        self.forgotten = 0
        self._max = max_peers
        self._lines: dict[Key, _Line] = {}
        self._peers: tuple[Peer, ...] | None = None  # as handed out last; None: something has changed
        self._known: frozenset[str] = frozenset()  # in those

    def add(self, event: Event) -> None:
        network = event.detail
        if event.action not in _COUNTED or not isinstance(network, Network):
            return
        line = self._line(event, network)
        if line is None:
            return
        self._peers = None
        line.last_ns = max(line.last_ns, event.time_ns)
        if event.process.name not in line.processes and len(line.processes) < MAX_PROCESSES:
            line.processes[event.process.name] = None
        _count(line, event, network)

    def add_violation(self, violation: Violation) -> None:
        network = violation.event.detail
        if not isinstance(network, Network):
            return
        line = self._lines.get(_key(violation.event, network))
        if line is not None:
            line.level = worse(line.level, violation.rule.level)
            self._peers = None

    def peers(self, known: frozenset[str] = frozenset()) -> tuple[Peer, ...]:
        """Those with violations first, the worst before the others; then the latest first. The same tuple as
        before when nothing changed."""
        if self._peers is None or known != self._known:
            peers = (_peer(line, known) for line in self._lines.values())
            self._peers, self._known = tuple(sorted(peers, key=_worst_first)), known
        return self._peers

    def names(self) -> frozenset[str]:
        """Whom to know in later sessions."""
        return frozenset(known_as(line.name, line.port) for line in self._lines.values() if not line.incoming)

    def _line(self, event: Event, network: Network) -> _Line | None:
        key = _key(event, network)
        name, port, transport, incoming = key
        if not name:
            return None
        line = self._lines.pop(key, None)
        if line is None:
            if len(self._lines) >= self._max:
                self._forget()
            ip = network.source_ip if incoming else network.destination_ip
            line = _Line(name, ip, port, transport, incoming, event.time_ns)
        self._lines[key] = line
        return line

    def _forget(self) -> None:
        quiet = (key for key, line in self._lines.items() if line.level is None)
        del self._lines[next(quiet, next(iter(self._lines)))]
        self.forgotten += 1


def _worst_first(peer: Peer) -> tuple[int, int]:
    return -(peer.level.rank + 1 if peer.level else 0), -peer.last_ns


def known_as(name: str, port: int) -> str:
    return f"{name}:{port}"


def _key(event: Event, network: Network) -> Key:
    incoming = network.direction == "ingress" or event.action is Action.ACCEPT
    if network.type is NetworkType.UNIX:
        return network.path, 0, "unix", incoming
    if incoming:
        return network.source_ip, network.destination_port, network.transport, True
    name = network.destination_domain or network.destination_ip or network.path
    return name, network.destination_port, network.transport, False


def _count(line: _Line, event: Event, network: Network) -> None:
    more = network.more
    if isinstance(more, Flow):
        line.bytes_in += more.bytes_in
        line.bytes_out += more.bytes_out
    elif isinstance(more, Spoken):
        line.protocol = more.protocol or line.protocol
    elif event.action is Action.DNS:
        line.protocol = "dns"
    else:
        line.connects += 1
        line.failed += event.outcome is Outcome.FAILURE


def _peer(line: _Line, known: frozenset[str]) -> Peer:
    return Peer(
        line.name,
        line.ip,
        line.port,
        line.transport,
        line.protocol,
        line.connects,
        line.failed,
        line.bytes_in,
        line.bytes_out,
        line.first_ns,
        line.last_ns,
        tuple(line.processes),
        line.level,
        known_as(line.name, line.port) in known,
        line.incoming,
    )
