"""A session from end to end without a kernel: records in, trace and violations out, and all that may fail."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.records import SESSION, execve, leave, opened
from tracer.capture import Drained, ReadOf, ScopeCgroup
from tracer.errors import AbiMismatch, CaptureError, TargetError
from tracer.events import Action, Event, File, Level, Match, Rule, RuleKind, Violation
from tracer.export import Documents, session_facts
from tracer.export import jsonl as as_jsonl
from tracer.pipeline import open_trace
from tracer.records import Record
from tracer.rules import Given, RuleSet
from tracer.rules.wiring import Wiring
from tracer.session import Callbacks, Outcome, Session
from tracer.targets import Target
from tracer.trace import Reader, TraceState, ring_section, verify

RULE = Rule("files.write", "File not allowed", Level.HIGH, RuleKind.POLICY)
FIRST = [SESSION | {"abi": wire.layout()}]
SECONDS_MAX = 10
START = execve(200, "/bin/agent")


@dataclass
class FakeSource:
    """Hands out what `feed` was given, a block each time; `broken` names the methods that fail."""

    broken: set[str] = field(default_factory=set)
    pids: list[int] = field(default_factory=list)
    joins: int = 1
    lost: tuple[int, int] = (0, 0)
    closed: int = 0
    abi: dict[str, Any] = field(default_factory=wire.layout)
    engine: dict[str, Any] = field(default_factory=lambda: {"pid": 7, "start_ns": 7, "bpf": {}})
    loader: str = "core"
    tier: str = "B"
    unseen: tuple[str, ...] = ()
    guard: Any = None

    def __post_init__(self) -> None:
        self._blocks: deque[tuple[list[bytes], list[bytes]]] = deque()
        self._fed = threading.Event()

    def feed(self, critical: Iterable[Record] = (), bulk: Iterable[Record] = ()) -> None:
        self._blocks.append((list(map(wire.encode, critical)), list(map(wire.encode, bulk))))
        self._fed.set()

    def _act(self, name: str) -> None:
        if name in self.broken:
            raise OSError(errno.EIO, f"{name} is broken")

    def add_process(self, *_: object) -> int:
        return self.joins

    def add_cgroup(self, *_: object) -> int:
        return self.joins

    def hold_namespaces(self, *_: object) -> None:
        pass

    def tell_reads(self, names: Mapping[str, ReadOf]) -> None:
        self.reads = dict(names)

    def wait(self, timeout_seconds: float) -> bool:
        self._act("wait")
        woken = self._fed.wait(timeout_seconds)
        self._fed.clear()
        return woken

    def drain(self) -> Drained:
        self._act("drain")
        if not self._blocks:
            return Drained(lost_critical=self.lost[0], lost_bulk=self.lost[1])
        critical, bulk = self._blocks.popleft()
        return Drained(ring_section(critical), ring_section(bulk), *self.lost)

    def sweep(self) -> None:
        self._act("sweep")

    def members(self) -> dict[int, int]:
        self._act("members")
        return dict.fromkeys(self.pids, 1)

    def scope_cgroups(self) -> dict[ScopeCgroup, int]:
        return {}

    def losses(self) -> dict[str, int]:
        self._act("losses")
        return {"RB_LOST_FILE": self.lost[1]} if self.lost[1] else {}

    def detach(self) -> None:
        self._act("detach")

    def close(self) -> None:
        self.closed += 1
        self._act("close")


class FakeRules(RuleSet):
    """Files with `bad` in their path are violations; `worse` makes the rule itself fail."""

    def __init__(self, domains: Iterable[str] = ()) -> None:
        super().__init__(None, Wiring([]), (), (), Given())
        self.domains = frozenset(domains)

    def judge(self, event: Event) -> tuple[Violation, ...]:
        return judge(event)


def judge(event: Event) -> tuple[Violation, ...]:
    detail = event.detail
    if not isinstance(detail, File):
        return ()
    if "worse" in detail.path:
        raise ZeroDivisionError
    found = (Match("file.path", detail.path),)
    return (Violation(RULE, event, found, f"wrote {detail.path}"),) if "bad" in detail.path else ()


class Told:
    """What a session told, and a way to wait for it."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.notices: list[str] = []
        self._more = threading.Condition()

    def take(self, violations: Sequence[Violation]) -> None:
        with self._more:
            self.violations += violations
            self._more.notify_all()

    def notice(self, message: str) -> None:
        with self._more:
            self.notices.append(message)
            self._more.notify_all()

    def wait(self, ready: Callable[[], object]) -> None:
        with self._more:
            assert self._more.wait_for(ready, SECONDS_MAX)

    @property
    def callbacks(self) -> Callbacks:
        return Callbacks(self.take, self.notice)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.trace"


