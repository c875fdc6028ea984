"""What was seen once -> what is likely to be meant: names that change from run to run become patterns.

Every pattern matches all that it was made of, and no list is longer than a person reads: a directory with
more than ENTRIES_MAX of them is allowed as a whole, unless it is one of a system's, or a home itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tracer.rules.domains import split_domain
from tracer.rules.endpoints import is_domain
from tracer.rules.globs import literal
from tracer.rules.variables import Variables, literal_text

ENTRIES_MAX = 6
PROGRAMS_MAX = 40
PORTS_MAX = 3
NAMES_MAX = 3

# Names that a program makes up: uuids, hashes, versions, pids, and what mkstemp(3) and its like add.
_MADE_UP = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
    | (?<![A-Za-z0-9]) (?=[a-f]*[0-9]) [0-9a-f]{8,} (?![A-Za-z0-9])
    | (?<=^tmp) (?: (?=[a-z]{0,7}[0-9_]) [a-z0-9_]{8} | [A-Za-z0-9_]{6,10} (?= $ | \. | - ) )
    | (?<=^cc) [A-Za-z0-9]{6} (?= $ | \. )
    | (?<=[.\-_]) (?: (?=[a-z_]*[0-9]) (?=[0-9_]*[a-z]) [a-z0-9_]{8}
                    | (?=[a-z0-9]*[A-Z]) (?=[A-Z0-9]*[a-z]) (?=[A-Za-z]*[0-9]) [A-Za-z0-9]{6,12} ) $
    | (?<![0-9]) [0-9]+ (?: \.[0-9]+ )+ (?![0-9])
    | (?<![0-9A-Za-z]) (?<!x86_) [0-9]+ (?![0-9A-Za-z])
    | (?<=[A-Za-z]) [0-9]{3,} (?![0-9A-Za-z])
    """,
    re.VERBOSE,
)
# Where programs put what they name at random, a name that looks so is so, be it by chance without a digit.
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  names that are compared
_MADE_UP_THERE = re.compile(r"(?<=^tmp)[a-z0-9_]{8}|(?<=[.\-_])[A-Za-z0-9_]{6,12}$|^[a-z0-9_]{8}$")
_SHALLOW = 2  # components: what lies this high is never allowed as a whole

Place = tuple[str, str]
"""The name of a root, "" for none, and the path below it."""


def component_pattern(name: str, *, temporary: bool = False) -> str:
    """One component of a path; `temporary`: it is in a directory for such files."""
    pieces: list[str] = []
    position = 0
    for start, end in _made_up(name, temporary=temporary):
        pieces += map(_literal, name[position:start])
        pieces += "?" * len(name) if end - start == len(name) == 8 else "*"
        position = end
    pieces += map(_literal, name[position:])
    once = [piece for at, piece in enumerate(pieces) if piece != "*" or pieces[at - 1 : at] != ["*"]]
    return literal_text("".join(once))


def _made_up(name: str, *, temporary: bool) -> Iterator[tuple[int, int]]:
    if temporary and (found := _MADE_UP_THERE.search(name)):
        yield found.span()
        return
    yield from (found.span() for found in _MADE_UP.finditer(name))


def _literal(character: str) -> str:
    """In a pattern with variables; what stands for a byte that is no text may be anything."""
    if "\udc80" <= character <= "\udcff":
        return "*"
    return literal(character)


@dataclass(slots=True)
class _Folder:
    """What is below a directory: `here` is what ends in it."""

    inner: dict[str, _Folder] = field(default_factory=dict)
    here: list[Place] = field(default_factory=list)

    def add(self, components: Iterable[str], place: Place) -> None:
        folder = self
        for each in components:
            folder = folder.inner.setdefault(each, _Folder())
        folder.here.append(place)

    def places(self) -> Iterator[Place]:
        yield from self.here
        for each in self.inner.values():
            yield from each.places()

    def count(self) -> int:
        return bool(self.here) + sum(each.count() for each in self.inner.values())


