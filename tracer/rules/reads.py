"""Which opens for reading a rule of `file_access` needs to be told: names of files and of folders above them.

The probes tell no other opens for reading, for there are thousands of these in a second. So such a rule has
to say, in all of its alternatives, what a file or a folder is called: `file.path` or `file.name` as it is or
with its end (`/.netrc`), or a folder somewhere in the path (`/.ssh/`), up to four levels above the file.
Patterns and regular expressions may narrow that, and do not stand alone. Names are compared as they are
written, upper and lower case told apart: so does the file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionSelector,
    SigmaCondition,
)
from sigma.rule.detection import EmptySigmaDetections

FILE, FOLDER = 1, 2

Names = Mapping[str, int]
"""Name -> whether of a FILE, a FOLDER, or both."""

_PATHS = frozenset({"file.path", "TargetFilename", "file.name"})
_WILD = re.compile(r"[*?\\]")


def names_read(detection: Mapping[str, Any]) -> Names | None:
    """What a `detection` asks for; None when that cannot be told by names."""
    conditions = detection.get("condition")
    texts: list[str] = conditions if isinstance(conditions, list) else [str(conditions)]
    parsed = [SigmaCondition(text, EmptySigmaDetections()).parse(postprocess=False) for text in texts]
    return _any(_of_tree(tree, detection) for tree in parsed)


def _of_tree(item: Any, detection: Mapping[str, Any]) -> Names | None:
    if isinstance(item, ConditionIdentifier):
        return _of_definition(detection[item.identifier])
    if isinstance(item, ConditionNOT):
        return None
    if isinstance(item, ConditionSelector):
        pattern = ".*" if item.pattern == "them" else re.escape(item.pattern).replace(r"\*", ".*")
        names = [name for name in detection if name != "condition" and re.fullmatch(pattern, name)]
        parts = [_of_definition(detection[name]) for name in names]
        return _all(parts) if item.cond_class is ConditionAND else _any(parts)
    parts = [_of_tree(argument, detection) for argument in item.args]
    return _all(parts) if isinstance(item, ConditionAND) else _any(parts)


def _of_definition(definition: Any) -> Names | None:
    if isinstance(definition, dict):
        return _all(_of_item(key, values) for key, values in definition.items())
    if isinstance(definition, list):
        return _any(_of_definition(each) for each in definition)
    return None


def _of_item(key: str, values: Any) -> Names | None:
    field, *modifiers = key.split("|")
    how = [each for each in modifiers if each not in ("all", "cased")]
    if field not in _PATHS or len(how) > 1 or how[:1] not in ([], ["endswith"], ["startswith"], ["contains"]):
        return None
    told = [
        _of_value(field, how[0] if how else "", value)
        for value in (values if isinstance(values, list) else [values])
    ]
    return _all(told) if "all" in modifiers else _any(told)


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


def _any(parts: Iterable[Names | None]) -> Names | None:
    """All of them have to be told."""
    joined: dict[str, int] = {}
    for part in parts:
        if part is None:
            return None
        for name, what in part.items():
            joined[name] = joined.get(name, 0) | what
    return joined or None


def _all(parts: Iterable[Names | None]) -> Names | None:
    """One of them is enough: the shortest."""
    return min((part for part in parts if part), key=len, default=None)
