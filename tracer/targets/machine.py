"""The machine as a place for sandboxes: its cgroup hierarchies, and the container runtimes on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracer.targets.cgroups import unescaped

_SOCKETS = {
    "docker": ("run/docker.sock", "var/run/docker.sock"),
    "containerd": ("run/containerd/containerd.sock", "run/docker/containerd/containerd.sock"),
    "podman": ("run/podman/podman.sock",),
    "crio": ("run/crio/crio.sock",),
}
_PROGRAMS = {
    "docker": ("docker", "dockerd"),
    "containerd": ("containerd", "ctr", "nerdctl"),
    "podman": ("podman",),
    "crio": ("crio", "crictl"),
}


@dataclass(frozen=True, slots=True)
class Cgroups:
    """`layout` is v2, v1, hybrid or none; where version 2 is mounted, and the folders of version 1."""

    layout: str
    v2: tuple[str, ...]
    v1: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A container runtime: the sockets it listens on, as far as they are there, and its programs in PATH."""

    name: str
    sockets: tuple[str, ...]
    programs: tuple[str, ...]


def cgroup_layout() -> Cgroups:
    with open("/proc/self/mountinfo", "rb") as mounts:
        return parse_layout(mounts)


def parse_layout(mounts: Iterable[bytes]) -> Cgroups:
    """`mounts` are lines of proc_pid_mountinfo(5)."""
    found: dict[bytes, list[str]] = {b"cgroup": [], b"cgroup2": []}
    for line in mounts:
        before, _dash, after = line.partition(b" - ")
        fields, kind = before.split(), after.partition(b" ")[0]
        if kind in found and len(fields) > 4:
            found[kind].append(unescaped(fields[4]))
    v1, v2 = found[b"cgroup"], found[b"cgroup2"]
    layout = "hybrid" if v1 and v2 else "v2" if v2 else "v1" if v1 else "none"
    return Cgroups(layout, tuple(v2), tuple(v1))


def runtimes(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> tuple[Runtime, ...]:
    """Those of which there is a trace; a podman of this user's own among them."""
    found = []
    for name, places in _SOCKETS.items():
        sockets = {str(place.resolve()) for each in places if _is_socket(place := root / each)}
        folder = environment.get("XDG_RUNTIME_DIR")
        if name == "podman" and folder and _is_socket(own := Path(folder, "podman/podman.sock")):
            sockets.add(str(own))
        path = environment.get("PATH", os.defpath)
        programs = tuple(where for each in _PROGRAMS[name] if (where := shutil.which(each, path=path)))
        if sockets or programs:
            found.append(Runtime(name, tuple(sorted(sockets)), programs))
    return tuple(found)


def _is_socket(path: Path) -> bool:
    """Not for us to know in a folder that is kept from us."""
    with suppress(OSError):
        return path.is_socket()
    return False