def made(source: FakeSource, path: Path, told: Told, **options: Any) -> Session:
    return Session(source, path, FakeRules(), FIRST, told.callbacks, **options)


def context(path: Path, kind: str) -> list[dict[str, Any]]:
    with Reader(path) as reader:
        return [record for block in reader for record in block.context if record["type"] == kind]


def is_closed(path: Path) -> bool:
    return verify(path).state is not TraceState.LIVE


# ---- what goes well


def test_records_become_a_trace_and_violations(path: Path, told: Told) -> None:
    source = FakeSource(pids=[200])
    with made(source, path, told) as session:
        session.start()
        source.feed([START], [opened(200, "/work/bad\n\udcff", 5)])
        told.wait(lambda: told.violations)
        source.feed([leave(200, 9)], [opened(200, "/work/good", 7)])
        outcome = session.stop()
    assert outcome == Outcome(
        actions={Action.EXEC: 1, Action.FILE_WRITE: 2, Action.EXIT: 1},
        violations={Level.HIGH: 1},
        losses={"critical": 0, "bulk": 0},
        left=1,
    )
    assert outcome.complete
    assert outcome.worst() is Level.HIGH
    assert source.closed == 1
    assert verify(path).state is TraceState.UNSEALED
    with open_trace(path) as trace:
        found = [violation.summary for _event, violations in trace.items() for violation in violations]
        assert (found, trace.unjudged, trace.ended) == (["wrote /work/bad\n\udcff"], 0, True)
    (end,) = context(path, "end")
    assert (end["events"], end["violations"], end["left"]) == (4, 1, 1)
    assert end["engine"]["rss_bytes"] > 0


def test_a_violation_is_in_the_trace_before_it_is_told(path: Path) -> None:
    seen: list[int] = []
    source = FakeSource()
    callbacks = Callbacks(on_violations=lambda _: seen.append(len(context(path, "violation"))))
    with Session(source, path, FakeRules(), FIRST, callbacks) as session:
        session.start()
        source.feed([START], [opened(200, f"/bad{number}", number) for number in range(3)])
    assert seen == [3]


def test_many_large_violations_of_one_block(path: Path, told: Told) -> None:
    """More than a block of the trace has room for."""
    source = FakeSource()
    long = "/bad" + "\udcff" * 4000
    with made(source, path, told) as session:
        session.start()
        source.feed([START], [opened(200, long, number) for number in range(400)])
    assert len(context(path, "violation")) == 400
    with open_trace(path) as trace:
        assert sum(len(violations) for _event, violations in trace.items()) == 400
        assert trace.unjudged == 0


def test_what_came_before_the_start_is_judged_at_the_stop(path: Path, told: Told) -> None:
    source = FakeSource()
    source.feed([START], [opened(200, "/bad")])
    session = made(source, path, told)
    assert session.stop().violations == {Level.HIGH: 1}
    assert verify(path).state is TraceState.UNSEALED


def test_stopped_twice(path: Path, told: Told) -> None:
    source = FakeSource()
    session = made(source, path, told)
    session.start()
    assert session.stop() is session.stop()
    assert source.closed == 1


def test_losses_of_the_kernel(path: Path, told: Told) -> None:
    source = FakeSource(lost=(2, 3))
    with made(source, path, told) as session:
        session.start()
        source.feed([START])
        outcome = session.stop()
    assert outcome.losses == {"critical": 2, "bulk": 3}
    assert not outcome.complete
    assert context(path, "end")[0]["losses_by_reason"] == {"RB_LOST_FILE": 3}


# ---- targets


def test_a_target_that_ended_meanwhile(path: Path, told: Told) -> None:
    source = FakeSource(joins=0)
    with pytest.raises(TargetError, match="pid:7 ended while attaching"):
        with made(source, path, told) as session:
            session.watch(Target("pid:7", pid=7))
    assert source.closed == 1
    assert is_closed(path)


