"""Keys that lead to other screens, filter by what is selected, and act on what is watched."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui import scene
from tracer.control import Reply
from tui.acting import Acting
from tui.acts import Session
from tui.app import RubiconApp
from tui.feed import Batch
from tui.replay import Player
from tui.screens.menus import ChoiceScreen, ConfirmScreen
from tui.screens.overlay import DetailsScreen, HelpScreen
from tui.snapshot import Pace, State
from tui.terminal import CommandTerminal
from tui.widgets.file_tree import FileTree
from tui.widgets.peers import PeerList
from tui.widgets.tabs import SCREENS
from tui.widgets.terminal import TerminalPane
from tui.widgets.timeline import TimelineView

pytestmark = pytest.mark.timeout(240)


class Driver:
    def __init__(self, app: RubiconApp, pilot: Pilot[None], asked: list[tuple[str, dict[str, Any]]]) -> None:
        self.app, self.press, self.pilot, self.asked = app, pilot.press, pilot, asked
        self._notes: list[str] = []
        notify = app.notify

        def heard(message: str, **how: Any) -> None:
            self._notes.append(message)
            notify(message, **how)

        app.notify = heard  # type: ignore[method-assign,assignment]

    @property
    def filter(self) -> str:
        return self.app.desk.filter_text

    async def settle(self) -> None:
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    def said(self) -> str:
        """All notes so far: on the screen they stay for seconds only."""
        return "\n".join(self._notes)


@asynccontextmanager
async def driven(
    size: tuple[int, int] = (80, 24), *, state: State = State.LIVE, terminal: CommandTerminal | None = None
) -> AsyncIterator[Driver]:
    """The story of ROME; a session that is asked for something says yes and is written down."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def ask(_trace: Path, command: str, **arguments: Any) -> Reply:
        asked.append((command, arguments))
        data = {"path": "/p.yaml", "diff": ["+ line"]} if command == "allow" else {}
        return Reply(ok=True, message=f"did {command}", data=data)

    app = RubiconApp(scene.model_of(scene.rome(), state=state), terminal=terminal)
    app.acting = Acting(app, lambda trace: Session(trace, ask))
    app.desk.trace = Path("/nonexistent/x.trace")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Driver(app, pilot, asked)


async def test_numbers_lead_to_screens_and_backspace_back() -> None:
    async with driven() as at:
        for key, mode, _title in SCREENS[1:]:
            await at.press(key)
            assert at.app.current_mode == mode
        await at.press("4", "backspace")
        assert at.app.current_mode == "sessions"


async def test_a_click_on_a_tab_leads_there() -> None:
    async with driven() as at:
        await at.pilot.click("#tabs", offset=(12, 0))
        assert at.app.current_mode == "network"


async def test_f_and_x_filter_by_what_is_selected_and_backspace_takes_it_back() -> None:
    async with driven() as at:
        await at.press("e", "up", "f")
        assert isinstance(at.app.screen, ChoiceScreen)
        await at.press("down", "down", "enter")
        assert at.filter == "action:file_write"
        await at.press("p", "x", "enter")
        assert at.filter == "action:file_write not name:python3"
        await at.press("backspace")
        assert at.filter == "action:file_write"
        await at.press("backspace")
        assert at.filter == ""


async def test_a_mistake_leaves_what_was_shown() -> None:
    async with driven() as at:
        await at.press("slash", *"port:22")
        found = len(at.app.live.snapshot.events)
        assert found == 1
        await at.press("space", *"port:")
        assert "needs a value" in at.app.desk.mistake
        assert at.app.desk.filter_text == "port:22 port"  # a word, as long as there is no colon


async def test_history_of_filters() -> None:
    async with driven() as at:
        await at.press("slash", *"port:22", "enter", "escape", "slash", "up")
        assert at.filter == "port:22"
        await at.press("down")
        assert at.filter == ""


async def test_a_field_name_is_completed() -> None:
    async with driven() as at:
        await at.press("slash", *"techn")
        await at.pilot.pause(0.2)
        await at.press("right")
        assert at.app.live.query_one("#filter").value == "technique:"  # type: ignore[attr-defined]


async def test_n_goes_from_mark_to_mark() -> None:
    async with driven() as at:
        await at.press("e", "home", "n")
        first = at.app.live.query_one("#events").selected  # type: ignore[attr-defined]
        assert first.sequence in at.app.live.snapshot.levels
        await at.press("n", "N")
        assert at.app.live.query_one("#events").selected is first  # type: ignore[attr-defined]


async def test_y_copies_without_what_would_harm() -> None:
    async with driven() as at:
        await at.press("v", "y")
        assert (
            at.app.clipboard
            == "medium: Write to a shell startup file: python3[4242] wrote to /home/agent/.bashrc"
        )


async def test_seen_and_all_seen() -> None:
    async with driven() as at:
        await at.press("v", "a")
        groups = at.app.live.snapshot.violations
        assert [group.acknowledged for group in groups][:2] == [True, False]
        await at.press("A")
        assert all(group.acknowledged for group in at.app.live.snapshot.violations)
        story = scene.rome()
        at.app.desk.model.add(Batch(violations=[groups[0].violation]))
        at.app.live.tick()
        assert not at.app.live.snapshot.violations[0].acknowledged, story


