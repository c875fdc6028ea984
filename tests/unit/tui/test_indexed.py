"""A finished trace out of its index: as if it had been read; and the way to any moment of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import longtrace
from tracer.errors import TraceError
from tracer.frozen import code_fingerprint
from tracer.trace import index_folder, open_index
from tui.feed import Batch
from tui.indexed import AFTER, BEFORE, IndexedSource, Moments
from tui.model import Model
from tui.snapshot import Snapshot, State

EVENTS, FEW = 12_000, 500
PROCESSES = EVENTS // longtrace.EVENTS_EACH


@pytest.fixture(autouse=True)
def own_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path / "sessions"))


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "t.trace"
    longtrace.write_long_trace(path, FEW)
    return path


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moments]:
    """Of a trace that is long enough for marks."""
    folder = tmp_path_factory.mktemp("long")
    longtrace.write_long_trace(folder / "t.trace", EVENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUBICON_TRACES", str(folder / "sessions"))
        patch.setattr("tui.indexed.LEAST_MARK_BYTES", 8_192)
        look(folder / "t.trace")
        yield Moments(folder / "t.trace")


def look(trace: Path) -> tuple[Model, list[Batch]]:
    """What a screen has of it in the end, and what it was told."""
    model = Model(now_ns=lambda: 0, clock=lambda: 0.0)
    batches = []
    for batch in IndexedSource(trace, model.kept):
        model.add(batch)
        batches.append(batch)
    return model, batches


def facts(model: Model) -> list[object]:
    """All that a screen shows of it, as values."""
    shown: Snapshot = model.snapshot()
    return [
        shown.summary,
        [(row.process.entity_id, row.guides, row.counts, dict(row.written)) for row in shown.processes],
        shown.folded,
        [(group.key, group.count, [each.sequence for each in group.before]) for group in shown.violations],
        [getattr(event, "sequence", None) for event in shown.events],
        dict(shown.levels),
        [(peer.name, peer.port, peer.connects, peer.level) for peer in model.peers()],
        [(row.path, row.guides, row.bytes, row.writers) for row in model.files()],
        [*model.timeline().families.items(), *model.timeline().levels.items()],
    ]  # fmt: skip


def test_the_second_look_is_the_first_without_reading(trace: Path) -> None:
    first, read = look(trace)
    second, told = look(trace)
    assert sum(len(batch.events) for batch in read) == FEW + 1
    assert [batch.whole is not None for batch in told] == [True]
    assert facts(second) == facts(first)
    assert second.snapshot().summary.state is State.FINISHED
    assert second.snapshot().summary.violations


def test_it_is_for_its_owner_alone_and_where_nobody_else_writes(trace: Path) -> None:
    look(trace)
    (file,) = index_folder().iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert index_folder().stat().st_mode & 0o777 == 0o700
    for path in (file, index_folder()):
        before = path.stat().st_mode
        path.chmod(before | 0o022)
        assert open_index(trace, code_fingerprint()) is None
        path.chmod(before)
    index = open_index(trace, code_fingerprint())
    assert index is not None
    index.close()


@pytest.mark.parametrize("change", ["bytes", "length", "time", "copy"])
def test_another_trace_in_its_place_is_read_anew(change: str, trace: Path, tmp_path: Path) -> None:
    copy = tmp_path / "c.trace"
    copy.write_bytes(trace.read_bytes())
    look(copy)
    if change == "bytes":
        with copy.open("r+b") as file:
            file.seek(copy.stat().st_size // 2)
            file.write(b"\0\0\0\0")
    elif change == "length":
        with copy.open("ab") as file:
            file.write(b"x")
    elif change == "time":
        os.utime(copy)
    else:
        data = copy.read_bytes()
        copy.unlink()
        copy.write_bytes(data)
    assert open_index(copy, code_fingerprint()) is None
    _model, told = look(copy)
    assert all(batch.whole is None for batch in told)


def test_an_index_of_other_code_is_not_taken(trace: Path) -> None:
    look(trace)
    assert open_index(trace, "other") is None


def test_bytes_that_are_no_index_do_no_harm(trace: Path) -> None:
    look(trace)
    (file,) = index_folder().iterdir()
    whole = file.read_bytes()
    for data in (b"", whole[:100], whole[: len(whole) // 2], b"RBCX{} " + whole[7:], bytes(len(whole))):
        file.write_bytes(data)
        model, told = look(trace)
        assert all(batch.whole is None for batch in told)
        assert model.snapshot().summary.events == FEW + 1


def test_a_trace_that_was_cut_has_one_and_a_live_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "cut.trace"
    longtrace.write_long_trace(path, FEW, end=False)
    look(path)
    model, told = look(path)
    assert told[0].whole is not None
    assert model.snapshot().summary.state is State.CUT


@pytest.mark.parametrize("process", [0, 777, PROCESSES - 1])
def test_the_events_around_a_moment_are_those_of_the_trace(
    process: int, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUBICON_TRACES", str(moments._path.parent / "sessions"))
    assert len(moments._marks) > 5
    time_ns = longtrace.time_of(process)
    found = moments.around(time_ns)
    numbers = [event.sequence for event, _broken in found]
    at = 2 + process * longtrace.EVENTS_EACH
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] <= max(1, at - min(BEFORE, 500))
    assert numbers[-1] == min(EVENTS + 1, at + AFTER - 1)
    started = next(event for event, _broken in found if event.sequence == at + 1)
    assert started.process.args[0] == "curl"
    assert started.process.parent is not None
    assert started.process.parent.executable == "/usr/bin/agent"
    broken = {event.sequence for event, violations in found if violations}
    all_broken = {longtrace.sequence_of(each) for each in range(0, PROCESSES, longtrace.VIOLATION_EACH)}
    assert broken == all_broken & set(numbers)


def test_the_next_violation_wherever_it_is(moments: Moments) -> None:
    first, second = (longtrace.sequence_of(each * longtrace.VIOLATION_EACH) for each in (0, 1))
    assert moments.next_broken(0, 1) is not None
    for sequence, direction, there in ((0, 1, first), (first, 1, second), (second, -1, first)):
        found = moments.next_broken(sequence, direction)
        assert found is not None
        assert found[0] == there
    assert moments.next_broken(first, -1) is None
    assert moments.next_broken(EVENTS, 1) is None


def test_without_an_index_it_is_said_why(trace: Path) -> None:
    with pytest.raises(TraceError, match="until all of the trace was read once"):
        Moments(trace)
