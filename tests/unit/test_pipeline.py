"""Blocks in, events and violations out: order, numbers, verdicts that come later, traces that end early."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.records import SECOND_NS, SESSION, closed, execve, fork, leave, opened
from tracer import pipeline as pipeline_module
from tracer.errors import AbiMismatch, TraceError
from tracer.events import Event, File, Level, Match, Rule, RuleKind, Violation
from tracer.pipeline import Pipeline, RecordedPipeline, RecordedTrace, open_trace
from tracer.records import Record
from tracer.rulings import violation_record
from tracer.trace import Block, DamageKind, Header, Writer, ring_section

SESSION_RECORD = SESSION | {"abi": wire.layout()}
RULE = Rule("files.write", "File not allowed", Level.HIGH, RuleKind.POLICY, "Text.", ("T1565", "T1105"))
OTHER = Rule("r-2", "Other", Level.LOW, RuleKind.DETECTION)


def block(
    sequence: int,
    critical: Iterable[Record] = (),
    bulk: Iterable[Record] = (),
    context: Sequence[dict[str, Any]] = (),
) -> Block:
    return made_block(sequence, framed(critical), framed(bulk), context)


def framed(records: Iterable[Record]) -> bytes:
    return ring_section(map(wire.encode, records)).data


def made_block(sequence: int, critical: bytes, bulk: bytes, context: Sequence[dict[str, Any]] = ()) -> Block:
    header = Header(sequence, 0, 0, len(context), 0, 0, 0, len(critical), len(bulk), 0, 0, bytes(32))
    return Block(header, 0, tuple(context), critical, bulk)


def violation(event: Event, rule: Rule = RULE) -> Violation:
    return Violation(rule, event, (Match("file.path", "/x\n\udcff"),), "wrote /x\n\udcff")


def judge_bad_files(event: Event) -> tuple[Violation, ...]:
    detail = event.detail
    return (violation(event),) if isinstance(detail, File) and "bad" in detail.path else ()


def judge_nothing(_event: Event) -> tuple[Violation, ...]:
    return ()


def shown(items: Iterable[tuple[Event, Sequence[Violation]]]) -> list[tuple[int, str, str, int]]:
    """Number, action, program and count of violations of each event."""
    return [
        (event.sequence, event.action.value, event.process.executable, len(violations))
        for event, violations in items
    ]


def judged(number: int) -> dict[str, Any]:
    return {"type": "judged", "block": number}


# --- live ---


def test_both_sections_in_the_order_of_time() -> None:
    pipeline = Pipeline(SESSION_RECORD, judge_bad_files)
    critical = [execve(100, "/bin/a", 10), execve(100, "/bin/b", 30), leave(100, 50)]
    bulk = [opened(100, "/bad", 20), opened(100, "/good", 40), closed(100, "/good", 60)]
    assert shown(pipeline.push(block(1, critical, bulk))) == [
        (1, "exec", "/bin/a", 0),
        (2, "file_write", "/bin/a", 1),
        (3, "exec", "/bin/b", 0),
        (4, "file_write", "/bin/b", 0),
        (5, "exit", "/bin/b", 0),
        (6, "file_close", "/bin/b", 0),
    ]


def test_records_of_the_same_time_stay_as_drained() -> None:
    pipeline = Pipeline(SESSION_RECORD, judge_nothing)
    items = pipeline.push(block(1, [execve(100, "/a", 5), leave(100, 5)], [opened(100, "/b", 5)]))
    assert [event.action.value for event, _ in items] == ["exec", "exit", "file_write"]


def test_file_events_that_come_a_block_late_keep_their_program() -> None:
    """Bulk is drained first: the exec and the exit of a later moment are in the block before."""
    pipeline = Pipeline(SESSION_RECORD, judge_nothing)
    first = block(1, [execve(100, "/bin/a", 10), execve(100, "/bin/b", 30), leave(100, 50)])
    second = block(2, [fork(101, 100, 60)], [opened(100, "/x", 20), opened(100, "/y", 40)])
    assert shown([*pipeline.push(first), *pipeline.push(second)])[3:] == [
        (4, "file_write", "/bin/a", 0),
        (5, "file_write", "/bin/b", 0),
        (6, "fork", "/bin/b", 0),
    ]


def test_context_of_a_block_counts_for_its_events() -> None:
    user = {"type": "user", "id": 1000, "name": "ada"}
    pipeline = Pipeline(SESSION_RECORD, judge_nothing)
    event, _ = next(pipeline.push(block(1, [execve(100, "/a")], context=[user])))
    assert event.process.user_name == "ada"


def test_what_cannot_be_read_is_counted_and_has_no_number() -> None:
    pipeline = Pipeline(SESSION_RECORD, judge_nothing)
    good = wire.encode(opened(100, "/a", 5))
    mixed = ring_section([good, b"", b"junk", good[:-1], good + b"x", good]).data
    torn = ring_section([good]).data + b"\xff" * 4
    damaged: list[dict[str, Any]] = [{"type": "user"}, {"type": "name", "domain": "a", "addresses": 3}]
    items = list(pipeline.push(made_block(1, mixed, torn, damaged)))
    assert [event.sequence for event, _ in items] == [1, 2, 3]
    assert pipeline.bad_records == 4 + 1 + 2


def test_session_records_that_cannot_be_used() -> None:
    with pytest.raises(AbiMismatch):
        Pipeline(SESSION | {"abi": {"version": 99}}, judge_nothing)
    for record in (SESSION, SESSION | {"abi": 5}, SESSION | {"abi": {}}, {"abi": wire.layout()}):
        with pytest.raises(TraceError):
            Pipeline(record, judge_nothing)


# --- recorded, as it grows ---


def test_events_wait_for_their_verdict() -> None:
    pipeline = RecordedPipeline(SESSION_RECORD)
    first, second = block(1, [execve(100, "/a", 1)], [opened(100, "/bad", 2)]), block(2, [leave(100, 3)])
    assert shown(pipeline.push(block(0))) == []
    assert shown(pipeline.push(first)) == []
    assert shown(pipeline.push(second)) == []
    assert pipeline.pending_bytes == first.header.raw_bytes + second.header.raw_bytes > 0
    event = Pipeline(SESSION_RECORD, judge_nothing)
    recorded = violation_record(violation(list(event.push(first))[1][0]))
    third = block(3, context=[recorded, judged(1)])
    assert shown(pipeline.push(third)) == [(1, "exec", "/a", 0), (2, "file_write", "/a", 1)]
    assert shown(pipeline.push(block(4, context=[judged(2)]))) == [(3, "exit", "/a", 0)]
    assert (pipeline.pending_bytes, pipeline.unjudged) == (0, 0)
    assert shown(pipeline.finish()) == []


def test_cut_trace_gives_up_what_it_has_with_the_verdicts_that_are_there() -> None:
    pipeline = RecordedPipeline(SESSION_RECORD)
    list(pipeline.push(block(1, [execve(100, "/a", 1)], context=[judged(0)])))
    late = {"type": "violation"} | violation_record(violation(_any_event())) | {"event": 2}
    assert shown(pipeline.push(block(2, [leave(100, 3)], context=[late]))) == []
    assert shown(pipeline.finish()) == [(1, "exec", "/a", 0), (2, "exit", "/a", 1)]
    assert (pipeline.unjudged, pipeline.pending_bytes) == (2, 0)


def test_what_is_held_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MAX_PENDING_BYTES", 10_000)
    pipeline = RecordedPipeline(SESSION_RECORD)
    released = 0
    for sequence in range(1, 200):
        released += len(list(pipeline.push(block(sequence, [opened(100, "/a", sequence)]))))
        assert pipeline.pending_bytes <= 10_000
    assert released == pipeline.unjudged > 100


def _any_event() -> Event:
    return next(Pipeline(SESSION_RECORD, judge_nothing).push(block(1, [execve(100, "/a")])))[0]


def test_violation_is_read_back_as_it_was() -> None:
    event = _any_event()
    written = [violation(event), violation(event, OTHER), violation(event)]
    context = [*map(violation_record, written), judged(1)]
    pipeline = RecordedPipeline(SESSION_RECORD)
    [(found, violations)] = list(pipeline.push(block(1, [execve(100, "/a")], context=context)))
    assert [(read.rule, read.matched, read.summary) for read in violations] == [
        (wrote.rule, wrote.matched, wrote.summary) for wrote in written
    ]
    assert all(read.event is found for read in violations)
    assert violations[0].rule is violations[2].rule


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "1"}, {"event": None}, {"rule": None}, {"rule": {}}, {"rule": []}, {"summary": 5},
        {"summary": "\ud800"}, {"matched": 5}, {"matched": [["a"]]}, {"matched": [["a", 5]]},
        {"matched": ["ab"]},
        {"rule": violation_record(violation(_any_event()))["rule"] | {"level": "dire"}},
        {"rule": violation_record(violation(_any_event()))["rule"] | {"techniques": [5]}},
    ],
)  # fmt: skip
def test_damaged_violation_is_counted(changes: dict[str, Any]) -> None:
    context = [
        violation_record(violation(_any_event())) | changes,
        judged(1),
        {"type": "judged", "block": "x"},
    ]
    pipeline = RecordedPipeline(SESSION_RECORD)
    items = list(pipeline.push(block(1, [execve(100, "/a")], context=context)))
    assert [len(violations) for _, violations in items] == [0]
    assert pipeline.bad_records == 2


# --- a whole file ---


class Engine:
    """Writes a trace as the live engine does: records first, verdicts `behind` blocks later."""

    def __init__(self, path: Path, behind: int = 2) -> None:
        self.writer = Writer(path)
        self.writer.append([SESSION_RECORD])
        self.pipeline = Pipeline(SESSION_RECORD, judge_bad_files)
        self.behind, self.blocks, self.numbers = behind, dict[int, Block](), count(1)
        self.violations = 0

    def drain(self, critical: Sequence[Record], bulk: Sequence[Record], lost_bulk: int = 0) -> None:
        number = next(self.numbers)
        self.blocks[number] = block(number, critical, bulk)
        rings = [ring_section(map(wire.encode, records), 1, 1) for records in (critical, bulk)]
        self.writer.append(self.verdicts(number - self.behind), rings[0], rings[1], lost_bulk=lost_bulk)

    def verdicts(self, newest: int) -> list[dict[str, Any]]:
        context: list[dict[str, Any]] = []
        for number in sorted(number for number in self.blocks if number <= newest):
            for _event, violations in self.pipeline.push(self.blocks.pop(number)):
                context += map(violation_record, violations)
            context.append(judged(number))
        self.violations += sum(record["type"] == "violation" for record in context)
        return context

    def end(self) -> None:
        self.writer.append([*self.verdicts(max(self.blocks, default=0)), {"type": "end"}])
        self.writer.close()


def run(engine: Engine, blocks: int) -> None:
    engine.drain([execve(100, "/bin/agent", 1)], [])
    for number in range(1, blocks):
        time_ns = number * SECOND_NS
        names = ("/bad", "/good", "/bad2")
        bulk = [opened(100, name, time_ns + place) for place, name in enumerate(names)]
        engine.drain([fork(1000 + number, 100, time_ns)], bulk, lost_bulk=number)


def facts(items: Iterator[tuple[Event, tuple[Violation, ...]]]) -> list[str]:
    return [repr((event, [(each.rule, each.matched) for each in violations])) for event, violations in items]


@pytest.mark.parametrize("behind", [1, 2, 30])
def test_recorded_verdicts_are_those_of_a_replay(tmp_path: Path, behind: int) -> None:
    engine = Engine(tmp_path / "t", behind)
    run(engine, 20)
    engine.end()
    with open_trace(tmp_path / "t") as recorded, open_trace(tmp_path / "t", judge_bad_files) as again:
        found = facts(recorded.items())
        assert found == facts(again.items())
        for trace in (recorded, again):
            assert (trace.ended, trace.damage, trace.unjudged, trace.bad_records) == (True, None, 0, 0)
            assert trace.losses == {"critical": 0, "bulk": 19}
            assert trace.session["id"] == "s1"
    assert len(found) == 1 + 19 * 4
    assert engine.violations == 19 * 2
    assert not any("Rule" in fact and "bad" not in fact for fact in found)


def test_cut_trace_says_how_many_events_nobody_judged(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "t", behind=3)
    run(engine, 20)
    engine.writer.close()
    with open_trace(tmp_path / "t") as trace:
        counts = [len(violations) for _, violations in trace.items()]
        assert (sum(counts), trace.unjudged) == (16 * 2, 3 * 4)
        assert (trace.ended, trace.damage) == (False, None)
    with open_trace(tmp_path / "t", judge_bad_files) as trace:
        assert sum(len(violations) for _, violations in trace.items()) == 19 * 2
        assert trace.unjudged == 0


def test_torn_trace_is_read_up_to_there(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "t")
    run(engine, 20)
    engine.end()
    os.truncate(tmp_path / "t", (tmp_path / "t").stat().st_size - 10)
    with open_trace(tmp_path / "t") as trace:
        assert len(list(trace.items())) == 1 + 19 * 4
        assert trace.damage is not None
        assert trace.damage.kind is DamageKind.TORN
        assert not trace.ended


def test_the_growing_trace_gives_the_same_as_the_whole_file(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "t")
    run(engine, 20)
    engine.end()
    pipeline = RecordedPipeline(SESSION_RECORD)
    with RecordedTrace(tmp_path / "t") as trace:
        blocks = list(trace._reader)
        items = (item for each in blocks for item in pipeline.push(each))
        assert facts(items) == facts(trace.items())
    assert list(pipeline.finish()) == []


@pytest.mark.parametrize(
    ("session", "error"),
    [(SESSION | {"abi": {"version": 99}}, AbiMismatch), (SESSION, TraceError), ({"type": "x"}, TraceError)],
)
def test_files_that_cannot_be_opened(tmp_path: Path, session: dict[str, Any], error: type[Exception]) -> None:
    with Writer(tmp_path / "t") as writer:
        writer.append([session])
    with pytest.raises(error):
        open_trace(tmp_path / "t")
    with pytest.raises(TraceError):
        open_trace(tmp_path / "none")
