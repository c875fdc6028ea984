"""A policy from what was done: events in, a policy file out, each line with where it came from.

What would break a policy that allows nothing is what one has to allow; so the same code decides here as when
the policy judges. What the sandbox was refused is learned as well, and said to have been refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tracer.events import Action, Event, Network, NetworkType, Violation
from tracer.reach import Reach, reach_of
from tracer.rules.generalise import PROGRAMS_MAX, Place, endpoint_entries, path_patterns, placed, roots_of
from tracer.rules.policing import PolicyCheck, policy_checks
from tracer.rules.policy import FilesSection, NetworkSection, Policy, ProcessSection
from tracer.rules.premises import clean
from tracer.rules.sentences import REFUSALS, shorten
from tracer.rules.variables import Values, Variables
from tracer.rules.yamlfile import scalar
from tracer.text import printable

_NOTHING = Policy(
    files=FilesSection(write=(), mounts=()),
    network=NetworkSection(connect=()),
    process=ProcessSection(exec=()),
)
_COLUMN = 48  # where comments stand, as far as lines are short enough
_PROGRAMS_NAMED = 3

Peer = tuple[str, str, int]
Known = tuple[str, Peer]
"""The entry that stands for a peer, and the peer."""
Key = TypeVar("Key", Place, Known, Peer)


@dataclass(slots=True)
class _Seen:
    """One thing that has to be allowed: how often, by which programs, first how and in which trace."""

    trace: str
    first: str
    count: int = 0
    refused: int = 0
    programs: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Learning:
    """Feed it the events of good runs; then ask for the policy.

    Paths below the `workspace` and the `home` of the trace they are in are written with these variables.
    """

    events: int = 0
    _files: dict[Place, _Seen] = field(default_factory=dict)
    _programs: dict[Place, _Seen] = field(default_factory=dict)
    _mounts: dict[Place, _Seen] = field(default_factory=dict)
    _known: dict[Known, _Seen] = field(default_factory=dict)
    _peers: dict[Peer, _Seen] = field(default_factory=dict)
    _trace: str = ""
    _roots: Mapping[str, str] = field(default_factory=dict)
    _resolvers: Values = ()
    _checks: Mapping[Action, PolicyCheck] = field(default_factory=lambda: policy_checks(_NOTHING))

    def begin(self, trace: str, variables: Variables) -> None:
        """What is taken from now on is of this trace, which was recorded with these variables."""
        self._trace = trace
        self._resolvers = variables.get("resolvers", ())
        self._roots = roots_of(variables)

    def take(self, event: Event) -> None:
        self.events += 1
        check = self._checks.get(event.action)
        violation = check(event) if check else None
        if violation is None:
            return
        match violation.rule.id:
            case "files.write":
                self._take_files(violation)
            case "files.mounts":
                for path in (event.process.executable, *event.process.earlier):
                    self._note(self._mounts, placed(path, self._roots), event, f"{event.action} by {path}")
            case "network.connect":
                self._take_peer(event)
            case _:
                path = violation.matched[0].value
                self._note(self._programs, placed(path, self._roots), event, path)

    def _take_files(self, violation: Violation) -> None:
        event = violation.event
        for match in violation.matched:
            place = placed(clean(match.value), self._roots)
            self._note(self._files, place, event, f"{event.action} {match.value}")

    def _take_peer(self, event: Event) -> None:
        detail = event.detail
        if isinstance(detail, Network) and detail.type is not NetworkType.UNIX:
            domain = detail.destination_domain.lower().rstrip(".")
            peer = (domain, detail.destination_ip, detail.destination_port)
            first = f"{domain or detail.destination_ip}:{peer[2]}"
            if known := self._known_peer(peer):
                self._note(self._known, (known, peer), event, first)
            else:
                self._note(self._peers, peer, event, first)

    def _known_peer(self, peer: Peer) -> str:
        """The loopback, or one of the resolvers; "" for all others."""
        domain, ip, port = peer
        if reach_of(ip) is Reach.LOOPBACK:
            return "localhost"
        at = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        return "${resolvers}" if not domain and at in self._resolvers else ""

    def _note(self, seen: dict[Key, _Seen], key: Key, event: Event, first: str) -> None:
        noted = seen.get(key)
        if noted is None:
            noted = seen[key] = _Seen(self._trace, first)
        noted.count += 1
        noted.refused += event.error in REFUSALS
        noted.programs[event.process.name] += 1

    # --- the file -----------------------------------------------------------------------------------------

    def policy(self, name: str) -> str:
        """The policy as YAML."""
        lines = [
            f"# Learned from {self.events:,} events. Read it before you use it: it allows what was done,",
            "# good or bad. The comments say how often, by which programs, and how first.",
            "",
            f"name: {scalar(printable(name))}",
        ]
        lines += _section("files", {"write": self._file_lines(), "mounts": self._mount_lines()})
        lines += _section("network", {"connect": self._peer_lines()})
        lines += _section("process", {"exec": self._program_lines()})
        return "\n".join(lines) + "\n"

    def _file_lines(self) -> list[str]:
        return list(_lines(path_patterns(self._files, whole=("${workspace}",)), self._files))

    def _mount_lines(self) -> list[str]:
        return list(_lines(path_patterns(self._mounts, most=PROGRAMS_MAX), self._mounts))

    def _program_lines(self) -> list[str]:
        patterns = path_patterns(self._programs, whole=("${workspace}",), most=PROGRAMS_MAX)
        return list(_lines(patterns, self._programs))

    def _peer_lines(self) -> list[str]:
        known: dict[str, list[Known]] = {}
        for key in self._known:
            known.setdefault(key[0], []).append(key)
        return sorted([*_lines(known, self._known), *_lines(endpoint_entries(self._peers), self._peers)])


def _lines(entries: Mapping[str, Iterable[Key]], seen: Mapping[Key, _Seen]) -> Iterator[str]:
    for entry in sorted(entries):
        its = [seen[key] for key in entries[entry]]
        yield f"{f'    - {scalar(entry)}':<{_COLUMN}}  # {_comment(its)}"


def _comment(its: list[_Seen]) -> str:
    """As "7 by git, sh; first file_write /w/a in good.trace"."""
    count = sum(each.count for each in its)
    programs: Counter[str] = Counter()
    for each in its:
        programs.update(each.programs)
    names = ", ".join(name for name, _ in programs.most_common(_PROGRAMS_NAMED))
    more = f" and {len(programs) - _PROGRAMS_NAMED} more" if len(programs) > _PROGRAMS_NAMED else ""
    refused = f", {refusals:,} refused" if (refusals := sum(each.refused for each in its)) else ""
    text = f"{count:,} by {names}{more}{refused}; first {shorten(its[0].first)} in {its[0].trace}"
    return printable(text)


def _section(name: str, lists: Mapping[str, list[str]]) -> list[str]:
    """Of lists that are empty, only those that say so: nothing may be done."""
    lines = ["", f"{name}:"]
    for key, entries in lists.items():
        if entries:
            lines += [f"  {key}:", *entries]
        elif key != "mounts":
            lines.append(f"  {key}: []")
    return lines