async def test_o_shows_what_has_ended() -> None:
    async with driven() as at:
        tree = at.app.live.query_one("#processes")
        before = len(tree.rows)  # type: ignore[attr-defined]
        await at.press("p", "o")
        assert len(tree.rows) > before  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        (["F"], ("freeze", {})),
        (["T"], ("thaw", {})),
        (["X"], ("kill", {})),
        (["p", "end", "K"], ("kill_process", {"pid": 4377, "start_ns": 4_377_000_000})),
        (["v", "down", "D"], ("deny", {"ip": "198.51.100.9"})),
        (["2", "D"], ("deny", {"ip": "198.51.100.9"})),
    ],
)
async def test_acts_wait_for_a_yes(keys: list[str], asked: tuple[str, dict[str, Any]]) -> None:
    async with driven() as at:
        await at.press(*keys)
        assert isinstance(at.app.screen, ConfirmScreen)
        await at.press("enter", "n")
        assert not at.asked
        await at.press(keys[-1], "y")
        await at.settle()
        assert at.asked == [asked]
        assert f"did {asked[0]}" in at.said()


async def test_adding_to_the_policy_shows_the_difference_first() -> None:
    async with driven() as at:
        await at.press("v", "down", "down", "down", "P", "enter")
        await at.settle()
        assert at.asked == [
            ("allow", {"place": "network.connect", "entry": "10.0.0.11:6379", "write": False})
        ]
        assert isinstance(at.app.screen, ConfirmScreen)
        await at.press("y")
        await at.settle()
        assert at.asked[1][1]["write"] is True


async def test_what_cannot_be_done_is_said() -> None:
    async with driven(state=State.FINISHED) as at:
        for key in ("F", "K", "D", "P"):
            await at.press(key)
            assert not isinstance(at.app.screen, ConfirmScreen)
        assert "read-only: the session has ended" in at.said()
    async with driven() as at:
        await at.press("v", "P")
        assert "a detection is no line" in at.said()


async def test_the_palette_does_things() -> None:
    async with driven() as at:
        await at.press("colon", *"network")
        await at.pilot.pause(0.5)
        await at.press("enter", "enter")
        await at.pilot.pause()
        assert at.app.current_mode == "network"


async def test_peers_and_files_lead_to_their_events() -> None:
    async with driven((160, 40)) as at:
        await at.press("2", "enter")
        await at.pilot.pause()
        assert at.app.current_mode == "live"
        assert at.filter == "domain:pool.example"
        await at.press("escape", "3", "down", "enter")
        await at.pilot.pause()
        assert at.filter.startswith("path:/work/.venv")
    async with driven() as at:
        await at.press("2", "s", "enter")
        await at.pilot.pause()
        assert isinstance(at.app.screen, DetailsScreen)
        assert at.app._screens["network"].query_one(PeerList).sort == "latest"


async def test_folders_close_and_open() -> None:
    async with driven() as at:
        await at.press("3")
        tree = at.app.screen.query_one(FileTree)
        everything = len(tree.rows)
        await at.press("left")
        assert len(tree.rows) < everything
        await at.press("right", "down", "left", "left")
        assert len(tree.rows) < everything
        assert tree.cursor == 0


async def test_the_timeline_moves_zooms_and_leads_to_a_moment() -> None:
    async with driven((160, 40)) as at:
        await at.press("5")
        view = at.app.screen.query_one(TimelineView)
        last = view.column
        await at.press("left", "left")
        assert view.column == last - 2
        await at.press("minus")
        assert view.each == 2
        await at.press("plus", "home")
        assert (view.each, view.column) == (1, 0)
        begin_ns = view.span[0]
        await at.press("pagedown", "enter")
        assert at.app.current_mode == "live"
        selected = at.app.live.query_one("#events").selected  # type: ignore[attr-defined]
        assert 0 <= selected.time_ns - (begin_ns + 10_000_000_000) < 1_000_000_000


class Held:
    """A source of the story that can be played."""

    def __init__(self) -> None:
        self.story = scene.rome()
        self.stopped = threading.Event()

    def __iter__(self) -> Any:
        yield Batch(session=scene.SESSION, state=State.LIVE)
        yield Batch(events=self.story.events, violations=self.story.violations)
        yield Batch(state=State.FINISHED)

    def stop(self) -> None:
        self.stopped.set()


async def test_a_replay_is_steered() -> None:
    async with driven() as at:
        at.app.desk.player = player = Player(Held())
        for key, pace, speed in (
            ("space", Pace.PAUSED, 1),
            ("right_square_bracket", Pace.PAUSED, 2),
            ("left_square_bracket", Pace.PAUSED, 1),
            ("full_stop", Pace.PAUSED, 1),
            ("greater_than_sign", Pace.SEEKING, 1),
        ):
            await at.press(key)
            assert (player.state.pace, player.state.speed) == (pace, speed)


async def test_keys_go_to_the_command_until_they_are_taken_back() -> None:
    outer, inner = os.openpty()
    async with driven(terminal=CommandTerminal(outer)) as at:
        assert at.app.current_mode == "command"
        pane = at.app.screen.query_one(TerminalPane)
        await at.press("i", *"q1", "enter")
        assert os.read(inner, 100) == b"q1\n"
        assert at.app.is_running
        await at.press("ctrl+right_square_bracket")
        assert not pane.typing
        await at.press("1")
        assert at.app.current_mode == "live"
    os.close(inner)
    os.close(outer)


async def test_help_is_there_on_every_screen() -> None:
    async with driven() as at:
        for key, _mode, _title in SCREENS:
            await at.press(key, "question_mark")
            assert isinstance(at.app.screen, HelpScreen)
            await at.press("escape")
