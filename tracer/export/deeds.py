"""What a run did, so that another can be compared with it: programs, peers, paths, rules broken.

Names that change from run to run are made one as `rubicon learn` makes them: temporary files, versions, pids,
the workspace and the home, ports that the kernel chose. In bounded memory: of each kind DEEDS_MAX are told
apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tracer.events import Action, Event, Exec, File, Network, NetworkType, Outcome, Violation
from tracer.reach import Reach, reach_of
from tracer.rules.generalise import path_pattern, placed, roots_of
from tracer.rules.variables import Variables
from tracer.text import address

DEEDS_MAX = 100_000
_PROGRAMS_MAX = 20  # told of a deed
_CHOSEN_PORTS = 32_768  # from here on the kernel chooses them: net.ipv4.ip_local_port_range


class Kind(StrEnum):
    EXECUTABLE = "executable"
    PEER = "peer"
    PATH = "path"  # written, made, renamed, removed, changed
    READ = "read"  # of what rules ask for
    RULE = "rule"


@dataclass(slots=True)
class Deed:
    """`name` stands for all that is alike; `example` is the first of them as it was."""

    kind: Kind
    name: str
    example: str
    first: Event
    count: int = 0
    programs: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        self.count += 1
        program = event.process.executable
        if program in self.programs or len(self.programs) < _PROGRAMS_MAX:
            self.programs[program] += 1


class Deeds:
    """Those of one run. `left_out` counts events there was no room for."""

    def __init__(self, variables: Variables) -> None:
        self.left_out = 0
        self._found: dict[Kind, dict[str, Deed]] = {kind: {} for kind in Kind}
        self._roots = roots_of(variables)
        self._names: dict[str, str] = {}

    def take(self, items: Iterable[tuple[Event, Sequence[Violation]]]) -> None:
        for event, violations in items:
            for kind, name, example in self._of(event):
                self._note(kind, name, example, event)
            for violation in violations:
                self._note(Kind.RULE, violation.rule.id, violation.rule.name, event)

    def beyond(self, other: Deeds) -> dict[Kind, list[Deed]]:
        """What is here and not there, in the order it was first done."""
        return {
            kind: [deed for name, deed in its.items() if name not in other._found[kind]]
            for kind, its in self._found.items()
        }

    def _of(self, event: Event) -> Iterator[tuple[Kind, str, str]]:
        detail = event.detail
        if isinstance(detail, Exec):
            if event.outcome is Outcome.SUCCESS:
                yield Kind.EXECUTABLE, self._pattern(detail.path), detail.path
        elif isinstance(detail, Network):
            if event.action in (Action.CONNECT, Action.SEND, Action.ACCEPT) and (name := peer_name(detail)):
                yield Kind.PEER, name, name
        elif isinstance(detail, File) and event.outcome is Outcome.SUCCESS:
            kind = Kind.READ if event.action is Action.FILE_READ else Kind.PATH
            for path in filter(None, (detail.path, detail.original_path)):
                yield kind, self._pattern(path), path

    def _pattern(self, path: str) -> str:
        found = self._names.get(path)
        if found is None:
            if len(self._names) >= DEEDS_MAX:
                self._names.clear()
            found = self._names[path] = path_pattern(placed(path, self._roots))
        return found

    def _note(self, kind: Kind, name: str, example: str, event: Event) -> None:
        its = self._found[kind]
        deed = its.get(name)
        if deed is None:
            if len(its) >= DEEDS_MAX:
                self.left_out += 1
                return
            deed = its[name] = Deed(kind, name, example, event)
        deed.add(event)


def peer_name(network: Network) -> str:
    """Whom it spoke to; "" when nobody is named."""
    if network.type is NetworkType.UNIX:
        return f"unix:{network.path}" if network.path else ""
    incoming = network.direction == "ingress"
    ip = network.source_ip if incoming and not network.destination_ip else network.destination_ip
    host = network.destination_domain.lower().rstrip(".") or ip
    if not host:
        return network.path
    port = network.destination_port
    if reach_of(ip) is Reach.LOOPBACK:
        return f"localhost:{port if port < _CHOSEN_PORTS else '*'}"
    return address(host, port)
