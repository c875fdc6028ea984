"""What was written, as trees of folders, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType

from tracer.events import Action, Category, Event, File, Level, Outcome, Violation, worse
from tui.kept import Kept
from tui.snapshot import FileRow

MAX_NODES = 20_000
MAX_ROWS = 5_000  # handed out at once
MAX_WRITERS = 3
MAX_DEPTH = 64  # deeper paths are one name from there on

_GONE = frozenset({Action.FILE_UNLINK, Action.FILE_RMDIR})
_FOLDERS = frozenset({Action.FILE_MKDIR, Action.FILE_RMDIR})


@dataclass(slots=True, eq=False)
class _Node:
    name: str
    parent: _Node | None
    children: dict[str, _Node] = field(default_factory=dict)
    is_folder: bool = False
    files: int = 0
    bytes: int = 0
    last_ns: int = 0
    level: Level | None = None
    gone: bool = False
    writers: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row stands: its path, what is shown of that, the lines in front of it and of those below."""

    path: str
    label: str
    guides: str = ""
    below: str = ""

    def child(self, name: str, *, last: bool) -> _Place:
        branch, trunk = ("└", " ") if last else ("├", "│")
        return _Place(_joined(self.path, name), name, self.below + branch, self.below + trunk)

    def extended(self, name: str) -> _Place:
        """The only child on the row of its folder."""
        return _Place(_joined(self.path, name), _joined(self.label, name), self.guides, self.below)


class Written(Kept):
    """Two trees: the workspace, that is where the first process worked, and all that is outside of it.

    `forgotten` counts the files there was no room for; their bytes are in the folder above.
    """

    MADE_ANEW = MappingProxyType({"_rows": lambda: None})

    def __init__(self, max_nodes: int = MAX_NODES) -> None:
        self.forgotten = 0
        self.workspace = ""
        self._max = max_nodes
        self._nodes = 0
        self._inside = _Node("", None)
        self._outside = _Node("", None)
        self._rows: tuple[FileRow, ...] | None = None  # as handed out last; None: something has changed
        self._closed: frozenset[str] = frozenset()  # in those

    def add(self, event: Event) -> None:
        if not self.workspace and event.process.working_directory:
            self.workspace = event.process.working_directory.rstrip("/") or "/"
        file = event.detail
        if event.category is not Category.FILE or not isinstance(file, File) or not file.path.startswith("/"):
            return
        if event.outcome is Outcome.FAILURE:
            return
        if event.action is Action.FILE_RENAME and (old := self._find(file.original_path)) is not None:
            old.gone = True
        self._rows = None
        self._add(event, file)

    def add_violation(self, violation: Violation) -> None:
        file, level = violation.event.detail, violation.rule.level
        node = self._find(file.path) if isinstance(file, File) else None
        while node is not None:
            node.level = worse(node.level, level)
            self._rows = None
            node = node.parent

    def rows(self, closed: frozenset[str] = frozenset()) -> tuple[FileRow, ...]:
        """The rows in drawing order, without those below a folder that is closed; the workspace first. The
        same tuple as before when nothing changed."""
        if self._rows is None or closed != self._closed:
            self._rows, self._closed = tuple(islice(self._walk(closed), MAX_ROWS)), closed
        return self._rows

    def _add(self, event: Event, file: File) -> None:
        node, is_new = self._reach(file.path)
        node.gone = event.action in _GONE
        node.is_folder = node.is_folder or event.action in _FOLDERS
        if event.process.name not in node.writers and len(node.writers) < MAX_WRITERS:
            node.writers[event.process.name] = None
        above: _Node | None = node
        while above is not None:
            above.files += is_new and not node.is_folder
            above.bytes += file.bytes_written
            above.last_ns = max(above.last_ns, event.time_ns)
            above = above.parent

    def _root_of(self, path: str) -> tuple[_Node, list[str]]:
        """The tree that a path is in, and the names that lead to it from there."""
        path = os.path.normpath(path)
        if self._is_inside(path):
            return self._inside, _parts(path[len(self.workspace) :])
        return self._outside, _parts(path)

    def _is_inside(self, path: str) -> bool:
        return bool(self.workspace) and f"{path}/".startswith(f"{self.workspace.rstrip('/')}/")

    def _reach(self, path: str) -> tuple[_Node, bool]:
        """The node of `path`, or the nearest above it when there is no room; and whether it is new."""
        node, names = self._root_of(path)
        is_new = False
        for name in names:
            child = node.children.get(name)
            if child is None:
                if self._nodes >= self._max:
                    self.forgotten += 1
                    return node, False
                child = node.children[name] = _Node(name, node)
                self._nodes += 1
                is_new = True
            node = child
        return node, is_new

    def _find(self, path: str) -> _Node | None:
        if not path.startswith("/"):
            return None
        found, names = self._root_of(path)
        node: _Node | None = found
        for name in names:
            node = node.children.get(name) if node else None
        return node

    def _walk(self, closed: frozenset[str]) -> Iterator[FileRow]:
        for root, path in ((self._inside, self.workspace), (self._outside, "/")):
            if root.children:
                yield from self._branch(root, _Place(path, path), closed)

    def _branch(self, node: _Node, place: _Place, closed: frozenset[str]) -> Iterator[FileRow]:
        """Folders that hold nothing but one folder are one row with it."""
        while node.parent is not None and len(node.children) == 1:
            (only,) = node.children.values()
            if not only.children:
                break
            node, place = only, place.extended(only.name)
        yield self._row(node, place)
        if place.path in closed:
            return
        children = sorted(node.children.values(), key=lambda child: (not child.children, child.name))
        for index, child in enumerate(children):
            yield from self._branch(child, place.child(child.name, last=index == len(children) - 1), closed)

    def _row(self, node: _Node, place: _Place) -> FileRow:
        return FileRow(
            path=place.path,
            name=place.label,
            guides=place.guides,
            is_folder=bool(node.children) or node.is_folder,
            files=node.files,
            bytes=node.bytes,
            last_ns=node.last_ns,
            writers=tuple(node.writers),
            level=node.level,
            outside=not self._is_inside(place.path),
            gone=node.gone,
        )


def _joined(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return [*parts[:MAX_DEPTH], "/".join(parts[MAX_DEPTH:])] if len(parts) > MAX_DEPTH else parts
