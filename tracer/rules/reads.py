"""Which opens for reading a rule of `file_access` needs to be told: names of files and of folders above them.

The probes tell no other opens for reading, for there are thousands of these in a second. So such a rule has
to say, in all of its alternatives, what a file or a folder is called: `file.path` or `file.name` as it is or
with its end (`/.netrc`), or a folder somewhere in the path (`/.ssh/`), up to four levels above the file.
Patterns and regular expressions may narrow that, and do not stand alone. Names are compared as they are
written, upper and lower case told apart: so does the file system.

Here is what one line of a rule says; `tracer.rules.nodes` joins it along the rule's own tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

FILE, FOLDER = 1, 2

Names = Mapping[str, int]
"""Name -> whether of a FILE, a FOLDER, or both."""

_PATHS = frozenset({"file.path", "TargetFilename", "file.name"})
_WILD = re.compile(r"[*?\\]")


def names_read(key: str | None, values: Any) -> Names | None:
    """What a line of a detection asks for; None when that cannot be told by names."""
    field, *modifiers = (key or "").split("|")
    how = [each for each in modifiers if each not in ("all", "cased")]
    if field not in _PATHS or len(how) > 1 or how[:1] not in ([], ["endswith"], ["startswith"], ["contains"]):
        return None
    told = [
        _of_value(field, how[0] if how else "", value)
        for value in (values if isinstance(values, list) else [values])
    ]
    return any_names(told) if "all" not in modifiers else all_names(told)


def _of_value(field: str, how: str, value: Any) -> Names | None:
    if not isinstance(value, str) or _WILD.search(value):
        return None
    folder, slash, name = value.rpartition("/")
    if how in ("", "endswith") and name and (slash or not how):
        return {name: FILE}
    if field == "file.name" or not slash:
        return None
    whole = folder.rpartition("/")[2] if "/" in folder else ""
    return {whole: FOLDER} if whole and how in ("startswith", "contains") else None


def any_names(parts: Iterable[Names | None]) -> Names | None:
    """All of them have to be told."""
    joined: dict[str, int] = {}
    for part in parts:
        if part is None:
            return None
        for name, what in part.items():
            joined[name] = joined.get(name, 0) | what
    return joined or None


def all_names(parts: Iterable[Names | None]) -> Names | None:
    """One of them is enough: the shortest."""
    return min((part for part in parts if part), key=len, default=None)
