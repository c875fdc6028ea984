"""The lines a policy would need so that a violation is none any more.

All that is in a violation was named by the agent: a file may be called `**`, a domain `*`, a program `!git`,
a folder `${home}`. So whatever goes into a line is taken as it stands, and what cannot be written so that it
stands for itself alone is no line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tracer.events import Event, Network, RuleKind, Violation
from tracer.reach import parse_ip
from tracer.rules.endpoints import is_domain
from tracer.rules.globs import literal, translate
from tracer.rules.premises import clean
from tracer.rules.variables import literal_text
from tracer.text import address


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A line for the list of a policy, as "network.connect"."""

    place: str
    entry: str


def entries_for(violation: Violation) -> tuple[PolicyEntry, ...]:
    """The lines that allow what was not allowed, the narrowest first; none for a detection.

    Of an act with several names the lines are of the first that was not allowed.
    """
    if violation.rule.kind is not RuleKind.POLICY:
        return ()
    matched = {match.field: match.value for match in reversed(violation.matched)}
    entries: Iterable[str] = ()
    match place := violation.rule.id:
        case "network.connect" if "destination.address" in matched:
            entries = _unix(matched["destination.address"])
        case "network.connect":
            entries = _internet(_peer(violation.event) | matched)
        case "files.write":
            entries = _files(violation.matched[0].value if violation.matched else "")
        case "process.exec":
            entries = _programs(matched.get("process.executable") or matched.get("file.path", ""))
        case "files.mounts":
            entries = _programs(violation.event.process.executable)
    return tuple(PolicyEntry(place, literal_text(entry)) for entry in dict.fromkeys(entries))


def _path(path: str) -> str:
    """The pattern for a path, "" for what is none to a policy."""
    try:
        translate(pattern := literal(clean(path)))
    except ValueError:
        return ""
    return pattern if _is_text(path) else ""


def _is_text(name: str) -> bool:
    """Bytes that are no text cannot be written into a policy."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _files(path: str) -> Iterator[str]:
    pattern = _path(path)
    if pattern:
        yield pattern
        folder = pattern.rpartition("/")[0]
        if folder:
            yield f"{folder}/**"


def _programs(path: str) -> Iterator[str]:
    """By its path; and by its name, which allows all programs of that name where nothing may be written."""
    pattern = _path(path)
    if pattern:
        yield pattern
        name = pattern.rpartition("/")[2]
        if name:
            yield f"\\{name}" if name.startswith("!") else name


def _unix(path: str) -> Iterator[str]:
    """By its path; an abstract name must be one that is plain: a `*` in it would be any text."""
    if path.startswith("@"):
        if "*" not in path and _is_text(path):
            yield f"unix:{path}"
    elif pattern := _path(path):
        yield f"unix:{pattern}"


def _peer(event: Event) -> dict[str, str]:
    """As `matched` has it: a violation too large for a trace is kept without."""
    detail = event.detail
    if not isinstance(detail, Network):
        return {}
    return {
        "destination.ip": detail.destination_ip,
        "destination.port": str(detail.destination_port),
        "destination.domain": detail.destination_domain,
    }


def _internet(matched: dict[str, str]) -> Iterator[str]:
    """By name, if it is one, and by address; with the port, and without."""
    port = matched.get("destination.port", "0")
    domain = matched.get("destination.domain", "").lower().rstrip(".")
    hosts = [domain] if is_domain(domain) else []
    if (ip := parse_ip(matched.get("destination.ip", ""))) is not None:
        hosts.append(str(ip))
    for host in hosts:
        if port != "0":
            yield f"{address(host, 0)}:{port}"
        yield host
