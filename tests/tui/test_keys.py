"""Every key, pressed."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from tests.tui import scene
from tests.tui.driver import NARROW, WIDE, driven
from tracer.events import Action
from tui.feed import Batch
from tui.screens.overlay import DetailsScreen, HelpScreen
from tui.widgets.details import DetailsPane
from tui.widgets.violations import ViolationList


async def test_starts_on_the_violations() -> None:
    async with driven() as at:
        assert at.focused == "violations"


@pytest.mark.parametrize(("key", "pane"), [("p", "processes"), ("v", "violations"), ("e", "events")])
async def test_letters_go_to_panes(key: str, pane: str) -> None:
    async with driven() as at:
        await at.press(key)
        assert at.focused == pane


@pytest.mark.parametrize(
    ("size", "panes"),
    [
        (NARROW, ["events", "processes", "violations"]),
        (WIDE, ["events", "details", "processes", "violations"]),
    ],
)
async def test_tab_goes_round_and_back(size: tuple[int, int], panes: list[str]) -> None:
    async with driven(size) as at:
        there = []
        for _pane in panes:
            await at.press("tab")
            there.append(at.focused)
        assert there == panes
        await at.press("shift+tab")
        assert at.focused == panes[-2]


async def test_q_quits() -> None:
    async with driven() as at:
        await at.press("q")
        assert at.app.return_code == 0


async def test_ctrl_c_quits() -> None:
    async with driven() as at:
        await at.press("slash", "ctrl+c")
        assert at.app.return_code == 0


async def test_arrows_and_pages_move_the_selection() -> None:
    async with driven() as at:
        await at.press("down", "down")
        assert at.violations.cursor == 2
        await at.press("up")
        assert at.violations.cursor == 1
        await at.press("end")
        assert at.violations.cursor == len(at.violations.rows) - 1
        await at.press("home")
        assert at.violations.cursor == 0
        await at.press("pagedown")
        assert at.violations.cursor > 1
        await at.press("pageup")
        assert at.violations.cursor == 0


async def test_the_selection_never_leaves_the_rows() -> None:
    async with driven() as at:
        await at.press("up", "up")
        assert at.violations.cursor == 0
        await at.press("end", "down", "pagedown")
        assert at.violations.cursor == len(at.violations.rows) - 1


async def test_the_selected_row_is_on_the_screen() -> None:
    async with driven() as at:
        await at.press("end")
        top = at.violations.scroll_offset.y
        line = at.violations.cursor * at.violations.row_height
        assert top <= line < top + at.violations.size.height


async def test_enter_opens_details_over_a_narrow_screen() -> None:
    async with driven() as at:
        await at.press("enter")
        assert isinstance(at.app.screen, DetailsScreen)
        await at.press("escape")
        assert at.app.screen is at.live
        assert at.focused == "violations"


async def test_enter_goes_to_the_details_of_a_wide_screen_and_escape_back() -> None:
    async with driven(WIDE) as at:
        await at.press("p", "enter")
        assert at.focused == "details"
        await at.press("escape")
        assert at.focused == "processes"


async def test_details_follow_the_selection() -> None:
    async with driven(WIDE) as at:
        pane = at.live.query_one(DetailsPane)
        await at.press("v", "down")
        assert pane.document is not None
        assert pane.document.title == at.violations.rows[1].violation.rule.name
        await at.press("p")
        assert pane.document.title == "python3[4242]"
        await at.press("e", "up")
        assert pane.document.kind == "event"


async def test_pause_holds_the_stream_and_follow_catches_up() -> None:
    async with driven() as at:
        await at.press("space")
        assert not at.events.following
        seen = at.events.rows
        extra = at.story.end(at.story.events[0].process)
        at.model.add(Batch(events=[extra]))
        await at.tick()
        assert at.events.rows is seen
        assert at.events.missed == 1
        await at.press("space")
        assert at.events.following
        assert at.events.rows[-1] is extra


async def test_moving_up_in_the_stream_pauses_it_and_end_follows() -> None:
    async with driven() as at:
        await at.press("e", "up")
        assert not at.events.following
        assert at.events.cursor == len(at.events.rows) - 2
        await at.press("end")
        assert at.events.following


async def test_filter_narrows_while_typing_and_escape_clears() -> None:
    async with driven() as at:
        everything = len(at.events.rows)
        await at.press("slash", *"action:connect !refused")
        assert {event.action for event in at.rows} == {Action.CONNECT}
        assert not any(event.error for event in at.rows)
        assert at.violations.rows
        await at.press("escape")
        assert len(at.events.rows) == everything
        assert not at.live.query_one("#filterbar").display
        assert at.focused == "violations"


async def test_filter_stays_after_enter_until_escape() -> None:
    async with driven() as at:
        await at.press("slash", *"6379", "enter")
        assert at.focused == "violations"
        assert len(at.violations.rows) == 1
        assert at.live.query_one("#filterbar").display
        await at.press("escape")
        assert len(at.violations.rows) > 1


async def test_letters_typed_into_the_filter_are_not_keys() -> None:
    async with driven() as at:
        await at.press("slash", *"qvpe?")
        assert at.live.query_one("#filter", Input).value == "qvpe?"


async def test_filter_works_while_paused() -> None:
    async with driven() as at:
        await at.press("space", "slash", *"kworker", "enter")
        assert 0 < len(at.events.rows) < len(at.story.events)
        assert not at.events.following


async def test_left_and_right_close_and_open_a_subtree() -> None:
    async with driven() as at:
        everything = len(at.tree.rows)
        await at.press("p", "left")
        assert len(at.tree.rows) == 1
        await at.press("right")
        assert len(at.tree.rows) == everything
        await at.press("down", "left")
        assert at.tree.cursor == 0


async def test_zoom_and_back() -> None:
    async with driven() as at:
        await at.press("e", "z")
        assert at.live.maximized is at.events
        await at.press("z")
        assert at.live.maximized is None
        await at.press("z", "escape")
        assert at.live.maximized is None


async def test_help_opens_and_closes() -> None:
    async with driven() as at:
        for closing in ("escape", "question_mark", "q"):
            await at.press("question_mark")
            assert isinstance(at.app.screen, HelpScreen)
            await at.press(closing)
            assert at.app.screen is at.live


async def test_click_selects_and_double_click_opens() -> None:
    async with driven() as at:
        await at.pilot.click(ViolationList, offset=(5, 4))
        assert at.violations.cursor == 1
        await at.pilot.click(ViolationList, offset=(5, 4), times=2)
        assert isinstance(at.app.screen, DetailsScreen)


async def test_the_newest_violation_is_selected_until_another_one_is() -> None:
    async with driven() as at:
        event = at.story.events[-1]
        at.model.add(Batch(violations=[at.story.violate(scene.TUNNEL, event, "one more")]))
        await at.tick()
        assert at.violations.selected is not None
        assert at.violations.selected.violation.summary == "one more"
        await at.press("down")
        read = at.violations.selected
        at.model.add(Batch(violations=[at.story.violate(scene.TUNNEL, event, "and another")]))
        await at.tick()
        assert at.violations.selected is read


async def test_any_size_is_survived() -> None:
    async with driven() as at:
        for size in [(200, 50), (20, 5), (1, 1), (109, 30), (110, 30), (80, 24)]:
            await at.pilot.resize_terminal(*size)
            await at.tick()


async def test_keys_typed_ahead_of_a_slow_screen_keep_their_order() -> None:
    async with driven() as at:
        for key in (
            "slash",
            *"tunnel",
            "enter",
            "p",
            "end",
            "e",
            "up",
            "up",
            "escape",
            "slash",
            *"pip",
            "enter",
            "v",
        ):
            at.app.simulate_key(key)
        await at.pilot.pause()
        assert at.filter == "pip"
        assert at.app.filters == ["tunnel", "pip"]
        assert at.focused == "violations"
        assert at.tree.cursor == len(at.tree.rows) - 1
        assert not at.events.following
