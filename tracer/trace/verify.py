"""What a trace is worth as evidence: whole, still growing, cut off, torn or altered, and from where on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tracer.errors import TraceError
from tracer.trace.blocks import Block, ring_records
from tracer.trace.read import Cursor, Damage, DamageKind, is_being_written, open_trace_file


class TraceState(StrEnum):
    INTACT = "intact"  # every block is as it was written, up to the end record
    LIVE = "live"  # intact so far, and still being written
    CUT = "cut"  # intact, but without an end: the engine was killed or the last blocks were removed
    TORN = "torn"  # the last block is not all there
    ALTERED = "altered"  # a block is not what was written, or not where it belongs


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of `verify`; all counts are of what comes before the damage.

    records      of context and kernel together
    events       kernel records alone
    first_ns, last_ns   boot clock of the first and last kernel record, 0 without any
    lost_critical, lost_bulk   records the session lost by its own account
    damage       where and why it stops being believable; None when intact, live or cut
    message      one line for a person
    """

    state: TraceState
    blocks: int
    records: int
    events: int
    first_ns: int
    last_ns: int
    lost_critical: int
    lost_bulk: int
    size_bytes: int
    damage: Damage | None
    message: str

    @property
    def trustworthy(self) -> bool:
        return self.state in (TraceState.INTACT, TraceState.LIVE)


@dataclass(slots=True)
class _Tally:
    """What was counted so far."""

    blocks: int = 0
    context_records: int = 0
    events: int = 0
    first_ns: int = 0
    last_ns: int = 0
    lost_critical: int = 0
    lost_bulk: int = 0

    def add(self, block: Block) -> None:
        header = block.header
        self.blocks += 1
        self.context_records += header.context_records
        self.events += header.critical_records + header.bulk_records
        if header.first_ns:
            self.first_ns = min(self.first_ns or header.first_ns, header.first_ns)
        self.last_ns = max(self.last_ns, header.last_ns)
        self.lost_critical = header.lost_critical
        self.lost_bulk = header.lost_bulk


def verify(path: Path) -> Verdict:
    """Check every block of the trace: hash, place in the chain, counts. In constant memory.

    Raises TraceError when the file cannot be read or is not a trace of this version.
    """
    descriptor = open_trace_file(path)
    try:
        live = is_being_written(descriptor)  # asked first: what is written later is not missed as an end
        cursor = Cursor(descriptor)
        tally, damage = _check_blocks(cursor)
        size_bytes = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return _verdict(tally, damage, size_bytes, ended=cursor.ended, live=live)


def _check_blocks(cursor: Cursor) -> tuple[_Tally, Damage | None]:
    tally = _Tally()
    while isinstance(result := cursor.next(), Block):
        if (fault := _fault(result)) is not None:
            return tally, Damage(DamageKind.ALTERED, result.header.sequence, result.offset, fault)
        tally.add(result)
    return tally, result


def _fault(block: Block) -> str | None:
    """What a block says of itself that is not so, although its hash is right."""
    header = block.header
    sections = (
        ("critical", block.critical, header.critical_records),
        ("bulk", block.bulk, header.bulk_records),
    )
    for name, section, claimed in sections:
        try:
            counted = sum(1 for _ in ring_records(section))
        except TraceError as error:
            return f"{name} section: {error}"
        if counted != claimed:
            return f"{counted} {name} records where the header says {claimed}"
    if header.sequence == 0 and (not block.context or block.context[0]["type"] != "session"):
        return "the trace does not begin with a session record"
    return None


def _verdict(tally: _Tally, damage: Damage | None, size_bytes: int, *, ended: bool, live: bool) -> Verdict:
    state = _state(damage, ended=ended, live=live)
    if state is TraceState.LIVE:
        damage = None  # a last block that is half there is just being written
    return Verdict(
        state,
        tally.blocks,
        tally.context_records + tally.events,
        tally.events,
        tally.first_ns,
        tally.last_ns,
        tally.lost_critical,
        tally.lost_bulk,
        size_bytes,
        damage,
        _message(state, damage, tally.events),
    )


def _state(damage: Damage | None, *, ended: bool, live: bool) -> TraceState:
    if damage is not None and damage.kind is not DamageKind.TORN:
        return TraceState.ALTERED
    if ended:
        return TraceState.INTACT
    if live:
        return TraceState.LIVE
    return TraceState.CUT if damage is None else TraceState.TORN


def _message(state: TraceState, damage: Damage | None, events: int) -> str:
    if damage is not None:
        advice = (
            "trust nothing from there on" if state is TraceState.ALTERED else "everything before is intact"
        )
        return f"{state} at block {damage.block} (byte {damage.offset}): {damage.message}; {advice}"
    return {
        TraceState.INTACT: f"intact: {events} events, from the first record to the last",
        TraceState.LIVE: f"live: intact so far, {events} events, and still being written",
        TraceState.CUT: f"cut: {events} events are intact, but there is no end record: the engine was "
        "killed, or the last blocks were removed",
    }[state]
