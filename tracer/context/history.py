"""What happened before, where one event alone does not tell: it is put into the events that need it.

All of it is made from the trace, so a replay finds the same. Memory is bounded; what is forgotten counts as
never seen, and each table says how much it keeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tracer.context.recent import Recent
from tracer.events import Action, Busy, Event, File, Flow, Fork, Leg, Network, NetworkType, Outcome
from tracer.reach import Reach, reach_of

CONTACTS_KEPT = 65_536  # pairs of scope and address
FIRST_KEPT = 4_096  # connections to somebody new
SPEAKERS_KEPT = 16_384  # processes that spoke to another machine
FILES_KEPT = 131_072  # files that were created under this watch
COPIES_KEPT = 32_768  # names that something longer was created beside
RELAYS_KEPT = 4_096  # processes whose closed connections are remembered
FLOWS_KEPT = 64  # of one process
ALIVE_KEPT = 131_072  # processes that are counted as alive

_INTERNET = (NetworkType.IPV4, NetworkType.IPV6)
_RELAYED_BYTES_MIN = 16  # there and back: fewer are equal by chance
# A tunnel that carries several connections adds framing and encryption to what goes through them.
_TUNNEL_BYTES_MIN = 16_384
_TUNNEL_OVERHEAD, _TUNNEL_HANDSHAKE_BYTES = 1.25, 8_192


class History:
    """`see` is called with every event, in the order of the trace."""

    def __init__(self) -> None:
        self._contacts: Recent[tuple[int, str], bool] = Recent(CONTACTS_KEPT)
        self._speakers: Recent[str, str] = Recent(SPEAKERS_KEPT)
        self._newcomers: Recent[str, tuple[str, int]] = Recent(FIRST_KEPT)
        self._made: Recent[str, bool] = Recent(FILES_KEPT)
        self._copies: Recent[str, str] = Recent(COPIES_KEPT)
        self._flows: Recent[str, deque[_Ended]] = Recent(RELAYS_KEPT)
        self._population = Population()
        self._wire()

    def _wire(self) -> None:
        self._ways: dict[Action, Callable[[Event], object]] = {
            Action.FORK: self._population.forked,
            Action.EXEC: self._population.executed,
            Action.EXIT: self._population.exited,
            Action.CPU: self._busy,
            Action.CONNECT: self._connected,
            Action.SEND: self._connected,
            Action.FLOW: self._flowed,
            Action.FILE_WRITE: self._opened,
            Action.FILE_RENAME: self._renamed,
            Action.FILE_LINK: self._renamed,
            Action.FILE_UNLINK: self._unlinked,
        }

    def __getstate__(self) -> dict[str, Any]:
        """What it knows, to go on from there later (`tracer.frozen`)."""
        return {name: value for name, value in vars(self).items() if name != "_ways"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._wire()

    def see(self, event: Event) -> None:
        way = self._ways.get(event.action)
        if way is not None:
            way(event)

    def _connected(self, event: Event) -> None:
        network = event.detail
        if not isinstance(network, Network) or network.more is not None or network.type not in _INTERNET:
            return
        address = network.destination_ip
        key = (event.scope, address)
        if self._contacts.get(key) is None:
            self._contacts.put(key, True)
            network.first_contact = not event.snapshot
        reach = reach_of(address)
        if reach in (Reach.OUTSIDE, Reach.INTERNAL):
            self._speakers.put(event.process.entity_id, address)
        if reach is Reach.OUTSIDE and event.outcome is not Outcome.FAILURE:
            self._meet(event, network)

    def _meet(self, event: Event, network: Network) -> None:
        """Of each process the newest that nobody had spoken to, and how many connections with it are open."""
        entity, address = event.process.entity_id, network.destination_ip
        known, count = self._newcomers.get(entity) or ("", 0)
        if network.first_contact:
            self._newcomers.put(entity, (address, 1))
        elif address == known:
            self._newcomers.put(entity, (address, count + 1))

    def _part(self, event: Event, network: Network) -> None:
        entity = event.process.entity_id
        known, count = self._newcomers.get(entity) or ("", 0)
        if known and network.destination_ip == known:
            self._newcomers.put(entity, (known, max(0, count - 1)))

    def _busy(self, event: Event) -> None:
        known, count = self._newcomers.get(event.process.entity_id) or ("", 0)
        if count and isinstance(event.detail, Busy):
            event.detail.contact = known

    def _flowed(self, event: Event) -> None:
        network = event.detail
        if (
            not isinstance(network, Network)
            or not isinstance(network.more, Flow)
            or not network.destination_ip
        ):
            return
        self._part(event, network)
        ended = _Ended.of(network, network.more)
        if not (ended.bytes_in and ended.bytes_out):
            return
        others = self._flows.get(event.process.entity_id)
        if others is None:
            others = deque(maxlen=FLOWS_KEPT)
            self._flows.put(event.process.entity_id, others)
        network.more.relayed = ended.relayed_by(others)
        others.append(ended)

    def _opened(self, event: Event) -> None:
        file = event.detail
        if not isinstance(file, File) or event.outcome is Outcome.FAILURE:
            return
        if not file.created:
            file.made_here = self._made.get(file.path) is not None
            return
        file.made_here = True
        file.contact = self._speakers.get(event.process.entity_id) or ""
        self._made.put(file.path, True)
        stem, dot, suffix = file.path.rpartition(".")
        if dot and "/" not in suffix:
            self._copies.put(stem, file.path)

    def _renamed(self, event: Event) -> None:
        file = event.detail
        if not isinstance(file, File) or event.outcome is Outcome.FAILURE:
            return
        file.made_here = self._made.get(file.original_path) is not None
        if file.made_here:
            self._made.put(file.path, True)
            if event.action is Action.FILE_RENAME:
                self._made.discard(file.original_path)

    def _unlinked(self, event: Event) -> None:
        file = event.detail
        if not isinstance(file, File) or event.outcome is Outcome.FAILURE:
            return
        file.made_here = self._made.get(file.path) is not None
        file.copy = self._copies.get(file.path) or ""
        self._made.discard(file.path)
        self._copies.discard(file.path)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A connection that is closed: how much came in by it and went out, and who was at the other end."""

    bytes_in: int
    bytes_out: int
    leg: Leg

    @classmethod
    def of(cls, network: Network, flow: Flow) -> _Ended:
        if network.direction == "ingress":
            leg = Leg(network.source_ip, network.source_port, "ingress")
        else:
            leg = Leg(network.destination_ip, network.destination_port, "egress")
        return cls(flow.bytes_in, flow.bytes_out, leg)

    def relayed_by(self, others: deque[_Ended]) -> tuple[Leg, ...]:
        """The connections of `others` that carried on what came in here: one, or for a tunnel several."""
        if self.bytes_in + self.bytes_out >= _RELAYED_BYTES_MIN:
            for other in others:
                if (other.bytes_in, other.bytes_out) == (self.bytes_out, self.bytes_in):
                    return (other.leg,)
        inner = [other for other in others if other.leg.ip != self.leg.ip]
        came_in, went_out = sum(each.bytes_out for each in inner), sum(each.bytes_in for each in inner)
        if came_in + went_out < _TUNNEL_BYTES_MIN:
            return ()
        if _carries(self.bytes_in, came_in) and _carries(self.bytes_out, went_out):
            return tuple(dict.fromkeys(each.leg for each in inner))
        return ()