def roots_of(variables: Variables) -> dict[str, str]:
    """Directories that patterns call by a name; the workspace, where both are one."""
    named = [(name, variables.get(name, ())) for name in ("home", "workspace")]
    return {its[0]: f"${{{name}}}" for name, its in named if len(its) == 1 and its[0] != "/"}


def placed(path: str, roots: Mapping[str, str]) -> Place:
    """`roots` are directories that patterns call by a name, such as `${home}`; the innermost counts."""
    inside = [folder for folder in roots if path == folder or path.startswith(f"{folder.rstrip('/')}/")]
    folder = max(inside, key=len, default="")
    return (roots[folder], path[len(folder) :]) if folder else ("", path)


def path_patterns(
    places: Iterable[Place], whole: Iterable[str] = (), most: int = ENTRIES_MAX
) -> dict[str, list[Place]]:
    """Patterns, each with what it stands for. Roots in `whole` are allowed with all that is below as soon as
    anything there is."""
    found: dict[str, list[Place]] = {}
    folders: dict[str, _Folder] = defaultdict(_Folder)
    whole = set(whole)
    for place in places:
        root, rest = place
        if root in whole:
            found.setdefault(f"{root}/**", []).append(place)
        else:
            folders[root].add(_components(root, rest), place)
    for root, folder in folders.items():
        for pattern, its in _folded(folder, root, len([each for each in root.split("/") if each]), most):
            found.setdefault(pattern, []).extend(its)
    return found


def path_pattern(place: Place) -> str:
    """Of one path by itself."""
    root, rest = place
    return "/".join([root, *_components(root, rest)]) or "/"


def _components(root: str, rest: str) -> list[str]:
    """The patterns of a path below a root."""
    above = root
    patterns: list[str] = []
    for name in filter(None, rest.split("/")):
        patterns.append(component_pattern(name, temporary=above in _TEMPORARY))
        above = f"{above}/{name}"
    return patterns


def _folded(folder: _Folder, prefix: str, depth: int, most: int) -> Iterator[tuple[str, list[Place]]]:
    if folder.here:
        yield prefix or "/", folder.here
    below = sum(each.count() for each in folder.inner.values())
    if below > most and depth >= _SHALLOW:
        yield f"{prefix}/**", [place for each in folder.inner.values() for place in each.places()]
        return
    for name, inner in folder.inner.items():
        yield from _folded(inner, f"{prefix}/{name}", depth + 1, most)


def endpoint_entries(peers: Iterable[tuple[str, str, int]]) -> dict[str, list[tuple[str, str, int]]]:
    """Entries of `network.connect`, each with the (domain, address, port) it stands for; domain may be ""."""
    by_host: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for peer in peers:
        by_host[peer[0] if is_domain(peer[0]) else peer[1]].append(peer)
    for parent, names in _families(by_host).items():
        by_host[f"*.{parent}"] = [peer for name in names for peer in by_host.pop(name)]
    return {_with_ports(host, {port for _, _, port in its}): its for host, its in by_host.items()}


def _families(by_host: Mapping[str, list[tuple[str, str, int]]]) -> dict[str, list[str]]:
    """Parents of many names: those that somebody registered, or names below."""
    families: dict[str, list[str]] = defaultdict(list)
    for host, its in by_host.items():
        parent = host.partition(".")[2]
        if host == its[0][0] and f".{parent}".endswith(f".{split_domain(host)[0]}"):
            families[parent].append(host)
    return {parent: names for parent, names in families.items() if len(names) > NAMES_MAX}


def _with_ports(host: str, ports: set[int]) -> str:
    named = f"[{host}]" if ":" in host else host
    if not ports or 0 in ports or len(ports) > PORTS_MAX:
        return host
    return f"{named}:{','.join(map(str, sorted(ports)))}"
