"""Traces of any length, quickly: one process's records are encoded once (`tests.wire`), then its numbers and
times are written over.

Each process is forked by the agent, runs a program, writes three files, connects and ends: 10 events. Every
`VIOLATION_EACH`th of them broke a rule. All of it takes 1 ms of the trace's time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import records, wire
from tracer.events import Level, Rule, RuleKind
from tracer.records import Record
from tracer.rulings import rule_record
from tracer.trace import Writer, ring_section

EVENTS_EACH = 10  # of a process
VIOLATION_EACH = 100  # processes
PROCESSES_A_BLOCK = 200
AGENT, FIRST_PID = 100, 1_000
FIRST_NS, PROCESS_NS = 200 * records.SECOND_NS, 1_000_000
NAMES = 500  # of files and peers; pids are used again, too
RULE = Rule("net", "Connection the policy does not allow", Level.HIGH, RuleKind.POLICY)
SESSION = records.SESSION | {"abi": wire.layout(), "targets": ["run"], "command": ["agent"]}

_Fields = dict[str, int]  # where a number is in a record


def write_long_trace(path: Path, events: int, *, end: bool = True) -> None:
    """A trace of so many events, and one exec of the agent before them."""
    processes = events // EVENTS_EACH
    with Writer(path) as writer:
        session = SESSION | {"start_ns": records.BOOT_NS + FIRST_NS}
        first = records.execve(AGENT, "/usr/bin/agent", FIRST_NS, "agent", "--task", "7")
        writer.append([session], ring_section([wire.encode(first)], FIRST_NS, FIRST_NS))
        for block, start in enumerate(range(0, processes, PROCESSES_A_BLOCK), 1):
            numbers = range(start, min(start + PROCESSES_A_BLOCK, processes))
            writer.append([*_violations(numbers), {"type": "judged", "block": block}], *_sections(numbers))
        if end:
            writer.append([{"type": "end"}])


def sequence_of(process: int) -> int:
    """The event of a process's connect."""
    return 2 + process * EVENTS_EACH + EVENTS_EACH - 2


def time_of(process: int) -> int:
    """When a process begins, nanoseconds since the Unix epoch."""
    return records.BOOT_NS + FIRST_NS + PROCESS_NS + process * PROCESS_NS


def _violations(numbers: range) -> Iterator[dict[str, Any]]:
    for number in numbers:
        if number % VIOLATION_EACH == 0:
            yield {
                "type": "violation",
                "event": sequence_of(number),
                "rule": rule_record(RULE),
                "matched": [["destination.port", "443"]],
                "summary": f"curl connected to 203.0.113.{number % 200}:443, which the policy does not allow",
            }


def _sections(numbers: range) -> Iterator[Any]:
    begin = FIRST_NS + PROCESS_NS + numbers[0] * PROCESS_NS
    made = [_numbered(number) for number in numbers]
    for kind in (0, 1):
        yield ring_section(
            [record for each in made for record in each[kind]], begin, begin + PROCESS_NS * len(numbers)
        )


def _numbered(number: int) -> tuple[list[bytes], list[bytes]]:
    """The critical and the bulk records of a process."""
    pid = FIRST_PID + number % 30_000
    start_ns = FIRST_NS + PROCESS_NS + number * PROCESS_NS
    sections: tuple[list[bytes], list[bytes]] = [], []
    for at, (data, places, is_bulk) in enumerate(_TEMPLATES[number % NAMES]):
        record = bytearray(data)
        struct.pack_into("<Q", record, places["head.time_ns"], start_ns + at * PROCESS_NS // 20)
        struct.pack_into("<Q", record, places["head.start_ns"], start_ns)
        struct.pack_into("<Q", record, places["head.pid"], pid)
        struct.pack_into("<Q", record, places["head.tid"], pid)
        sections[is_bulk].append(bytes(record))
    return sections


def _templates(name: int) -> Iterator[tuple[bytes, _Fields, bool]]:
    pid = FIRST_PID
    made: list[Record] = [
        records.fork(pid, AGENT),
        records.execve(pid, "/usr/bin/curl", 0, "curl", f"https://host-{name}.example/"),
    ]
    for part in range(3):
        path = f"/work/run-{name % 40}/step-{name}/part-{part}.json"
        made += [records.opened(pid, path), records.closed(pid, path)]
    made += [records.connect(pid, records.peer(f"203.0.113.{name % 200}", 443)), records.leave(pid)]
    for record in made:
        layout = wire.layout()["structs"][_NAMES[type(record)]]["fields"]
        is_bulk = type(record).__name__ in ("OpenRecord", "CloseRecord")
        yield wire.encode(record), {field: offset for field, offset, _code in layout}, is_bulk


_NAMES = {record: name for name, record in wire.STRUCTS.items()}
_TEMPLATES = [list(_templates(name)) for name in range(NAMES)]
