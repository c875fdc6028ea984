"""The follower: a trace written by another process, which ends well or is killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tracer.errors import TraceError
from tracer.trace import DamageKind, Follower, Writer, ring_section

SESSION = {"type": "session", "id": "s1"}


def no_wait(timeout_seconds: float) -> None:
    raise AssertionError("nothing to wait for")


@dataclass
class Engine:
    """A process that holds a trace open and appends when told."""

    pid: int
    orders: int
    answers: int

    def do(self, order: bytes) -> None:
        """Have one order carried out: a block of one record, the end, or death."""
        os.write(self.orders, order)
        os.read(self.answers, 1)

    def kill(self) -> None:
        """Return when it is dead, and its files with it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


def serve(path: Path, orders: int, answers: int) -> None:
    writer = Writer(path)
    writer.append([SESSION])
    os.write(answers, b".")
    number = 0
    while order := os.read(orders, 1):
        if order == b"a":
            writer.append((), ring_section([b"%d" % number]))
            number += 1
        elif order == b"t":  # a block half written
            os.pwrite(writer._descriptor, path.read_bytes()[:70], path.stat().st_size)
        elif order == b"e":
            writer.append([{"type": "end"}])
            writer.close()
        os.write(answers, b".")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    orders_in, orders_out = os.pipe()
    answers_in, answers_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(orders_out)
        os.close(answers_in)
        try:
            serve(tmp_path / "t", orders_in, answers_out)
        finally:
            os._exit(0)
    os.close(orders_in)
    os.close(answers_out)
    os.read(answers_in, 1)
    yield Engine(pid, orders_out, answers_in)
    os.close(orders_out)
    os.close(answers_in)
    os.waitpid(pid, 0)


def waiting(steps: list[Callable[[], object]]) -> Callable[[float], None]:
    """A `wait` that does the next of `steps` each time, so that something has happened when it returns."""
    pending = iter(steps)

    def wait(timeout_seconds: float) -> None:
        next(pending)()

    return wait


def test_yields_blocks_as_they_come_and_ends_with_the_end(engine: Engine, tmp_path: Path) -> None:
    wait = waiting([lambda: engine.do(b"a"), lambda: engine.do(b"a"), lambda: None, lambda: engine.do(b"e")])
    with Follower(tmp_path / "t", wait=wait) as follower:
        assert follower.lag_bytes == (tmp_path / "t").stat().st_size
        blocks = list(follower)
        assert [block.header.critical_records for block in blocks] == [0, 1, 1, 0]
        assert blocks[-1].ends_trace
        assert (follower.finished, follower.cut, follower.damage, follower.lag_bytes) == (
            True,
            False,
            None,
            0,
        )


def test_killed_engine_is_read_to_the_last_block(engine: Engine, tmp_path: Path) -> None:
    def kill() -> None:
        engine.do(b"a")
        engine.kill()

    with Follower(tmp_path / "t", wait=waiting([kill])) as follower:
        assert len(list(follower)) == 2
        assert (follower.finished, follower.cut, follower.damage) == (False, True, None)


def test_killed_in_the_middle_of_a_block(engine: Engine, tmp_path: Path) -> None:
    def kill() -> None:
        engine.do(b"t")
        engine.kill()

    with Follower(tmp_path / "t", wait=waiting([lambda: engine.do(b"a"), kill])) as follower:
        assert len(list(follower)) == 2
        assert follower.cut
        assert follower.damage is not None
        assert (follower.damage.kind, follower.damage.block) == (DamageKind.TORN, 2)


def test_half_a_block_is_waited_for_and_read_again(engine: Engine, tmp_path: Path) -> None:
    """Half a block, taken back, and another written in its place."""
    size = (tmp_path / "t").stat().st_size
    steps: list[Callable[[], object]] = [
        lambda: engine.do(b"t"),
        lambda: os.truncate(tmp_path / "t", size),
        lambda: engine.do(b"a"),
        lambda: engine.do(b"e"),
    ]
    with Follower(tmp_path / "t", wait=waiting(steps)) as follower:
        assert len(list(follower)) == 3
        assert follower.finished


def test_finished_trace_needs_no_wait(tmp_path: Path) -> None:
    with Writer(tmp_path / "t") as writer:
        writer.append([SESSION])
        writer.append([{"type": "end"}])
    with Follower(tmp_path / "t", wait=no_wait) as follower:
        assert len(list(follower)) == 2
        assert follower.finished


def test_altered_block_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    waits: list[float] = []
    with Writer(path) as writer:
        writer.append([SESSION])
        size = path.stat().st_size
        writer.append([{"type": "notice"}])
        with path.open("r+b") as file:
            file.seek(size + 130)
            file.write(b"XX")
        with Follower(path, wait=waits.append) as follower:
            assert len(list(follower)) == 1
            assert follower.damage is not None
            assert follower.damage.kind is DamageKind.ALTERED
            assert not follower.cut
            assert not follower.finished
    assert len(waits) == 1


def test_a_file_created_but_not_yet_locked_is_given_time(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.touch()
    with Writer(tmp_path / "source") as writer:
        writer.append([SESSION])
        writer.append([{"type": "end"}])
    data = (tmp_path / "source").read_bytes()
    with Follower(path, wait=waiting([lambda: path.write_bytes(data)])) as follower:
        assert len(list(follower)) == 2


def test_event_wakes_a_follower_in_the_engine(tmp_path: Path) -> None:
    appended = threading.Event()
    total = 101

    def wait(timeout_seconds: float) -> None:
        appended.wait(timeout_seconds)
        appended.clear()

    with Writer(tmp_path / "t", on_append=appended.set) as writer:
        writer.append([SESSION])
        with Follower(tmp_path / "t", wait=wait) as follower:
            seen: list[int] = []
            reader = threading.Thread(target=lambda: seen.extend(b.header.sequence for b in follower))
            reader.start()
            for number in range(total):
                writer.append([{"type": "notice", "number": number}])
            writer.append([{"type": "end"}])
            reader.join()
    assert seen == list(range(total + 2))


def test_stop_ends_the_iteration(tmp_path: Path) -> None:
    with Writer(tmp_path / "t") as writer:
        writer.append([SESSION])
        with Follower(tmp_path / "t", wait=lambda _: follower.stop()) as follower:
            assert len(list(follower)) == 1
            assert not follower.cut
            assert not follower.finished


def test_not_a_trace(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"something else")
    with pytest.raises(TraceError, match="not a trace"):
        Follower(tmp_path / "t", wait=no_wait)
