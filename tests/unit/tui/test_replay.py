"""A trace is played again: when what comes is due, and what the controls do. The clock is the test's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tui import scene
from tracer.events import Event
from tui.feed import Batch
from tui.replay import SPEEDS, Player
from tui.snapshot import Pace, State

STEP_NS = 700_000_000


class Recorded:
    """The story in one batch, as fast as it is asked for."""

    def __init__(self) -> None:
        self.story = scene.rome()
        self.stopped = False

    def __iter__(self) -> Iterator[Batch]:
        yield Batch(session=scene.SESSION, state=State.LIVE)
        yield Batch(events=self.story.events, violations=self.story.violations)
        yield Batch(state=State.FINISHED)

    def stop(self) -> None:
        self.stopped = True


class Stage:
    """A player whose waiting moves the clock by `tick` seconds."""

    def __init__(self, *, start_ns: int = 0, tick: float = 0.1) -> None:
        self.now = 100.0
        self.recorded = Recorded()
        self.player = Player(self.recorded, start_ns=start_ns, clock=lambda: self.now)
        self.seen: list[Event] = []
        self.violations = 0
        self.states = [State.OPENING]
        self._tick = tick
        self._batches = iter(self.player)

    def play(self, ticks: int) -> list[Event]:
        """What comes in so many moments in which nothing is due."""
        before = len(self.seen)
        while ticks and (batch := next(self._batches, None)) is not None:
            self.seen += batch.events
            self.violations += len(batch.violations)
            if batch.state:
                self.states.append(batch.state)
            if not batch.events:
                self.now += self._tick
                ticks -= 1
        return self.seen[before:]

    def finish(self) -> None:
        self.play(1_000_000)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.replay.TICK_SECONDS", 0)


def test_everything_comes_once_and_in_order() -> None:
    stage = Stage(tick=5)
    stage.finish()
    assert stage.seen == stage.recorded.story.events
    assert stage.violations == len(stage.recorded.story.violations)
    assert stage.player.state.pace is Pace.ENDED
    assert stage.states[-1] is State.FINISHED


@pytest.mark.parametrize("speed", SPEEDS)
def test_events_come_at_their_time_and_speed(speed: float) -> None:
    stage = Stage(tick=0.7 / speed)
    stage.player.faster(SPEEDS.index(speed) - SPEEDS.index(1.0))
    stage.play(20)
    passed_ns = (stage.now - 100.0) * speed * 1e9
    due = [e for e in stage.recorded.story.events if e.time_ns - scene.START_NS - STEP_NS <= passed_ns]
    assert abs(len(stage.seen) - len(due)) <= 3
    assert len(stage.seen) > 10


def test_paused_nothing_comes_and_a_step_is_one_event() -> None:
    stage = Stage()
    stage.play(3)
    stage.player.toggle()
    assert not stage.play(50)
    stage.player.step()
    assert len(stage.play(5)) == 1
    assert stage.player.state.pace is Pace.PAUSED
    stage.player.toggle()
    assert len(stage.play(50)) > 3


def test_the_next_violation_is_the_last_that_comes() -> None:
    stage = Stage()
    stage.play(1)
    for _ in range(3):
        stage.player.next_violation()
        came = stage.play(5)
        broken = {violation.event.sequence for violation in stage.recorded.story.violations}
        assert [event.sequence in broken for event in came][-1:] == [True]
        assert not any(event.sequence in broken for event in came[:-1])
        assert stage.player.state.pace is Pace.PAUSED


def test_seeking_goes_there_at_once_and_plays_on() -> None:
    stage = Stage(start_ns=scene.START_NS + 20 * STEP_NS)
    assert 20 <= len(stage.play(4)) <= 22
    assert stage.player.state.pace is Pace.PLAYING
    stage.player.seek(scene.START_NS + 40 * STEP_NS)
    assert len(stage.play(3)) >= 18
    assert stage.player.state.now_ns >= scene.START_NS + 40 * STEP_NS


def test_at_its_end_the_time_stays_where_it_was() -> None:
    stage = Stage(tick=0.3)
    stage.finish()
    at_end_ns = stage.player.state.now_ns
    assert at_end_ns >= stage.recorded.story.events[-1].time_ns
    stage.now += 100
    assert stage.player.state.now_ns == at_end_ns


def test_the_scale_of_speeds_has_ends() -> None:
    stage = Stage()
    stage.player.faster(100)
    assert stage.player.state.speed == 64
    stage.player.faster(-100)
    assert stage.player.state.speed == 0.5


def test_stopped_it_ends_and_so_does_its_source() -> None:
    stage = Stage()
    stage.play(2)
    stage.player.stop()
    assert stage.recorded.stopped
    assert len(stage.play(100)) <= 1
