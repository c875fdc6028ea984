"""Units of systemd, which has a cgroup of the unit's name for each that runs."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from tracer.errors import TargetError
from tracer.targets import cgroups
from tracer.targets.container import Place
from tracer.text import printable

_KINDS = (".service", ".scope", ".slice")


def find(name: str) -> Place:
    """Where the unit is. Without a suffix a service is meant, as with systemctl(1). Raises TargetError."""
    unit = name if name.endswith(_KINDS) else f"{name}.service"
    known = running()
    if name and unit in known:
        return known[unit]
    close = get_close_matches(unit, known, n=3, cutoff=0.5)
    near = f"; near matches: {', '.join(map(printable, close))}" if close else ""
    raise TargetError(f"no unit {printable(unit)} runs here{near}")


def running() -> dict[str, Place]:
    """By name; where both versions are mounted, in version 2 if the unit is there."""
    found: dict[str, Place] = {}
    for version, root in sorted(cgroups.hierarchies().items()):
        for folder in cgroups.folders_below(root):
            name = Path(folder).name
            if name.endswith(_KINDS):
                found[name] = Place(f"/{folder}", version)
    return found
