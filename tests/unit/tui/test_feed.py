from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.tui import scene
from tracer.errors import TraceError
from tracer.events import Event, Violation
from tracer.trace import Block, Writer
from tui.feed import BATCH_EVENTS, Batch, Feed, TraceSource, read_session
from tui.snapshot import Losses, State


class Scripted:
    """A source that says what it is told to, and then raises what it is told to."""

    def __init__(self, batches: Iterable[Batch], error: Exception | None = None) -> None:
        self.batches, self.error, self.stopped = batches, error, threading.Event()

    def __iter__(self) -> Iterator[Batch]:
        yield from self.batches
        if self.error:
            raise self.error

    def stop(self) -> None:
        self.stopped.set()


def run(source: Scripted) -> tuple[list[Batch], int]:
    taken: list[Batch] = []
    told: list[int] = []
    feed = Feed(source, taken.append, lambda _violations: told.append(1))
    feed.start()
    feed._thread.join(5)
    feed.stop()
    return taken, len(told)


def test_batches_arrive_and_violations_are_told_at_once() -> None:
    story = scene.rome()
    batches = [Batch(events=story.events), Batch(violations=story.violations)]
    assert run(Scripted(batches)) == (batches, 1)


@pytest.mark.parametrize("error", [TraceError("gone bad"), OSError("gone bad"), KeyError("gone bad")])
def test_a_failing_source_is_said_on_the_screen(error: Exception) -> None:
    taken, _told = run(Scripted([], error))
    assert taken[-1].state is State.DAMAGED
    assert "gone bad" in taken[-1].notices[0]


def test_stop_reaches_the_source() -> None:
    source = Scripted([])
    Feed(source, lambda _batch: None).stop()
    assert source.stopped.is_set()


class FakePipeline:
    """`number` events a block, the first with a violation; the last block's come only from `finish`."""

    pending_bytes = 100
    bad_records = 3

    def __init__(self, number: int) -> None:
        self.story, self.number = scene.rome(), number
        self.unjudged = 0

    def push(self, _block: Block) -> Iterator[tuple[Event, tuple[Violation, ...]]]:
        for place in range(self.number):
            yield self.story.events[0], () if place else (self.story.violations[0],)

    def finish(self) -> Iterator[tuple[Event, tuple[Violation, ...]]]:
        self.unjudged = 1
        yield self.story.events[1], ()


SESSION = {
    "type": "session",
    "id": "s1",
    "targets": ["run", "pid:7"],
    "command": ["a", "b"],
    "host": "h",
    "kernel": "6.1",
    "start_ns": 5,
}


def write_trace(path: Path, *, end: bool) -> None:
    writer = Writer(path)
    writer.append([SESSION, {"type": "notice", "message": "no guard"}], lost_bulk=7)
    if end:
        writer.append([{"type": "end"}])
    writer.close()


def read(path: Path, number: int = 1, *, follow: bool = True) -> list[Batch]:
    return list(TraceSource(path, follow=follow, decoder=lambda _record: FakePipeline(number)))


def test_a_finished_trace_is_read_to_its_end(tmp_path: Path) -> None:
    write_trace(tmp_path / "t", end=True)
    first, *rest, last = read(tmp_path / "t")
    assert first.session is not None
    assert first.session.id == "s1"
    assert (first.state, first.losses, first.notices) == (State.LIVE, Losses(0, 7), ("no guard",))
    assert sum(len(batch.events) for batch in rest) == 3
    assert sum(len(batch.violations) for batch in rest) == 2
    assert [len(batch.violations) for batch in rest if batch.events] == [1, 1, 0]
    assert [notice for batch in rest for notice in batch.notices] == [
        "events not judged by any rule: 1",
        "records that cannot be read: 3",
    ]
    assert [batch.missing for batch in rest if batch.missing is not None] == [3, 3, 4]
    assert last == Batch(state=State.FINISHED)


def test_what_the_engine_could_not_judge_is_missing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "t")
    writer.append([SESSION])
    writer.append([{"type": "end", "unjudged": 5}])
    writer.close()
    batches = read(tmp_path / "t", 0)
    assert [batch.missing for batch in batches if batch.missing is not None][-1] == 5 + 3 + 1
    assert any("not judged by any rule: 6" in notice for batch in batches for notice in batch.notices)


def test_a_trace_without_an_end_was_cut(tmp_path: Path) -> None:
    write_trace(tmp_path / "t", end=False)
    assert read(tmp_path / "t")[-1].state is State.CUT


def test_what_is_there_now_of_a_trace_that_grows(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "t")
    writer.append([SESSION])
    batches = read(tmp_path / "t", follow=False)
    writer.close()
    assert batches[0].session is not None
    assert batches[-1].state is None


def test_stop_ends_the_reading_of_a_trace_that_grows(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "t")
    writer.append([SESSION])
    source = TraceSource(tmp_path / "t", decoder=lambda _record: FakePipeline(1))
    arrived = threading.Event()
    feed = Feed(source, lambda _batch: arrived.set())
    feed.start()
    assert arrived.wait(5)
    feed.stop()
    assert not feed._thread.is_alive()
    writer.close()


def test_batches_are_small_enough_for_the_screen_to_get_a_turn(tmp_path: Path) -> None:
    write_trace(tmp_path / "t", end=True)
    sizes = [len(batch.events) for batch in read(tmp_path / "t", 1_000)]
    assert sum(sizes) == 2_001
    assert max(sizes) == BATCH_EVENTS


def test_what_waits_for_its_verdict_is_lag(tmp_path: Path) -> None:
    write_trace(tmp_path / "t", end=True)
    assert all(batch.lag_bytes >= 100 for batch in read(tmp_path / "t") if batch.events)


def test_session_record_with_all_and_with_nothing() -> None:
    session = read_session(SESSION)
    assert (session.id, session.target, session.command) == ("s1", "run pid:7", ("a", "b"))
    assert (session.host, session.kernel, session.started_ns) == ("h", "6.1", 5)
    assert read_session({}).id == ""


def test_a_file_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"hello" * 100)
    with pytest.raises(TraceError):
        read(path)
