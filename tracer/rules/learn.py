"""A policy from what was done: events in, a policy file out, each line with where it came from.

What would break a policy that allows nothing is what one has to allow; so the same code decides here as when
the policy judges. What the sandbox was refused is learned as well, and said to have been refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import yaml

from tracer.events import Action, Event, Network, NetworkType, Violation
from tracer.rules.endpoints import parse_ip
from tracer.rules.generalise import PROGRAMS_MAX, endpoint_entries, path_patterns
from tracer.rules.policing import PolicyCheck, policy_checks
from tracer.rules.policy import FilesSection, NetworkSection, Policy, ProcessSection
from tracer.rules.premises import clean
from tracer.rules.sentences import REFUSALS, shorten
from tracer.rules.variables import Values, Variables
from tracer.text import printable

_NOTHING = Policy(
    files=FilesSection(write=(), mounts=()),
    network=NetworkSection(connect=()),
    process=ProcessSection(exec=()),
)
_PLAIN = re.compile(r"(?:[/\w]|\$\{\w+\})(?:[\w./+@*,-]|:(?=\w)|\$\{\w+\})*", re.ASCII)
_COLUMN = 48  # where comments stand, as far as lines are short enough
_PROGRAMS_NAMED = 3

Peer = tuple[str, str, int]
Key = TypeVar("Key", str, Peer)


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

    variables   of the traces: paths below `workspace` and `home` are written with them
    """

    variables: Variables
    events: int = 0
    _files: dict[str, _Seen] = field(default_factory=dict)
    _programs: dict[str, _Seen] = field(default_factory=dict)
    _mounts: dict[str, _Seen] = field(default_factory=dict)
    _peers: dict[Peer, _Seen] = field(default_factory=dict)
    _checks: Mapping[Action, PolicyCheck] = field(default_factory=lambda: policy_checks(_NOTHING))

    def take(self, event: Event, trace: str) -> None:
        self.events += 1
        check = self._checks.get(event.action)
        violation = check(event) if check else None
        if violation is None:
            return
        match violation.rule.id:
            case "files.write":
                self._take_files(violation, trace)
            case "files.mounts":
                for path in (event.process.executable, *event.process.earlier):
                    _note(self._mounts, path, event, trace, f"{event.action} by {path}")
            case "network.connect":
                self._take_peer(event, trace)
            case _:
                path = violation.matched[0].value
                _note(self._programs, path, event, trace, path)

    def _take_files(self, violation: Violation, trace: str) -> None:
        event = violation.event
        for match in violation.matched:
            _note(self._files, clean(match.value), event, trace, f"{event.action} {match.value}")

    def _take_peer(self, event: Event, trace: str) -> None:
        detail = event.detail
        if isinstance(detail, Network) and detail.type is not NetworkType.UNIX:
            domain = detail.destination_domain.lower().rstrip(".")
            peer = (domain, detail.destination_ip, detail.destination_port)
            _note(self._peers, peer, event, trace, f"{domain or detail.destination_ip}:{peer[2]}")

    # --- the file -----------------------------------------------------------------------------------------

    def policy(self, name: str) -> str:
        """The policy as YAML."""
        lines = [
            f"# Learned from {self.events:,} events. Read it before you use it: it allows what was done,",
            "# good or bad. The comments say how often, by which programs, and how first.",
            "",
            f"name: {_scalar(name)}",
        ]
        lines += _section("files", {"write": self._file_lines(), "mounts": self._mount_lines()})
        lines += _section("network", {"connect": self._peer_lines()})
        lines += _section("process", {"exec": self._program_lines()})
        return "\n".join(lines) + "\n"

    @property
    def _roots(self) -> dict[str, str]:
        """Directories that have a name here; the workspace, where it is the home directory as well."""
        named = [(name, self.variables.get(name, ())) for name in ("home", "workspace")]
        return {values[0]: f"${{{name}}}" for name, values in named if len(values) == 1 and values[0] != "/"}

    def _file_lines(self) -> list[str]:
        patterns = path_patterns(self._files, self._roots, whole=("${workspace}",))
        return list(_lines(patterns, self._files))

    def _mount_lines(self) -> list[str]:
        return list(_lines(path_patterns(self._mounts, self._roots, most=PROGRAMS_MAX), self._mounts))

    def _program_lines(self) -> list[str]:
        roots = self._roots
        patterns = path_patterns(self._programs, roots, whole=("${workspace}",), most=PROGRAMS_MAX)
        return list(_lines(patterns, self._programs))

    def _peer_lines(self) -> list[str]:
        entries: dict[str, list[Peer]] = {}
        rest: list[Peer] = []
        for peer in self._peers:
            known = self._known_peer(peer)
            if known:
                entries.setdefault(known, []).append(peer)
            else:
                rest.append(peer)
        return list(_lines(entries | endpoint_entries(rest), self._peers))

    def _known_peer(self, peer: Peer) -> str:
        """The loopback, or one of the resolvers; "" for all others."""
        domain, ip, port = peer
        address = parse_ip(ip)
        if address is not None and (address.is_loopback or address.is_unspecified):
            return "localhost"
        resolvers: Values = self.variables.get("resolvers", ())
        at = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        return "${resolvers}" if not domain and at in resolvers else ""


def _note(seen: dict[Key, _Seen], key: Key, event: Event, trace: str, first: str) -> None:
    noted = seen.get(key)
    if noted is None:
        noted = seen[key] = _Seen(trace, first)
    noted.count += 1
    noted.refused += event.error in REFUSALS
    noted.programs[event.process.name] += 1


def _lines(entries: Mapping[str, Iterable[Key]], seen: Mapping[Key, _Seen]) -> Iterator[str]:
    for entry in sorted(entries):
        its = [seen[key] for key in entries[entry]]
        yield f"{f'    - {_scalar(entry)}':<{_COLUMN}}  # {_comment(its)}"


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


def _scalar(text: str) -> str:
    """As YAML has it, in ASCII and in one line."""
    if _PLAIN.fullmatch(text):
        return text
    quoted: str = yaml.dump(text, default_style='"', width=1 << 20, allow_unicode=False)
    return quoted.strip()
