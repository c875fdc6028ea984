"""From a violation, a process or a minute to what happened then, however long ago: a finished trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests import longtrace
from tests.tui.driver import Driver, until
from tests.tui.scene import rome
from tracer.events import Event
from tracer.trace import index_folder
from tui.app import RubiconApp
from tui.indexed import IndexedSource
from tui.model import Model
from tui.snapshot import State

EVENTS, IN_MEMORY = 3_000, 200


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path / "sessions"))
    path = tmp_path / "t.trace"
    longtrace.write_long_trace(path, EVENTS)
    return path


@asynccontextmanager
async def opened(trace: Path) -> AsyncIterator[Driver]:
    model = Model(max_events=IN_MEMORY)
    source = IndexedSource(trace, model.kept)
    app = RubiconApp(model, source, trace)
    async with app.run_test(size=(120, 36)) as pilot:
        at = Driver(app, pilot, rome())
        await until(lambda: app.live.snapshot.summary.state is State.FINISHED and source.done)
        await pilot.pause()
        yield at


def selected(at: Driver) -> int:
    row = at.events.selected
    return row.sequence if isinstance(row, Event) else 0


async def test_m_leads_to_the_moment_of_a_violation_and_end_back_to_the_newest(trace: Path) -> None:
    async with opened(trace) as at:
        assert len(at.rows) == IN_MEMORY
        await at.press("v", "end")
        group = at.violations.selected
        assert group is not None
        wanted = group.violation.event.sequence
        assert wanted == longtrace.sequence_of(0)
        await at.press("m")
        await at.settle()
        assert selected(at) == wanted
        assert at.focused == "events"
        assert "end: the newest" in str(at.events.border_subtitle)
        await at.press("up")
        assert selected(at) == wanted - 1
        await at.press("end")
        assert at.events.following
        assert at.rows[-1].sequence == EVENTS + 1


async def test_n_goes_on_to_violations_that_are_not_in_memory(trace: Path) -> None:
    async with opened(trace) as at:
        at.app.go_to(longtrace.time_of(0))
        await at.settle()
        await at.press("home", "n")
        for number in range(1, EVENTS // longtrace.EVENTS_EACH // longtrace.VIOLATION_EACH):
            assert selected(at) == longtrace.sequence_of((number - 1) * longtrace.VIOLATION_EACH)
            await at.press("n")
            await at.settle()
        await at.press("n")
        assert "none further down" in at.said()


async def test_a_filter_holds_there_too(trace: Path) -> None:
    async with opened(trace) as at:
        await at.press("slash", *"action:exec", "enter")
        at.app.go_to(longtrace.time_of(20))
        await at.settle()
        assert {row.action.value for row in at.rows} == {"exec"}
        assert at.rows[0].sequence < 300


async def test_the_timeline_and_a_process_lead_there(trace: Path) -> None:
    async with opened(trace) as at:
        await at.press("5", "home", "enter")
        await at.settle()
        assert 0 < selected(at) <= 3
        await at.press("p", "home", "m")
        await at.settle()
        assert at.rows[0].sequence == 1


async def test_as_long_as_there_is_no_index_it_is_said(trace: Path) -> None:
    async with opened(trace) as at:
        for file in index_folder().iterdir():
            file.unlink()
        await at.press("v", "end", "m")
        await at.settle()
        assert "until all of the trace was read once" in at.said()
