"""What a trace is worth as evidence: whole, growing, cut off, torn or altered, and where; sealed by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tracer.errors import TraceError
from tracer.trace.blocks import Block, ring_records
from tracer.trace.keys import PublicKey
from tracer.trace.read import Cursor, Damage, DamageKind, TraceFile
from tracer.trace.seal import seal_fault


class TraceState(StrEnum):
    INTACT = "intact"  # every block is as it was written, up to the end record, and sealed
    LIVE = "live"  # intact so far, and still being written
    CUT = "cut"  # intact, but without its end: the engine was killed or the last blocks were removed
    TORN = "torn"  # the last block is not all there
    ALTERED = "altered"  # a block is not what was written
    REORDERED = "reordered"  # a sound block is not where it belongs
    UNSEALED = "unsealed"  # whole, but nothing shows who wrote it
    WRONG_KEY = "wrong-key"  # whole, but sealed by another key than those that are trusted


@dataclass(frozen=True, slots=True)
class Sealed:
    """The seals of a trace.

    key         fingerprint of the key that made them, "" without any
    name        what that key is called here, "" when it is not known here
    blocks      the blocks they cover, from the first
    head        hash of the last of these, in hexadecimal
    """

    key: str = ""
    name: str = ""
    blocks: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of `verify`; all counts are of what comes before the damage.

    records      of context and kernel together
    events       kernel records alone
    first_ns, last_ns   boot clock of the first and last kernel record, 0 without any
    lost_critical, lost_bulk   records the session lost by its own account
    damage       where and why it stops being believable; None when no block is to blame
    message      one line for a person
    first_block  the number of the first block; those before it were in parts that are not kept
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
    sealed: Sealed
    damage: Damage | None
    message: str
    first_block: int = 0

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


class _Seals:
    """The seals met so far. All must be by one key, the one the session record names."""

    def __init__(self) -> None:
        self.key: PublicKey | None = None
        self.promised = ""  # the key of the session record
        self.blocks = 0
        self.head = ""

    def fault(self, block: Block) -> str:
        """Takes the block's seals in. What is wrong with them; "" when nothing is."""
        for record in block.context:
            if record["type"] == "session":
                self.promised = _promised(record)
            if record["type"] == "seal" and (fault := self._seal_fault(record, block)):
                return fault
        return ""

    def _seal_fault(self, record: Mapping[str, Any], block: Block) -> str:
        if fault := seal_fault(record, block.header.sequence - 1, block.header.previous):
            return fault
        key = PublicKey.parse(record["key"])
        if key.line != self.promised:
            return "a seal is by another key than the session began with"
        self.key = key
        self.blocks = block.header.sequence
        self.head = block.header.previous.hex()
        return ""


def _promised(session: Mapping[str, Any]) -> str:
    key = session.get("key")
    return key if isinstance(key, str) else ""


def verify(path: Path, keys: Mapping[PublicKey, str] = MappingProxyType({})) -> Verdict:
    """Check every block of the trace: hash, place in the chain, counts, seals. In constant memory.

    `keys` are those that are trusted, and their names; without any, a seal by whatever key will do, as there
    is nothing to hold it against.

    Raises TraceError when the file cannot be read or is not a trace of this version.
    """
    with TraceFile(path) as file:
        live = file.is_live()  # asked first: what is written later is not missed as an end
        cursor = file.cursor()
        seals = _Seals()
        tally, damage = _check_blocks(cursor, seals)
        size_bytes, first_block = file.size_bytes, file.first_block
    if live and damage is not None and damage.kind is DamageKind.TORN:
        damage = None  # a last block that is half there is just being written
    state = _state(damage, cursor, seals, keys, live=live)
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
        _sealed(seals, keys),
        damage,
        _message(state, damage, tally, seals, first_block),
        first_block,
    )


def _check_blocks(cursor: Cursor, seals: _Seals) -> tuple[_Tally, Damage | None]:
    tally = _Tally()
    while isinstance(result := cursor.next(), Block):
        if fault := _fault(result) or seals.fault(result):
            return tally, Damage(DamageKind.ALTERED, result.header.sequence, result.offset, fault)
        tally.add(result)
    return tally, result


def _fault(block: Block) -> str:
    """What a block says of itself that is not so, although its hash is right; "" when all is."""
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
    if block.offset == 0 and (not block.context or block.context[0]["type"] != "session"):
        return "the trace does not begin with a session record"
    return ""


def _state(
    damage: Damage | None, cursor: Cursor, seals: _Seals, keys: Mapping[PublicKey, str], *, live: bool
) -> TraceState:
    if damage is not None:
        return TraceState(damage.kind.value)
    if seals.key is not None and keys and seals.key not in keys:
        return TraceState.WRONG_KEY
    if live:
        return TraceState.LIVE
    if not cursor.ended or (seals.promised and not cursor.sealed):
        return TraceState.CUT
    return TraceState.INTACT if cursor.sealed else TraceState.UNSEALED


def _sealed(seals: _Seals, keys: Mapping[PublicKey, str]) -> Sealed:
    if seals.key is None:
        return Sealed()
    return Sealed(seals.key.fingerprint, keys.get(seals.key, ""), seals.blocks, seals.head)


def _message(state: TraceState, damage: Damage | None, tally: _Tally, seals: _Seals, first_block: int) -> str:
    if first_block:
        whole = _message(state, damage, tally, seals, 0)
        return f"{whole}; the first {first_block} blocks are not kept here"
    if damage is not None:
        advice = "everything before is intact"
        if damage.kind is not DamageKind.TORN:
            advice = "trust nothing from there on"
        return (
            f"{state} at block {damage.block} (byte {damage.offset}): {damage.message}; "
            f"{advice}: {tally.events} events"
        )
    return f"{state}: " + {
        TraceState.INTACT: f"{tally.events} events, from the first record to the last",
        TraceState.LIVE: f"intact so far, {tally.events} events, and still being written",
        TraceState.CUT: f"{tally.events} events are intact, but the end is missing: the engine was killed, "
        "or the last blocks were removed",
        TraceState.UNSEALED: f"{tally.events} events, but no seal shows who wrote them",
        TraceState.WRONG_KEY: f"{tally.events} events, sealed by a key that is not trusted here: "
        f"{seals.key.fingerprint if seals.key else ''}",
    }.get(state, "")