def _carries(outer_bytes: int, inner_bytes: int) -> bool:
    return inner_bytes <= outer_bytes <= inner_bytes * _TUNNEL_OVERHEAD + _TUNNEL_HANDSHAKE_BYTES


@dataclass(slots=True)
class Population:
    """How many processes each scope has, and how many forks ago each of them ran a program."""

    _generations: dict[str, tuple[int, int]] = field(default_factory=dict)  # scope and generation
    _alive: dict[int, int] = field(default_factory=dict)

    def forked(self, event: Event) -> None:
        parent = event.process.parent
        before = self._generations.get(parent.entity_id, (0, 0))[1] if parent else 0
        scope = self._put(event, before + 1)
        event.detail = Fork(before + 1, self._alive[scope])

    def executed(self, event: Event) -> None:
        if event.outcome is not Outcome.FAILURE:
            self._put(event, 0)

    def exited(self, event: Event) -> None:
        known = self._generations.pop(event.process.entity_id, None)
        if known is not None:
            self._alive[known[0]] -= 1

    def _put(self, event: Event, generation: int) -> int:
        """The scope in which the process is counted: the one in which it was first heard of."""
        entity = event.process.entity_id
        known = self._generations.get(entity)
        if known is None:
            if len(self._generations) >= ALIVE_KEPT:  # their exits were lost
                self._generations.clear()
                self._alive.clear()
            self._alive[event.scope] = self._alive.get(event.scope, 0) + 1
        scope = event.scope if known is None else known[0]
        self._generations[entity] = (scope, generation)
        return scope
