"""Where an engine has what nobody who is watched may touch: traces, keys, rules, and itself in /proc."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Premise(StrEnum):
    TRACE = "trace"  # that of the session, and what lies beside it: its name with a suffix
    FOLDER = "folder"  # of the sessions, the traces in it, and what is kept of finished ones
    KEYS = "keys"  # the folder of the keys that seal traces, and all in it
    PROC = "proc"  # what /proc has of the engine
    RULES = "rules"  # a file that it judges by

    @classmethod
    def folders(cls) -> list[Premise]:
        """Those of which there is one."""
        return [each for each in cls if each is not cls.RULES]


class Premises:
    """`engine` is that of a session record. Raises KeyError, TypeError or ValueError when it is not."""

    def __init__(self, engine: Mapping[str, Any]) -> None:
        self._trace, folder, keys, proc = (str(engine[each.value]["path"]) for each in Premise.folders())
        patterns = {
            Premise.TRACE: rf"{re.escape(self._trace)}(?:\.[^/]*)?",
            Premise.FOLDER: rf"{re.escape(folder)}(?:/\.index(?:/.+)?|/[^/]+\.trace(?:\.[^/]*)?)?",
            Premise.KEYS: rf"{re.escape(keys)}(?:/.+)?",
            Premise.PROC: rf"{re.escape(proc)}/{int(engine['pid'])}/.+",
        }
        self._ours = re.compile("|".join(f"(?P<{name}>{each})" for name, each in patterns.items()), re.DOTALL)
        self._above = frozenset(
            above for path in (self._trace, folder, keys) for above in _folders_above(path)
        )
        self._devices = {each: int(engine[each.value]["device"]) for each in Premise.folders()}
        self._rules = {str(each["path"]): int(each["device"]) for each in engine.get("rules", ())}
        self._inode = int(engine["trace"]["inode"])

    def at(self, path: str, device: int = 0, inode: int = 0) -> Premise | None:
        """What of it a path means. `device` and `inode`, where they are known, are of the file that was found
        there: another with the same name, in a sandbox with a root of its own, is none of ours.
        """
        if inode and (device, inode) == (self._devices[Premise.TRACE], self._inode):
            return Premise.TRACE  # by whatever name
        path = clean(path)
        if (device_of_rules := self._rules.get(path)) is not None:
            return None if inode and device != device_of_rules else Premise.RULES
        found = self._ours.fullmatch(path)
        if found is None or found.lastgroup is None:
            return None
        premise = Premise(found.lastgroup)
        is_other = path == self._trace and self._inode != 0  # of a trace that is rotated it changes
        if inode and (device != self._devices[premise] or is_other):
            return None
        return premise

    def is_above(self, path: str) -> bool:
        """Whether it is a folder that holds the trace, the sessions or the keys, however deep."""
        return clean(path) in self._above


def clean(path: str) -> str:
    """`path` without `.` and `..`, which only the names of failed attempts can have."""
    if "/." in path or "//" in path:
        return "/" + posixpath.normpath(path).lstrip("/")
    return path


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]
