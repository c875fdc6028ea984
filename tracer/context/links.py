"""Where a name leads that goes through a symbolic link which a watched process made.

The kernel tells the directory that a name is relative to, and the name as it was given; what links it went
through on the way is not in the record. Without this an agent could link its workspace to anywhere and remove
or rename what is there under a name that looks allowed. Links that were there before are not known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tracer.context.paths import joined

FOLLOWED_MAX = 40  # MAXSYMLINKS, include/linux/namei.h: beyond it the call has failed with ELOOP
ROOM_BYTES = 16 * 2**20  # for all that is known; then no more links are taken in
_NODE_BYTES = 512  # a node and its name


class _Node:
    """A name in a directory. `target` is "" unless it is a link; below it are names on the way to links."""

    __slots__ = ("below", "target")

    def __init__(self, target: str = "") -> None:
        self.below: dict[str, _Node] = {}
        self.target = target

    def is_of_use(self) -> bool:
        return bool(self.below or self.target)


class Links:
    """Fed with what succeeded, in order; all paths absolute, as `resolved` gave them."""

    def __init__(self, room_bytes: int = ROOM_BYTES) -> None:
        self._root = _Node()
        self._room_bytes = room_bytes

    def made(self, path: str, target: str) -> None:
        """A symbolic link at `path`."""
        self.gone(path)
        node = _Node(target)
        self._room_bytes -= _weight(node)
        self._attach(path, node)
        if self._room_bytes < 0:
            self.gone(path)

    def moved(self, old: str, new: str, *, exchanged: bool = False) -> None:
        """A rename: what is known of `old`, and below it, holds for `new`; `exchanged`: and the other way."""
        one, other = self._detach(old), self._detach(new)
        if one and other and one.target and one.target == other.target:
            self._attach(old, other)  # rename(2): of two names for one file both stay, and the call succeeds
            other = None
        if one:
            self._attach(new, one)
        if other and exchanged:
            self._attach(old, other)
        elif other:
            self._room_bytes += _weight(other)

    def linked(self, old: str, new: str) -> None:
        """A hard link: to a symbolic link it is one, too."""
        node = self._find(_components(old))
        if node and node.target:
            self.made(new, node.target)
        else:
            self.gone(new)

    def gone(self, path: str) -> None:
        """No link is there any more, nor any below: removed, or a new file or directory has the name."""
        node = self._detach(path)
        if node:
            self._room_bytes += _weight(node)

    def resolved(self, base: str, name: str, *, follow: bool) -> str:
        """As `paths.joined`, but through the known links; through one that is the last name with `follow`."""
        if not self._root.below or not base.startswith("/"):
            return joined(base, name)
        root = _components(base) if name.startswith("/") else []
        kept = _components(base)
        ahead, followed = deque(_components(name)), 0
        while ahead:
            component = ahead.popleft()
            if component == "..":
                del kept[max(len(kept) - 1, len(root)) :]
                continue
            kept.append(component)
            node = self._find(kept)
            if node is None or not node.target or not (ahead or follow) or followed == FOLLOWED_MAX:
                continue
            followed += 1
            kept = list(root) if node.target.startswith("/") else kept[:-1]
            ahead.extendleft(reversed(_components(node.target)))
        return "/" + "/".join(kept)

    def _find(self, components: Sequence[str]) -> _Node | None:
        node: _Node | None = self._root
        for component in components:
            node = node.below.get(component) if node else None
        return node

    def _attach(self, path: str, node: _Node) -> None:
        components = _components(path)
        if not components:  # nothing takes the place of the root, but in a forged record
            self._room_bytes += _weight(node)
            return
        *way, name = components
        place = self._root
        for component in way:
            if component not in place.below:
                self._room_bytes -= _NODE_BYTES
                place.below[component] = _Node()
            place = place.below[component]
        place.below[name] = node

    def _detach(self, path: str) -> _Node | None:
        """Take out what is known of `path`, and the names above it that led nowhere else."""
        places, components = [self._root], _components(path)
        for component in components:
            below = places[-1].below.get(component)
            if below is None:
                return None
            places.append(below)
        if not components:
            return None
        node = places.pop()
        while components:
            del places.pop().below[components.pop()]
            if not components or places[-1].below[components[-1]].is_of_use():
                break
            self._room_bytes += _NODE_BYTES
        return node


def _weight(node: _Node) -> int:
    """Of it and all below."""
    total, rest = 0, [node]
    while rest:
        node = rest.pop()
        total += _NODE_BYTES + len(node.target)
        rest += node.below.values()
    return total


def _components(path: str) -> list[str]:
    return [component for component in path.split("/") if component not in ("", ".")]
