"""What the screens look like, at the smallest size that counts and at a comfortable one."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.tui import scene
from tui.app import RubiconApp
from tui.feed import Batch
from tui.model import Model
from tui.snapshot import Losses, State
from tui.terminal import CommandTerminal
from tui.widgets.tabs import SCREENS

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=["80x24", "160x48"])
Compare = Callable[..., bool]


def rome_app(*, losses: Losses | None = None, state: State = State.LIVE) -> RubiconApp:
    return RubiconApp(scene.model_of(scene.rome(), losses=losses, state=state))


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


LOOKS = pytest.mark.parametrize("look", ["dark", "light", "none"])
KEYS = {mode: key for key, mode, _title in SCREENS} | {"help": "question_mark"}


def looking(look: str, patch: pytest.MonkeyPatch, terminal: CommandTerminal | None = None) -> RubiconApp:
    """The story on a dark or a light theme, or without colours."""
    if look == "none":
        patch.setenv("NO_COLOR", "1")
    return RubiconApp(scene.model_of(scene.rome()), light=look == "light", terminal=terminal)


@SIZES
@LOOKS
@pytest.mark.parametrize("screen", KEYS)
def test_screen(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], screen: str, look: str
) -> None:
    assert snap_compare(looking(look, monkeypatch), press=[KEYS[screen]], terminal_size=size)


@SIZES
@LOOKS
def test_the_command_in_its_pane(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], look: str
) -> None:
    outer, inner = os.openpty()
    terminal = CommandTerminal(outer)
    terminal.feed(
        b"\x1b[1;32magent\x1b[0m: fixing issue 4711\r\n$ pytest -q\r\n\x1b[31m1 failed\x1b[0m\r\n$ "
    )
    try:
        assert snap_compare(looking(look, monkeypatch, terminal), terminal_size=size)
    finally:
        os.close(inner)
        os.close(outer)


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
