"""Cgroups of the v2 hierarchy: found by path, and a leaf of our own for what we start."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from tracer.errors import TargetError
from tracer.text import printable

_OCTAL = re.compile(rb"\\([0-7]{3})")
_LEAF_PREFIX = "rubicon-"
_SCAN_MAX = 10_000


def mount_point() -> Path | None:
    """Where the v2 hierarchy is mounted: on hybrid machines a folder beside the others."""
    return _mount()[0]


def _mount() -> tuple[Path | None, str]:
    with open("/proc/self/mountinfo", "rb") as mounts:
        return parse_mounts(mounts)


def parse_mounts(mounts: Iterable[bytes]) -> tuple[Path | None, str]:
    """The mount point, and the cgroup that is its root: "/", but when a part is mounted.

    `mounts` are lines of proc_pid_mountinfo(5).
    """
    for line in mounts:
        before, _dash, after = line.partition(b" - ")
        if after.startswith(b"cgroup2 "):
            root, place = (unescaped(field) for field in before.split()[3:5])
            return Path(place), root
    return None, ""


def unescaped(field: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), field))


def find(text: str) -> int:
    """The id of the cgroup at `text`: a path from the root of the hierarchy, or one in the file system.

    Raises TargetError when there is none; names near matches.
    """
    root = mount_point()
    if root is None:
        raise TargetError(f"cgroup:{printable(text)}: no cgroup v2 hierarchy is mounted here")
    for path in (root / text.lstrip("/"), Path(text)):
        if path.is_dir() and (path == root or root in path.parents):
            return cgroup_id(path)
    raise TargetError(f"there is no cgroup {printable(text)} under {printable(str(root))}{_near(text, root)}")


def id_of(path: str, version: int) -> int:
    """The id of a cgroup by its path from the root of the v2 hierarchy, or of that of the pids controller.

    Raises TargetError when it is not there.
    """
    folder = hierarchies().get(version)
    try:
        if folder is not None:
            return cgroup_id(folder / path.lstrip("/"))
    except OSError:
        pass
    raise TargetError(f"the cgroup {printable(path)} is gone, or not mounted here")


def hierarchies() -> dict[int, Path]:
    """By version: where version 2 is mounted, and the hierarchy of the pids controller of version 1."""
    with open("/proc/self/mountinfo", "rb") as mounts:
        return parse_hierarchies(mounts)


def parse_hierarchies(mounts: Iterable[bytes]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for line in mounts:
        before, _dash, after = line.partition(b" - ")
        kind, _source, options = (*after.split(), b"", b"")[:3]
        if kind == b"cgroup2":
            found.setdefault(2, Path(unescaped(before.split()[4])))
        elif kind == b"cgroup" and b"pids" in options.split(b","):
            found.setdefault(1, Path(unescaped(before.split()[4])))
    return found


def cgroup_id(path: Path) -> int:
    """As bpf_get_current_cgroup_id(2) gives it: the inode number of the folder."""
    return path.stat().st_ino


def folder_of_id(wanted: int) -> Path | None:
    """The cgroup that has this id, None when it is gone or there are too many to look through."""
    root = mount_point()
    if root is None:
        return None
    with suppress(OSError):
        for path in (root, *(root / each for each in _walk(root))):
            if cgroup_id(path) == wanted:
                return path
    return None


def freezer_folder(pid: int) -> Path | None:
    """The cgroup of version 1 by which a process can be frozen with its neighbours; None when it is in none
    but the root."""
    try:
        with open("/proc/self/mountinfo", "rb") as mounts, open(f"/proc/{pid}/cgroup", "rb") as places:
            mounted = _freezer_mount(mounts)
            inside = next((line for line in places if b":freezer:" in line), b"")
    except OSError:
        return None
    place = os.fsdecode(inside.rpartition(b":")[2].rstrip(b"\n")).lstrip("/")
    return mounted / place if mounted and place and ".." not in Path(place).parts else None


def _freezer_mount(mounts: Iterable[bytes]) -> Path | None:
    for line in mounts:
        before, _dash, after = line.partition(b" - ")
        if after.startswith(b"cgroup ") and b"freezer" in after.split()[-1].split(b","):
            return Path(unescaped(before.split()[4]))
    return None


def _near(text: str, root: Path) -> str:
    known = [f"/{path}" for path in _walk(root)]
    found = get_close_matches(text, known, n=3, cutoff=0.5)
    return f"; near matches: {', '.join(printable(path) for path in found)}" if found else ""


def folders_below(root: Path) -> Iterator[str]:
    """Relative to `root`, which is not among them; at most the first ten thousand."""
    return _walk(root)


def _walk(root: Path) -> Iterator[str]:
    for count, (folder, _folders, _files) in enumerate(os.walk(root)):
        if count >= _SCAN_MAX:
            return
        if folder != str(root):
            yield os.path.relpath(folder, root)


class Leaf:
    """A cgroup of our own below the current one, for the command that `run` starts.

    It groups what the command starts and is gone at `close`. It is not needed to watch: the process tree is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = cgroup_id(path)

    @classmethod
    def make(cls, name: str) -> Leaf | None:
        """None when there is no v2 hierarchy here, or it may not be written."""
        try:
            parent = _own_folder()
            if parent is None:
                return None
            _remove_abandoned(parent)
            path = parent / f"{_LEAF_PREFIX}{os.getpid()}-{name}"
            path.mkdir()
            return cls(path)
        except OSError:
            return None

    def add(self, pid: int) -> bool:
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Move what is left back to where it would have been, and remove the leaf."""
        with suppress(OSError):
            for pid in (self.path / "cgroup.procs").read_text().split():
                with suppress(OSError):
                    (self.path.parent / "cgroup.procs").write_text(pid)
        _remove(self.path)


def _own_folder() -> Path | None:
    """Our own cgroup as a folder; None when it is not below what is mounted here (a namespace hides it)."""
    place, root = _mount()
    current = _current()
    return folder_of(current, place, root) if place and current else None


def folder_of(cgroup: str, place: Path, root: str) -> Path | None:
    """Where a cgroup is when `root` is mounted at `place`."""
    if ".." in Path(cgroup).parts:
        return None
    below = os.path.relpath(cgroup, root)
    return None if below.startswith("..") else place / below


def _current() -> str | None:
    """Our own place in the v2 hierarchy, from its root."""
    with open("/proc/self/cgroup", "rb") as lines:
        for line in lines:
            if line.startswith(b"0::"):
                return os.fsdecode(line[3:].rstrip(b"\n"))
    return None


def _remove_abandoned(parent: Path) -> None:
    """Empty leaves of engines that were killed."""
    for path in parent.glob(f"{_LEAF_PREFIX}*-*"):
        pid = path.name.removeprefix(_LEAF_PREFIX).partition("-")[0]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            _remove(path)


def _remove(leaf: Path) -> None:
    """With the empty cgroups that the command made in it. Where something still runs nothing is removed."""
    for folder, _folders, _files in os.walk(leaf, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
