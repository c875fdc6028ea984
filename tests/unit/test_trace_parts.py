"""A trace that goes on in other files: read as one, checked as one, and the oldest of it removed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.records import SESSION, execve, opened
from tracer.errors import TraceError
from tracer.pipeline import RecordedPipeline, open_trace
from tracer.trace import (
    DamageKind,
    Follower,
    Reader,
    Rotation,
    Rotator,
    Sealer,
    SigningKey,
    TraceState,
    Verdict,
    Writer,
    part_path,
    ring_section,
    verify,
)

KEY = SigningKey.generate()
TRUSTED = {KEY.public: "ours"}
FIRST = SESSION | {"abi": wire.layout(), "key": KEY.public.line}
USER = {"type": "user", "id": 1000, "name": "ada"}
RULE = {"id": "r-1", "name": "Rule", "level": "high", "kind": "detection"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Written:
    """A trace of `blocks` blocks of two events each, its word on the second of each that it broke a rule."""

    def __init__(self, path: Path, rotation: Rotation, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or Clock()
        self.rotator = Rotator(path, rotation, clock=self.clock)
        self.rotator.about = lambda: (FIRST, [USER])
        self.writer = Writer(path, sealer=Sealer(KEY), rotator=self.rotator)
        self.events = 0
        self._known: set[int] = set()
        self.writer.append([FIRST, USER])

    def add(self) -> None:
        """What the drain adds, and then the judge."""
        records = [execve(200 + self.events, "/bin/x"), opened(200 + self.events, f"/w/{self.events}", 5)]
        self.writer.append((), ring_section([wire.encode(record) for record in records], 1, 2))
        with Reader(self.path) as reader:
            blocks = list(reader)
        newest = next(block for block in reversed(blocks) if block.critical)
        context: list[Mapping[str, Any]] = [
            {"type": "numbering", "block": block.header.sequence, "events": self.events}
            for block in blocks[-2:]
            if any(record["type"] == "part" for record in block.context)
        ]
        self.events += 2
        violation = {"type": "violation", "event": self.events, "rule": RULE, "matched": [], "summary": "x"}
        self.writer.append([*context, violation, {"type": "judged", "block": newest.header.sequence}])

    def end(self) -> None:
        self.writer.append([{"type": "end"}])
        assert self.writer.close()

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.path.parent.iterdir())


def seen(path: Path) -> list[tuple[int, str, int]]:
    """Number, user and violations of each event."""
    with open_trace(path) as trace:
        found = [(event.sequence, event.process.user_name, len(broken)) for event, broken in trace.items()]
        assert (trace.damage, trace.ended, trace.unjudged, trace.bad_records) == (None, True, 0, 0)
    return found


def whole(count: int, first: int = 1) -> list[tuple[int, str, int]]:
    return [(number, "ada", (number + 1) % 2) for number in range(first, count + 1)]


@pytest.fixture
def rotated(tmp_path: Path) -> Written:
    """Four parts of two rounds each."""
    made = Written(tmp_path / "t", Rotation(max_seconds=10))
    for number in range(8):
        made.clock.now = 5.0 * number
        made.add()
    return made


def test_parts_are_one_trace(rotated: Written) -> None:
    rotated.end()
    assert rotated.files == ["t", "t.2", "t.3", "t.4"]
    assert {stat.S_IMODE(os.stat(rotated.path.parent / name).st_mode) for name in rotated.files} == {0o600}
    assert seen(rotated.path) == whole(16)
    verdict = verify(rotated.path, TRUSTED)
    assert (verdict.state, verdict.events, verdict.first_block) == (TraceState.INTACT, 16, 0)
    assert verdict.sealed.blocks == verdict.blocks - 1
    assert verdict.size_bytes == sum((rotated.path.parent / name).stat().st_size for name in rotated.files)


def test_each_part_ends_with_a_seal_and_can_be_read_by_itself(rotated: Written) -> None:
    """With what lasts, and the numbers that events have in the whole."""
    rotated.end()
    for number, first in ((2, 5), (3, 9)):
        path = part_path(rotated.path, number)
        verdict = verify(path, TRUSTED)
        assert verdict.state is TraceState.CUT, "it is not the end of the session"
        assert verdict.sealed.blocks == verdict.first_block + verdict.blocks - 1
        with open_trace(path) as trace:
            found = [
                (event.sequence, event.process.user_name, len(broken)) for event, broken in trace.items()
            ]
        assert found == whole(first + 3, first)
    last = verify(part_path(rotated.path, 4), TRUSTED)
    assert (last.state, last.events) == (TraceState.INTACT, 4)
    assert f"the first {last.first_block} blocks are not kept here" in last.message


def test_a_part_ends_when_it_is_full(tmp_path: Path) -> None:
    made = Written(tmp_path / "t", Rotation(max_bytes=4_096))
    for _ in range(40):
        made.add()
    made.end()
    sizes = [path.stat().st_size for path in tmp_path.iterdir() if path.name != made.files[-1]]
    assert len(sizes) > 5
    assert all(4_096 <= size < 8_192 for size in sizes[:-1])
    assert seen(made.path) == whole(80)


def test_the_oldest_are_removed_once_they_were_read(tmp_path: Path) -> None:
    made = Written(tmp_path / "t", Rotation(max_seconds=10, keep=2))
    read_to = 0
    made.rotator.read_to = lambda: read_to
    for number in range(8):
        made.clock.now = 10.0 * number
        made.add()
    assert len(made.files) == 8, "nobody has read them yet"
    read_to = 1 << 40
    made.clock.now = 100.0
    made.add()
    assert made.files == ["t", "t.9"]
    made.end()
    found = seen(made.path)
    assert found == whole(18, 15)
    verdict = verify(made.path, TRUSTED)
    assert (verdict.state, verdict.events) == (TraceState.INTACT, 4)
    assert verdict.first_block > 0


def test_a_follower_goes_on_from_part_to_part(tmp_path: Path) -> None:
    """Also from one that was removed meanwhile; and is told the end."""
    made = Written(tmp_path / "t", Rotation(max_seconds=10, keep=2))
    rounds = iter(range(12))

    def wait(_seconds: float) -> None:
        number = next(rounds, None)
        if number is None:
            made.end()
        else:
            made.clock.now = 10.0 * number
            made.add()

    pipeline = RecordedPipeline(FIRST)
    made.rotator.read_to = lambda: follower._cursor.sequence
    with Follower(made.path, wait=wait) as follower:
        found = [event.sequence for block in follower for event, _ in pipeline.push(block)]
        assert (follower.finished, follower.damage) == (True, None)
    assert found == list(range(1, 25))
    assert made.files == ["t", "t.12"]


def test_a_reader_that_is_too_slow_is_told(tmp_path: Path) -> None:
    made = Written(tmp_path / "t", Rotation(max_seconds=10, keep=1))
    with Reader(made.path) as slow:
        for number in range(4):
            made.clock.now = 10.0 * number
            made.add()
        made.end()
        blocks = list(slow)
        assert slow.damage is not None
        assert (slow.damage.kind, slow.damage.block) == (DamageKind.REORDERED, len(blocks))


@pytest.mark.parametrize("part", [1, 2, 3])
def test_damage_is_found_wherever_it_is(rotated: Written, part: int) -> None:
    rotated.end()
    path = rotated.path if part == 1 else part_path(rotated.path, part)
    data = path.read_bytes()
    for changed in (data[:-100], data[:50] + bytes([data[50] ^ 1]) + data[51:], data[:-1] + b"x", b""):
        path.write_bytes(changed)
        try:
            verdict = verify(rotated.path, TRUSTED)
        except TraceError:
            assert (part, changed) == (1, b"")
            continue
        assert verdict.damage is not None or verdict.state is TraceState.CUT
        assert not verdict.trustworthy
        assert verdict.events <= 4 * part
    path.write_bytes(data)
    assert verify(rotated.path, TRUSTED).trustworthy


def test_a_part_that_is_missing_or_in_the_place_of_another_is_found(rotated: Written) -> None:
    rotated.end()
    second, third = part_path(rotated.path, 2), part_path(rotated.path, 3)
    data = second.read_bytes()
    second.unlink()
    assert verify(rotated.path, TRUSTED).state is TraceState.CUT
    second.write_bytes(third.read_bytes())
    assert verify(rotated.path, TRUSTED).state is TraceState.REORDERED
    second.write_bytes(data)
    third.write_bytes(data)
    verdict = verify(rotated.path, TRUSTED)
    assert (verdict.state, verdict.events) == (TraceState.REORDERED, 8)


def test_an_engine_that_was_killed_leaves_what_was_written(rotated: Written) -> None:
    """In the middle of a part, and between the making of a file and its first block."""
    verdict = verify(rotated.path, TRUSTED)
    assert (verdict.state, verdict.events) == (TraceState.LIVE, 16)
    os.close(rotated.writer._descriptor)
    part_path(rotated.path, 5).with_name(".t.5.partial").write_bytes(b"")
    verdict = verify(rotated.path, TRUSTED)
    assert (verdict.state, verdict.events) == (TraceState.CUT, 16)
    with open_trace(rotated.path) as trace:
        assert sum(1 for _ in trace.items()) == 16
        assert not trace.ended


def test_where_no_file_can_be_made_it_goes_on_in_the_one_there_is(tmp_path: Path) -> None:
    """A full disk has no room for another file, either."""
    made = Written(tmp_path / "t", Rotation(max_seconds=10))
    block = tmp_path / ".t.2.partial"
    made.rotator.begin = _no_room  # type: ignore[method-assign]
    made.clock.now = 10.0
    made.add()
    del made.rotator.begin
    made.add()
    assert made.files == ["t", "t.2"]
    assert not block.exists()
    made.end()
    assert seen(made.path) == whole(4)


def _no_room() -> tuple[int, dict[str, Any]]:
    raise OSError(28, "No space left on device")


def test_what_is_no_part_is_not_believed(tmp_path: Path, rotated: Written) -> None:
    """A file that begins in the middle, but not as a part does."""
    rotated.end()
    with Reader(rotated.path) as reader:
        first, second = list(reader)[:2]
    data = rotated.path.read_bytes()
    (tmp_path / "cut").write_bytes(data[first.header.block_bytes :])
    verdict: Verdict = verify(tmp_path / "cut", TRUSTED)
    assert verdict.damage is not None
    assert (verdict.damage.kind, verdict.events) == (DamageKind.REORDERED, 0)
    assert second.header.sequence == 1
