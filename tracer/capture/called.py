"""A glob of process names as the tables that the probes match it by: `struct glob` in called.h."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fnmatch import fnmatchcase

NAME_MAX_BYTES = 15  # proc_pid_comm(5)


def tables(pattern: str, scope: int) -> bytes:
    """`pattern` is as for fnmatch(3), where a character is a byte.

    Raises ValueError when it has more single characters than a name can have: nothing matches it.
    """
    singles: list[str] = []
    repeats = 0
    for part in _parts(os.fsencode(pattern).decode("latin-1")):
        if part == "*":
            repeats |= 1 << len(singles)
        else:
            singles.append(part)
    if len(singles) > NAME_MAX_BYTES:
        raise ValueError(f"no process has a name of {len(singles)} bytes")
    accepts = (
        sum(1 << place for place, single in enumerate(singles) if fnmatchcase(chr(byte), single))
        for byte in range(256)
    )
    return struct.pack("<259I", *accepts, repeats, len(singles), scope)


def _parts(pattern: str) -> Iterator[str]:
    """What stands for one character each, and stars. A bracket without an end stands for itself."""
    at = 0
    while at < len(pattern):
        end = at + 1
        if pattern[at] == "[":
            close = pattern.find("]", at + (3 if pattern[at + 1 : at + 2] == "!" else 2))
            end = close + 1 if close > 0 else end
        yield pattern[at:end]
        at = end
