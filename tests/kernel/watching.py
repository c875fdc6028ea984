"""Runs a trigger program in scope and hands back what the probes recorded of it, decoded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tracer.capture import Drained, RecordDecoder, Wanted
from tracer.capture.guard import Guard
from tracer.capture.probes import ProbeSource
from tracer.records import (
    BoundaryRecord,
    CloseRecord,
    ConnectRecord,
    ExecFailedRecord,
    ExecRecord,
    ExitRecord,
    Flag,
    FlowRecord,
    ForkRecord,
    Kind,
    OpenRecord,
    PathRecord,
    PayloadRecord,
    Record,
)
from tracer.rules.allowed import path_list, program_list
from tracer.rules.automaton import compile_automaton
from tracer.trace import ring_records

TRIGGERS = Path(__file__).parent / "triggers"
PRELUDE = (TRIGGERS / "prelude.py").read_text()
PYTHON = os.path.realpath(sys.executable)
SECONDS_MAX = 60  # for a trigger that hangs; none takes a second, but where the processor is emulated

R = TypeVar("R", bound=Record)


@dataclass
class Run:
    """A trigger that has ended, and the records of it and of all that it started."""

    pid: int
    status: int
    output: bytes
    records: list[Record]

    def of(self, kind: type[R], *kinds: Kind) -> list[R]:
        """The records of a class, or of those kinds."""
        found = [each for each in self.records if isinstance(each, kind)]
        return [each for each in found if each.kind in kinds] if kinds else found

    @property
    def forks(self) -> list[ForkRecord]:
        return self.of(ForkRecord)

    @property
    def execs(self) -> list[ExecRecord]:
        """All but the first, which is the trigger itself."""
        return self.of(ExecRecord, Kind.EXEC)[1:]

    @property
    def failed_execs(self) -> list[ExecFailedRecord]:
        return self.of(ExecFailedRecord)

    @property
    def exits(self) -> list[ExitRecord]:
        return self.of(ExitRecord)

    @property
    def connects(self) -> list[ConnectRecord]:
        return self.of(ConnectRecord, Kind.CONNECT)

    @property
    def flows(self) -> list[FlowRecord]:
        return self.of(FlowRecord)

    def own(self, *kinds: Kind) -> list[ConnectRecord]:
        """BIND, LISTEN, ACCEPT."""
        return self.of(ConnectRecord, *kinds)

    def said(self, *kinds: Kind) -> list[PayloadRecord]:
        """SEND, HEAD, DNS."""
        return self.of(PayloadRecord, *kinds)

    @property
    def opens(self) -> list[OpenRecord]:
        return self.of(OpenRecord)

    @property
    def closes(self) -> list[CloseRecord]:
        return self.of(CloseRecord)

    def paths(self, *kinds: Kind) -> list[PathRecord]:
        return self.of(PathRecord, *kinds)

    @property
    def boundaries(self) -> list[BoundaryRecord]:
        return self.of(BoundaryRecord)

    @property
    def acts(self) -> list[Record]:
        """All but the start and the end of the trigger itself, and but for boundary acts."""
        first, last = self.records[0], self.records[-1]
        assert (first.kind, first.pid) == (Kind.EXEC, self.pid)
        assert (last.kind, last.pid) == (Kind.EXIT, self.pid)
        return [each for each in self.records[1:-1] if not isinstance(each, BoundaryRecord)]


@dataclass
class Watch:
    """One loaded source, with one scope. `triggers` builds a C program and gives its path."""

    source: ProbeSource
    triggers: Callable[[str], Path]
    scope: int = 1
    recorded: list[Record] = field(default_factory=list)
    _decoder: RecordDecoder = field(init=False)
    _lost_before: dict[str, int] = field(init=False)  # by another test with the same source

    def __post_init__(self) -> None:
        self._decoder = RecordDecoder(self.source.abi)
        self._lost_before = self.source.losses()

    @property
    def guard(self) -> Guard:
        assert self.source.guard
        return self.source.guard

    @property
    def by_name(self) -> Flag:
        """What a record says of its evidence, whose call the kernel has found the name of: by tier."""
        return Flag(0) if self.source.tier == "A" else Flag.USER_EVIDENCE

    @property
    def exec_by_name(self) -> Flag:
        """Likewise, of an exec that failed: nobody but the caller has its arguments."""
        return Flag.USER_ARGS if self.source.tier == "A" else Flag.USER_EVIDENCE

    def run(self, *argv: str | bytes | Path, lossy: bool = False, **options: Any) -> Run:
        """Run a program and all it starts to the end; its exit status is the caller's to look at.

        `options` are those of Popen. Asserts that nobody is left in scope, and if not `lossy` that nothing
        was lost.
        """
        options.setdefault("stdin", subprocess.DEVNULL)
        trigger = Gated(self.triggers("gate"), argv, **options)
        try:
            assert self.source.add_process(Wanted(trigger.pid, silent=True), self.scope) == 1
            output = trigger.go()
        finally:
            trigger.end()
        assert list(self.source.members()) == []
        return Run(trigger.pid, trigger.status, output, self.records(lossy=lossy))

    def python(self, code: str, *arguments: str | bytes | Path, **options: Any) -> Run:
        """Run a Python trigger with the prelude before it; it has to succeed."""
        run = self.run(*python(code), *arguments, **options)
        assert run.status == 0, run.output
        return run

    def shell(self, code: str, *arguments: str | bytes | Path, **options: Any) -> Run:
        return self.run("/bin/sh", "-c", code, "sh", *arguments, **options)

    def trigger(self, name: str, *arguments: str | bytes | Path, **options: Any) -> Run:
        return self.run(self.triggers(name), *arguments, **options)

    def records(self, *, lossy: bool = False) -> list[Record]:
        """What is there now, in the order of time."""
        self.source.sweep()
        drained = self.source.drain()
        if not lossy:
            assert self.source.losses() == self._lost_before
            assert drained.lost_critical + drained.lost_bulk == sum(self._lost_before.values())
        found = self.decode(drained)
        assert {each.scope for each in found} <= {self.scope}
        self.recorded += found
        return found

    def decode(self, drained: Drained) -> list[Record]:
        found = [
            self._decoder.decode(each)
            for section in (drained.critical, drained.bulk)
            for each in ring_records(section.data)
        ]
        assert len(found) == drained.critical.records + drained.bulk.records
        return sorted(found, key=lambda record: record.time_ns)


class Gated:
    """A program that waits at a gate, so that it can be put in scope before it begins."""

    def __init__(self, gate: Path, argv: Sequence[str | bytes | Path], **options: Any) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [gate, str(theirs.fileno()), *argv],
                    stdout=options.pop("stdout", subprocess.PIPE),
                    stderr=options.pop("stderr", subprocess.STDOUT),
                    pass_fds=[theirs.fileno(), *options.pop("pass_fds", ())],
                    **options,
                )
            except BaseException:
                self._ours.close()
                raise
        self.pid = self._process.pid
        self._ours.settimeout(SECONDS_MAX)
        # Popen returns while the exec is still going on; only now it is over.
        assert self._ours.recv(1) == b"r"

    def go(self) -> bytes:
        """Open the gate and wait for the end: of the program, and of all that hold its output."""
        self.open()
        return self.finish()

    def open(self) -> None:
        self._ours.send(b"x")

    def finish(self) -> bytes:
        output, _ = self._process.communicate(timeout=SECONDS_MAX)
        return output or b""

    @property
    def status(self) -> int:
        """As Popen.returncode: negative for a signal."""
        assert self._process.returncode is not None
        return self._process.returncode

    def end(self) -> None:
        self._ours.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait(SECONDS_MAX)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


def list_paths(guard: Guard, programs: Sequence[str] = (), writes: Sequence[str] = ()) -> None:
    """What may be run and what may be written, as the patterns of a policy."""
    table = compile_automaton([path_list(writes), program_list(programs, writes)])
    guard.list_paths(table.classes, table.width, table.starts, table.cells.tobytes())


def python(code: str) -> list[str]:
    """The command of a Python trigger, without its arguments."""
    return [PYTHON, "-I", "-S", "-B", "-c", PRELUDE + code]


def place(path: str, name: str) -> str:
    """A name below a path; an absolute name is below it too, as the path is then the root of the process."""
    return f"{path.rstrip('/')}/{name.lstrip('/')}" if name else path


def where(record: OpenRecord | PathRecord | ExecFailedRecord) -> str:
    return place(record.path, record.name)


def where_to(record: PathRecord) -> str:
    """The new name of a rename or a link."""
    return place(record.path2, record.name2)


def opened(records: Iterable[OpenRecord]) -> list[tuple[str, int]]:
    """Path, and 0 or the errno."""
    return [(where(each), min(each.result, 0)) for each in records]


def closed(records: Iterable[CloseRecord]) -> list[tuple[str, int, int]]:
    """Path, bytes, writes."""
    return [(each.path, each.bytes, each.writes) for each in records]


def flags(record: Record) -> Flag:
    return Flag(record.flags)
