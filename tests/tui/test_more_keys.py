"""Keys that lead to other screens, filter by what is selected, and act on what is watched."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandList
from textual.widgets import Static

from tests import longtrace
from tests.tui import scene
from tests.tui.driver import driven, until
from tracer.control import Reply
from tracer.events import Action, Event
from tui.acts import Session
from tui.feed import Batch
from tui.replay import Player
from tui.screens.menus import ChoiceScreen, ConfirmScreen
from tui.screens.overlay import DetailsScreen, HelpScreen
from tui.snapshot import Pace, State
from tui.terminal import CommandTerminal
from tui.widgets.file_tree import FileTree
from tui.widgets.filter import FilterBar, FilterInput
from tui.widgets.peers import PeerList
from tui.widgets.table import KeyedTable
from tui.widgets.tabs import SCREENS
from tui.widgets.terminal import TerminalPane
from tui.widgets.timeline import TimelineView


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
        found = len(at.live.snapshot.events)
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
        line = at.part(FilterInput)
        await until(lambda: line._suggestion)
        await at.press("right")
        assert line.value == "technique:"


async def test_n_goes_from_mark_to_mark() -> None:
    async with driven() as at:
        await at.press("e", "home", "n")
        first = at.events.selected
        assert isinstance(first, Event)
        assert first.sequence in at.live.snapshot.levels
        await at.press("n", "N")
        assert at.events.selected is first


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
        groups = at.live.snapshot.violations
        assert [group.acknowledged for group in groups][:2] == [True, False]
        await at.press("A")
        assert all(group.acknowledged for group in at.live.snapshot.violations)
        at.model.add(Batch(violations=[groups[0].violation]))
        at.live.tick()
        assert not at.live.snapshot.violations[0].acknowledged


async def test_o_shows_what_has_ended() -> None:
    async with driven() as at:
        tree = at.tree
        before = len(tree.rows)
        await at.press("p", "o")
        assert len(tree.rows) > before


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


RULES = {
    "rules": [
        {
            "id": "a",
            "name": "Tunnel",
            "level": "high",
            "kind": "detection",
            "hits": 2,
            "file": "/r.yml",
            "line": 7,
        },
        {"id": "b", "name": "Pool", "level": "low", "kind": "detection", "hits": 0, "enabled": False},
    ],
    "problems": ["/r.yml:3: no such field"],
}


async def test_rules_are_turned_off_and_on_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def ask(_trace: Path, command: str, **arguments: Any) -> Reply:
        asked.append((command, arguments))
        return Reply(ok=True, message=f"did {command}", data=RULES if command == "rules" else {})

    monkeypatch.setattr("tui.screens.rules.Session", lambda trace: Session(trace, ask))
    async with driven() as at:
        await at.press("4")
        await at.settle()
        assert at.part(KeyedTable).row_count == 2
        assert "no such field" in str(at.app.screen.query_one("#problems", Static).render())
        for key, done in (("t", ("rule", {"id": "a", "enabled": False})), ("L", ("reload", {}))):
            await at.press(key)
            await at.settle()
            assert done in asked
            assert f"did {done[0]}" in at.said()
        await at.press("down", "t")
        await at.settle()
        assert ("rule", {"id": "b", "enabled": True}) in asked
        await at.press("enter")
        assert isinstance(at.app.screen, DetailsScreen)
    async with driven(state=State.FINISHED) as at:
        await at.press("4", "t")
        assert "read-only: the session has ended" in at.said()


def written(folder: Path, suffix: str) -> list[Path]:
    return list(folder.glob(f"*{suffix}"))


@pytest.mark.parametrize(("key", "suffix"), [("E", ".jsonl"), ("W", ".html")])
async def test_files_are_written_after_a_yes(
    key: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    longtrace.write_long_trace(tmp_path / "t.trace", 100)
    async with driven(state=State.FINISHED) as at:
        at.app.desk.trace = tmp_path / "t.trace"
        await at.press("slash", *"action:exec", "enter", key)
        assert isinstance(at.app.screen, ConfirmScreen)
        await at.press("n")
        assert not written(tmp_path, suffix)
        await at.press(key, "y")
        await at.settle()
        (out,) = written(tmp_path, suffix)
        assert out.stat().st_mode & 0o777 == 0o600
        assert str(out) in at.said()
        if key == "E":
            actions = {json.loads(line)["event"]["action"] for line in out.read_text().splitlines()}
            assert actions == {"exec", "summary"}


async def test_sessions_are_listed_anew_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUBICON_TRACES", str(tmp_path))
    async with driven() as at:
        await at.press("6")
        await at.settle()
        assert at.app.screen.query_one("#hint").display
        longtrace.write_long_trace(tmp_path / "t.trace", 100)
        await at.press("r")
        await at.settle()
        assert at.part(KeyedTable).row_count == 1
        await at.press("enter")
        await until(lambda: at.model.snapshot().summary.events == 101)
        assert at.app.current_mode == "live"


async def test_letters_move_as_arrows_do() -> None:
    async with driven() as at:
        await at.press("G")
        last = at.violations.cursor
        await at.press("k")
        assert at.violations.cursor == last - 1
        await at.press("j", "g")
        assert at.violations.cursor == 0
        await at.press("p", "h")
        assert len(at.tree.rows) == 1
        await at.press("l")
        assert len(at.tree.rows) > 1
        await at.press("5", "shift+left")
        view = at.part(TimelineView)
        there = view.column
        await at.press("shift+right", "h", "l", "equals_sign")
        assert view.column > there


async def test_the_palette_does_things() -> None:
    async with driven() as at:
        await at.press("colon", *"network")
        found = at.part(CommandList)
        await until(lambda: found.option_count and "Network" in str(found.get_option_at_index(0).prompt))
        await at.press("enter", "enter")
        await at.settle()
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
        tree = at.part(FileTree)
        everything = len(tree.rows)
        await at.press("left")
        assert len(tree.rows) < everything
        await at.press("right", "down", "left", "left")
        assert len(tree.rows) < everything
        assert tree.cursor == 0


async def test_the_timeline_moves_zooms_and_leads_to_a_moment() -> None:
    async with driven((160, 40)) as at:
        await at.press("5")
        view = at.part(TimelineView)
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
        selected = at.events.selected
        assert selected is not None
        assert 0 <= selected.time_ns - (begin_ns + 10_000_000_000) < 1_000_000_000


async def test_the_timeline_begins_at_its_end_and_stays_there_at_any_size() -> None:
    async with driven() as at:
        await at.press("5")
        view = at.part(TimelineView)
        assert view.column == view.columns - 1 > 10
        await at.pilot.resize_terminal(160, 48)
        await at.pilot.pause()
        assert view.column == view.columns - 1


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


async def test_a_filter_goes_along_into_a_replay_and_can_be_typed_there() -> None:
    async with driven(state=State.FINISHED) as at:
        at.app.desk._open_recorded = lambda _trace: Held()
        await at.press("slash", *"port:22", "enter", "R")
        player = at.app.desk.player
        assert player is not None
        await until(lambda: player.state.now_ns)
        assert at.filter == at.part(FilterInput).value == "port:22"
        await at.press("escape", "slash", *"pip")
        assert at.filter == at.part(FilterInput).value == "pip"


async def test_no_key_goes_to_a_filter_line_that_is_hidden() -> None:
    async with driven() as at:
        await at.press("slash")
        at.app.show_screen("network")
        await at.pilot.pause()
        at.app.show_screen("live")
        await at.pilot.pause()
        assert not at.part(FilterBar).display
        assert at.focused == "violations"
        await at.press("slash", "x")
        assert at.part(FilterInput).value == "x"


async def test_a_moment_of_the_timeline_is_where_a_replay_goes() -> None:
    async with driven((160, 40), state=State.FINISHED) as at:
        at.app.desk._open_recorded = lambda _trace: Held()
        await at.press("R", "space")
        first = at.app.desk.player
        assert first is not None
        at.app.go_to(scene.NOW_NS - 10_000_000_000)
        await until(lambda: len(at.model.snapshot().events) > 30)
        assert at.app.desk.player is first
        at.app.go_to(scene.START_NS + 5_000_000_000)
        assert at.app.desk.player is not first
        await until(lambda: 0 < len(at.model.snapshot().events) < 30)


async def test_what_processes_take_is_asked_of_the_screen_that_is_in_front() -> None:
    """The live screen knows of nobody until it was drawn; `run --tui` begins with another one."""
    async with driven() as at:
        asked: list[tuple[int, int]] = []
        at.app._sampler.sample = lambda who: asked.extend(who) or {}  # type: ignore[method-assign,func-returns-value]
        await at.press("2")
        late = scene.process(7001, at.story.events[0].process, "late")
        at.model.add(Batch(events=[at.story.event(late, Action.EXEC, scene.exec_of(late))]))
        await at.tick()
        at.app._sample()
        await at.settle()
        assert (7001, late.start_ns) in asked


async def test_keys_go_to_the_command_until_they_are_taken_back() -> None:
    outer, inner = os.openpty()
    async with driven(terminal=CommandTerminal(outer)) as at:
        assert at.app.current_mode == "command"
        pane = at.part(TerminalPane)
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
