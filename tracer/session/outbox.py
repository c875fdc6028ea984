"""Context records on their way into the trace, in portions that a block has room for."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tracer.trace import MAX_CONTEXT_BYTES

PORTION_BYTES = MAX_CONTEXT_BYTES // 2  # the writer may add a record of its own to a block
_RECORD_MAX_BYTES = MAX_CONTEXT_BYTES // 4
_LASTING = frozenset({"user", "scope", "container", "process", "name", "rules"})

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Outbox:
    """Context records that go into the next blocks. May be filled from any thread.

    keeps   what lasts, for `lasting`
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self._keeps = keeps
        self._lock = threading.Lock()
        self._records: deque[tuple[Mapping[str, Any], int]] = deque()
        self._judged: int | None = None
        self._lasting: list[Mapping[str, Any]] = []
        self._lasting_bytes = 0

    def add(self, record: Mapping[str, Any]) -> None:
        sized = record, encoded_bytes(record)
        with self._lock:
            self._records.append(sized)
            self._keep(*sized)

    def keep(self, records: Iterable[Mapping[str, Any]]) -> None:
        """What was written by others, and lasts."""
        with self._lock:
            for record in records:
                self._keep(record, encoded_bytes(record))

    def lasting(self) -> list[Mapping[str, Any]]:
        """What stays true, as far as there is room: who reads only a later part needs it."""
        with self._lock:
            return list(self._lasting)

    def _keep(self, record: Mapping[str, Any], size: int) -> None:
        if not self._keeps:
            return
        if record["type"] == "rules":  # these are instead of those before
            for old in [each for each in self._lasting if each["type"] == "rules"]:
                self._lasting.remove(old)
                self._lasting_bytes -= encoded_bytes(old)
        if record["type"] in _LASTING and self._lasting_bytes + size <= PORTION_BYTES:
            self._lasting.append(record)
            self._lasting_bytes += size

    def judged(self, block: int) -> None:
        """All events up to this block were judged; only the newest such word is kept."""
        with self._lock:
            self._judged = block

    def take(self) -> list[Mapping[str, Any]]:
        """As many as a block has room for; nothing when there is nothing."""
        taken: list[Mapping[str, Any]] = []
        room = PORTION_BYTES
        with self._lock:
            while self._records and (not taken or self._records[0][1] <= room):
                record, size = self._records.popleft()
                taken.append(record)
                room -= size
            if self._judged is not None:
                taken.append(judged_record(self._judged))
                self._judged = None
        return taken


def judged_record(block: int) -> dict[str, Any]:
    return {"type": "judged", "block": block}


def encoded_bytes(record: Mapping[str, Any]) -> int:
    """The room that a record takes in a block."""
    return len(_encode(record)) + 1


def portions(violations: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The records of violations, each portion small enough for a block.

    A record too large by itself (a command line of bytes that are not text, matched many times over) goes in
    without what matched: an agent must not be able to hide a violation by making it large.
    """
    portion: list[Mapping[str, Any]] = []
    room = PORTION_BYTES
    for whole in violations:
        record, size = whole, encoded_bytes(whole)
        if size > _RECORD_MAX_BYTES:
            record = {**whole, "matched": []}
            size = encoded_bytes(record)
        if portion and size > room:
            yield portion
            portion, room = [], PORTION_BYTES
        portion.append(record)
        room -= size
    if portion:
        yield portion
