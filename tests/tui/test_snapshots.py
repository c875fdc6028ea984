"""What the screens look like, at the smallest size that counts and at a comfortable one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tui import scene
from tui.app import RubiconApp
from tui.feed import Batch
from tui.model import Model
from tui.snapshot import Losses, State
from tui.themes import LIGHT
from tui.widgets.tabs import SCREENS

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=["80x24", "160x48"])
Compare = Callable[..., bool]


def rome_app(*, losses: Losses | None = None, state: State = State.LIVE) -> RubiconApp:
    return RubiconApp(scene.model_of(scene.rome(), losses=losses, state=state))


@SIZES
def test_live(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), terminal_size=size)


@SIZES
def test_before_the_session_record(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(RubiconApp(Model(now_ns=lambda: 0, clock=lambda: 0.0)), terminal_size=size)


@SIZES
def test_cut_trace_with_losses_and_no_violation(snap_compare: Compare, size: tuple[int, int]) -> None:
    story = scene.rome()
    story.violations.clear()
    model = scene.model_of(story, losses=Losses(3, 1_400), state=State.CUT)
    model.add(
        Batch(notices=("cut off: the engine was killed before the session ended",), lag_bytes=3_000_000)
    )
    assert snap_compare(RubiconApp(model), terminal_size=size)


@SIZES
@pytest.mark.parametrize("screen", ["network", "files", "rules", "timeline", "sessions"])
def test_screen(snap_compare: Compare, size: tuple[int, int], screen: str) -> None:
    key = next(key for key, mode, _title in SCREENS if mode == screen)
    assert snap_compare(rome_app(), press=[key], terminal_size=size)


@pytest.mark.parametrize("size", [(80, 24)], ids=["80x24"])
@pytest.mark.parametrize("screen", ["live", "network", "timeline"])
def test_without_colours(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], screen: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    key = next(key for key, mode, _title in SCREENS if mode == screen)
    assert snap_compare(rome_app(), press=[key], terminal_size=size)


@SIZES
def test_choosing_what_to_leave_out(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["e", "up", "x"], terminal_size=size)


@SIZES
def test_a_filter_with_a_mistake(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["slash", *"exec:curl"], terminal_size=size)


@SIZES
def test_seen(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["v", "a", "a"], terminal_size=size)


@SIZES
def test_details_of_a_violation(snap_compare: Compare, size: tuple[int, int]) -> None:
    press = ["v", *["down"] * 5, "enter"]
    assert snap_compare(rome_app(), press=press, terminal_size=size)


@SIZES
def test_details_of_a_process(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["p", "enter"], terminal_size=size)


@SIZES
def test_details_of_an_event_with_the_stream_paused(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["e", "up", "up", "enter"], terminal_size=size)


@SIZES
def test_filtered(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["slash", *"6379", "enter"], terminal_size=size)


@SIZES
def test_filter_that_nothing_passes(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["slash", *"zzz", "enter"], terminal_size=size)


@SIZES
def test_zoomed(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["e", "z"], terminal_size=size)


@SIZES
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(rome_app(), press=["question_mark"], terminal_size=size)


def test_light_theme(snap_compare: Compare) -> None:
    app = rome_app(state=State.FINISHED)
    app.theme = LIGHT.name
    assert snap_compare(app, terminal_size=(120, 36))
