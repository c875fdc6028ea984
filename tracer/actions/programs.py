"""The table by which the kernel kills programs that are not allowed: which ones may be.

The kernel compares hashes of names and knows no wildcards, so an entry stands for all that its pattern could
allow: the whole path, the directory before the first wildcard, a name, or the beginning of one. What is in
none of them is not allowed for certain; the rest is judged in user space, as ever. Layout and hash:
probes/guard.h.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_PATH, _BELOW, _NAME, _NAME_BEGINS = 1, 2, 3, 4  # enum program_kind
_START, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1
_SPECIAL = re.compile(r"[*?\[\\]")
ENTRIES_MAX = 4096


def possible_programs(patterns: Iterable[str]) -> list[bytes] | None:
    """Keys of the table; None when a pattern may allow anything, or there are too many.

    Patterns are those of `process.exec` in a policy. One that begins with "!" only takes away: it is left to
    user space.
    """
    keys: set[int] = set()
    for pattern in patterns:
        if pattern.startswith("!"):
            continue
        key = _of_path(pattern) if "/" in pattern else _of_name(pattern)
        if key is None:
            return None
        keys.add(key)
    return [key.to_bytes(8, "little") for key in sorted(keys)] if len(keys) <= ENTRIES_MAX else None


def _of_path(pattern: str) -> int | None:
    components = pattern.strip("/").split("/")
    plain = next((at for at, each in enumerate(components) if _SPECIAL.search(each)), len(components))
    if plain == 0:
        return None
    return _hash(_stored(components[:plain]), _PATH if plain == len(components) else _BELOW)


def _of_name(pattern: str) -> int | None:
    found = _SPECIAL.search(pattern)
    if found is None:
        return _hash(os.fsencode(pattern), _NAME)
    return _hash(os.fsencode(pattern[: found.start()]), _NAME_BEGINS) if found.start() else None


def _stored(components: Iterable[str]) -> bytes:
    """A path as the probes store it, leaf first, from its end on."""
    return b"".join(b"/" + os.fsencode(each)[::-1] for each in components)


def _hash(data: bytes, kind: int) -> int:
    """FNV-1a, and the kind as its last byte."""
    value = _START
    for byte in (*data, kind):
        value = (value ^ byte) * _PRIME & _MASK
    return value