def test_who_is_there_already_is_described(path: Path, told: Told) -> None:
    source = FakeSource(pids=[os.getpid()])
    with made(source, path, told) as session:
        assert session.watch(Target("pid:1", pid=os.getpid())) == 1
        assert session.watches(os.getpid())
        assert not session.watches(1)
        assert not session.is_empty()
    described = context(path, "process")
    assert described[0]["pid"] == os.getpid()
    assert [record["pid"] for record in described[1:2]] == [os.getppid()]
    assert len({record["pid"] for record in described}) == len(described)


# ---- what fails


def test_a_rule_that_fails_on_an_event(path: Path, told: Told) -> None:
    source = FakeSource()
    with made(source, path, told) as session:
        session.start()
        source.feed(
            [START], [opened(200, f"/{name}", number) for number, name in enumerate(["bad", "worse", "bad2"])]
        )
        outcome = session.stop()
    assert (outcome.unjudged, outcome.complete, outcome.violations) == (1, False, {Level.HIGH: 2})
    with open_trace(path) as trace:
        assert sum(len(found) for _event, found in trace.items()) == 2
        assert trace.unjudged == 1
    with open_trace(path, judge) as trace:  # judged again it fails again, and is counted again
        assert sum(len(found) for _event, found in trace.items()) == 2
        assert trace.unjudged == 1


def test_records_that_cannot_be_read(path: Path, told: Told) -> None:
    source = FakeSource()
    with made(source, path, told) as session:
        session.start()
        source._blocks.append(([b"\x01\x02"], []))
        outcome = session.stop()
    assert (outcome.bad_records, outcome.events, outcome.complete) == (1, 0, False)


@pytest.mark.parametrize("broken", ["wait", "drain"])
def test_recording_fails(broken: str, path: Path, told: Told) -> None:
    source = FakeSource(broken={broken})
    session = made(source, path, told)
    session.start()
    told.wait(lambda: told.notices)
    assert session.failed()
    assert "recording has failed" in told.notices[0]
    for _ in range(2):
        with pytest.raises(CaptureError, match=f"{broken} is broken"):
            session.stop()
    assert source.closed == 1
    assert verify(path).state is TraceState.CUT
    assert [record["code"] for record in context(path, "notice")] == ["failed"]


def test_judging_fails_and_recording_goes_on(path: Path, told: Told) -> None:
    def fail(_violations: object) -> None:
        raise KeyError("no")

    source = FakeSource()
    session = Session(source, path, FakeRules(), FIRST, Callbacks(fail, told.notice))
    session.start()
    source.feed([START], [opened(200, "/bad")])
    told.wait(lambda: told.notices)
    source.feed([leave(200, 9)])
    with pytest.raises(CaptureError, match="KeyError"):
        session.stop()
    assert "judging has failed" in told.notices[0]
    verdict = verify(path)
    assert (verdict.state, verdict.events) == (TraceState.CUT, 3)
    with open_trace(path) as trace:
        assert [len(violations) for _event, violations in trace.items()] == [0, 1, 0]
        assert trace.unjudged == 1


@pytest.mark.parametrize("broken", ["members", "detach", "sweep", "losses", "close"])
def test_every_step_of_the_end_is_taken(broken: str, path: Path, told: Told) -> None:
    source = FakeSource()
    session = made(source, path, told)
    session.start()
    source.feed([START], [opened(200, "/bad")])
    told.wait(lambda: told.violations)
    source.broken = {broken}
    with pytest.raises(CaptureError, match=f"{broken} is broken"):
        session.stop()
    assert source.closed == 1
    assert is_closed(path)
    assert len(context(path, "violation")) == 1


def test_the_first_error_is_the_one_to_tell(path: Path, told: Told) -> None:
    def fail() -> None:
        with made(FakeSource(broken={"detach", "close"}), path, told) as session:
            session.start()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert is_closed(path)


def test_a_notice_that_cannot_be_told(path: Path) -> None:
    def fail(_message: str) -> None:
        raise OSError

    with Session(FakeSource(), path, FakeRules(), FIRST, Callbacks(on_notice=fail)) as session:
        session.start()
        session.notice("code", "message")
    assert [(record["code"], record["message"]) for record in context(path, "notice")] == [
        ("code", "message")
    ]


