"""The app around the screen: a feed that runs while it is open, and pictures."""

from __future__ import annotations

import os
import pty
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracer
from tests import longtrace
from tests.tui import scene
from tests.tui.driver import until
from tracer.errors import TraceError
from tui import picture
from tui.app import RubiconApp, watch
from tui.feed import Batch
from tui.model import Model
from tui.snapshot import State


class Told:
    """A source whose last batch comes when the test says so."""

    def __init__(self) -> None:
        self.story = scene.rome()
        self.go, self.stopped = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Batch]:
        yield Batch(session=scene.SESSION, state=State.LIVE)
        self.go.wait(10)
        yield Batch(events=self.story.events, violations=self.story.violations)

    def stop(self) -> None:
        self.go.set()
        self.stopped.set()


async def test_what_the_feed_brings_is_shown_and_the_feed_ends_with_the_app() -> None:
    source = Told()
    app = RubiconApp(Model(), source)
    async with app.run_test() as pilot:
        await until(lambda: app.live.snapshot.summary.state is State.LIVE)
        source.go.set()
        await until(lambda: app.live.snapshot.violations)
        await pilot.pause()
    assert source.stopped.is_set()


async def test_a_violation_is_drawn_without_waiting_for_the_next_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.screens.base.TICK_SECONDS", 3_600)
    monkeypatch.setattr("tui.screens.base.LEAST_GAP_SECONDS", 0)
    source = Told()
    app = RubiconApp(Model(), source)
    async with app.run_test():
        source.go.set()
        await until(lambda: app.live.snapshot.violations)


def test_a_picture_shows_the_whole_story() -> None:
    source = Told()
    source.go.set()
    svg = picture.draw(source, (140, 40))
    assert svg.startswith("<svg")
    for words in ("VIOLATED", "Reverse&#160;SSH&#160;tunnel", "kworker"):
        assert words in svg


def test_a_file_that_is_no_trace_is_refused_before_the_terminal_is_touched(tmp_path: Path) -> None:
    with pytest.raises((TraceError, OSError)):
        watch(tmp_path / "missing")
    with pytest.raises((TraceError, OSError)):
        picture.save_picture(tmp_path / "missing", tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()


def test_a_window_that_is_closed_ends_the_screen(tmp_path: Path) -> None:
    """Also when nobody had read what it wrote: then its writing waits for ever."""
    longtrace.write_long_trace(tmp_path / "t.trace", 1_000)
    main = Path(tracer.__file__).with_name("cli") / "__main__.py"
    pid, terminal = pty.fork()
    if not pid:
        os.environ |= {"TERM": "xterm-256color", "RUBICON_TRACES": str(tmp_path)}
        os.execv(sys.executable, [sys.executable, "-I", str(main), "watch", str(tmp_path / "t.trace")])
    shown = b""
    while b"finished" not in shown:
        shown += os.read(terminal, 65_536)
    os.close(terminal)
    assert os.waitpid(pid, 0)[0] == pid