def test_a_session_that_cannot_be_made_lets_go_of_its_trace(path: Path, told: Told) -> None:
    first = [SESSION | {"abi": wire.layout() | {"version": 99}}]
    with pytest.raises(AbiMismatch):
        Session(FakeSource(), path, FakeRules(), first, told.callbacks)
    assert verify(path).state is TraceState.CUT


# ---- the disk


class Disk:
    """Writing to the trace fails while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._write = os.pwrite
        monkeypatch.setattr("tracer.trace.write.os.pwrite", self.write)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(descriptor, data, offset)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_full_disk_is_told_and_nothing_is_lost(path: Path, told: Told, disk: Disk) -> None:
    source = FakeSource()
    with made(source, path, told) as session:
        session.start()
        disk.full = True
        source.feed([START], [opened(200, "/bad")])
        told.wait(lambda: told.violations)
        assert told.notices == ["the disk is full: capture goes on in memory"]
        disk.full = False
        source.feed([leave(200, 9)])
        told.wait(lambda: len(told.notices) == 2)
        outcome = session.stop()
    assert "the disk has room again" in told.notices[1]
    assert outcome.complete
    assert verify(path).state is TraceState.UNSEALED


def test_what_no_memory_is_left_for_is_counted(path: Path, told: Told, disk: Disk) -> None:
    source = FakeSource()
    with made(source, path, told, memory_limit_bytes=0) as session:
        session.start()
        disk.full = True
        source.feed([START])
        told.wait(lambda: len(told.notices) == 1)
        source.feed([], [opened(200, "/bad", number) for number in range(7)])
        told.wait(lambda: len(told.notices) == 2)
        disk.full = False
        source.feed([leave(200, 9)])
        told.wait(lambda: len(told.notices) == 3)
        outcome = session.stop()
    assert "events are dropped and counted" in told.notices[1]
    assert outcome.losses == {"critical": 0, "bulk": 7}
    assert not outcome.complete
    verdict = verify(path)
    assert (verdict.state, verdict.lost_bulk) == (TraceState.UNSEALED, 7)


def test_a_disk_that_stays_full(path: Path, told: Told, disk: Disk) -> None:
    source = FakeSource()
    with made(source, path, told) as session:
        session.start()
        disk.full = True
        source.feed([START], [opened(200, "/bad")])
        told.wait(lambda: told.violations)
        outcome = session.stop()
    assert outcome.violations == {Level.HIGH: 1}
    assert not outcome.written
    assert not outcome.complete
    assert "the trace is not complete" in told.notices[-1]
    assert verify(path).state is TraceState.CUT


# ---- names


def test_the_domains_of_a_policy_are_looked_up(
    path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("192.0.2.7", 0))])
    rules = FakeRules(["pypi.example"])
    with Session(FakeSource(), path, rules, FIRST, told.callbacks) as session:
        session.start()
    assert context(path, "name") == [{"type": "name", "domain": "pypi.example", "addresses": ["192.0.2.7"]}]
    assert not told.notices


# ---- the same again

names = st.builds(
    lambda raw, bad: os.fsdecode(b"/" + raw + (b"bad" if bad else b"")),
    st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b"\x1b").replace(b"/", b"\xff")),
    st.booleans(),
).filter(lambda path: path != "/")
blocks = st.lists(st.lists(names, min_size=1, max_size=5), max_size=5)


@settings(max_examples=25, deadline=None)
@given(blocks)
def test_a_replay_finds_what_was_recorded_byte_for_byte(written: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.trace"
        source = FakeSource()
        source.feed([START])
        for number, paths in enumerate(written):
            source.feed((), [opened(200, name, number * 100 + place) for place, name in enumerate(paths)])
        with Session(source, path, FakeRules(), FIRST, Callbacks()) as session:
            session.start()
        with open_trace(path) as recorded, open_trace(path, judge) as judged:
            lines = [jsonl(trace) for trace in (recorded, judged)]
    assert lines[0] == lines[1]
    assert lines[0].count('"alert"') == sum("bad" in name for paths in written for name in paths)


def jsonl(trace: Any) -> str:
    out = io.StringIO()
    as_jsonl.write(Documents(trace.items(), session_facts(trace.session), only_violations=True), out)
    return out.getvalue()
