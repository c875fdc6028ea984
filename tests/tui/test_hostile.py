"""Names an agent chose to harm who looks at them: no widget lets one through."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from textual.widgets import Static

from tests.tui import scene
from tracer.events import (
    Action,
    Exec,
    Exit,
    File,
    Level,
    Network,
    NetworkType,
    Process,
    Rule,
    RuleKind,
    StdioKind,
)
from tracer.trace import StoredSession
from tui import details
from tui.app import RubiconApp
from tui.cells import Part, cells, clip, fit, fit_middle, fit_right, parts_cells
from tui.feed import Batch
from tui.model import Model
from tui.screens.sessions import SessionsScreen
from tui.snapshot import Counts, ProcessRow, Session, State, Summary, ViolationGroup
from tui.widgets.events import event_line
from tui.widgets.file_tree import file_line
from tui.widgets.header import notice_line, numbers_line, pulses_line, title_line
from tui.widgets.peers import peer_line
from tui.widgets.process_tree import process_line
from tui.widgets.violations import violation_head, violation_words

# What must never reach a terminal: controls, invisible and direction-changing characters, lone surrogates.
FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"})

PAYLOADS = (
    "\x1b[2J\x1b[H\x1b]0;owned\x07",
    "[bold red]x[/] [@click=app.quit]quit[/] [link=file:///etc/passwd]y[/link]",
    "a\nb\r\tc\x00\x7f\x9b31m",
    "\u202egnp.exe\u2066\u200b\u200d\ufeff",
    "\udc80\udcff\ud800",
    "日本語" * 50,
    "👩\u200d👩\u200d👧🏽e\u0301\u0301",
    "\\n\\x1b[",
    "[/]" * 40,
)
hostile = st.one_of(
    st.sampled_from(PAYLOADS), st.text(max_size=200), st.builds(str.__add__, *[st.text()] * 2)
)
widths = st.integers(0, 140)


def assert_safe(text: str) -> None:
    bad = [character for character in text if unicodedata.category(character) in FORBIDDEN]
    assert not bad, bad


def assert_line(parts: list[Part], width: int) -> None:
    assert parts_cells(parts) <= width
    for text, _style in parts:
        assert_safe(text)


def hostile_process(text: str) -> Process:
    parent = scene.process(7, None, text or "x", executable=text, name=text, cwd=text)
    return replace(parent, entity_id="child", parent=parent, user_name=text)


def hostile_story(text: str) -> scene.Story:
    story = scene.Story()
    who = hostile_process(text)
    image = Exec(text, text, (text, text), 0, 0, True, StdioKind.SOCKET, StdioKind.PIPE, StdioKind.FILE, text)
    story.event(who, Action.FORK)
    story.event(who, Action.EXEC, image)
    for kind in (NetworkType.UNIX, NetworkType.IPV6):
        story.event(who, Action.CONNECT, Network(kind, text, text, 1, text, 1, text, text), error=111)
    file = File(text, original_path=text, target_path=text)
    for action in Action:
        if action.value.startswith("file_"):
            story.event(who, action, file, error=9_999)
    rule = Rule(text, text, Level.HIGH, RuleKind.POLICY, text, (text,))
    for event in story.events:
        story.violate(rule, event, text, (text, text))
    story.event(who, Action.EXIT, Exit(0, 200))
    return story


@given(hostile, widths)
@example("👩🏽", 2)
def test_fitted_text_is_safe_and_as_wide_as_asked(text: str, width: int) -> None:
    for fitted in (fit(text, width), fit_right(text, width), fit_middle(text, width)):
        assert cells(fitted) == width
        assert_safe(fitted)
    assert cells(clip(text, width)) <= width


@settings(deadline=None)
@given(hostile, widths)
def test_lines_are_safe_and_fit(text: str, width: int) -> None:
    story = hostile_story(text)
    for event in story.events:
        assert_line(event_line(event, Level.LOW, width), width)
    for violation in story.violations:
        group = ViolationGroup(violation, 1_234_567, 0, 0)
        assert_line(violation_head(group, width), width)
        assert_line(violation_words(group, width), width)
    model = hostile_model(text)
    for peer in model.peers():
        assert_line(peer_line(peer, width), width)
    for file in model.files():
        assert_line(file_line(file, width, closed=True), width)
    for exit_status in (None, Exit(3, 0), Exit(0, 9)):
        row = ProcessRow(
            hostile_process(text), "│ ├" * 9, 1, 1, exit_status, 0, Counts(), Level.LOW, 10_000, 1
        )
        assert_line(process_line(row, width, closed=True), width)


@given(hostile, widths)
def test_the_header_is_safe_and_fits(text: str, width: int) -> None:
    session = Session(id=text, target=text, command=(text,))
    counts = dict.fromkeys(Level, 10**9)
    for summary in (
        Summary(session=session, notice=text, violations=counts, lag_bytes=10**12),
        Summary(session=Session(target=text), state=State.CUT),
    ):
        for draw in (title_line, numbers_line, pulses_line, notice_line):
            assert_line(draw(summary, width), width)


def hostile_model(text: str) -> Model:
    story = hostile_story(text)
    model = Model(now_ns=lambda: 0, clock=lambda: 0.0)
    session = Session(text, text, (text,), text, text, 1)
    model.add(Batch(story.events, story.violations, notices=(text,), session=session, state=State.LIVE))
    return model


PANES = (["v"], ["p"], ["e", "up"], ["f"], ["escape", "z", "enter"], ["escape", "z"])
SCREENS = (["2"], ["3"], ["4", "enter"], ["escape", "5"], ["6"], ["1", "p", "K"], ["n", "W"], ["n"])


async def look_around(texts: Sequence[str], ways: Sequence[Sequence[str]]) -> None:
    """The app on hostile data, one text after the other: panes, the details of each kind, other screens."""
    app = RubiconApp(hostile_model(""))
    app.desk.trace = Path("/nonexistent/x.trace")
    async with app.run_test(size=(110, 30)) as pilot:
        for text in texts:
            app.desk.model = hostile_model(text)
            app._begin_anew()
            for keys in ways:
                await pilot.press(*keys)
                if app.current_mode == "sessions":
                    await app.workers.wait_for_complete()
                    sessions = app.screen
                    assert isinstance(sessions, SessionsScreen)
                    record = {"id": text, "command": [text]}
                    sessions.show_sessions([StoredSession(Path("/x"), record, live=False, size_bytes=7)])
                await pilot.pause()
                assert_screen(app)
        assert app.is_running


def assert_screen(app: RubiconApp) -> None:
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert_safe(segment.text)
            assert not (segment.style and segment.style.link)
            assert "@click" not in (segment.style.meta if segment.style else {})


@pytest.mark.parametrize("ways", [PANES, SCREENS], ids=["panes", "screens"])
async def test_everything_with_known_payloads(ways: Sequence[Sequence[str]]) -> None:
    """Those that could act on a terminal; the width of the others is a matter of lines, tested above."""
    await look_around(PAYLOADS[:5], ways)


@settings(deadline=None, max_examples=1)
@given(st.lists(hostile, min_size=4, max_size=4))
def test_every_pane_with_any_text(texts: list[str]) -> None:
    asyncio.run(look_around(texts, PANES))


async def test_very_long_arguments_are_shortened() -> None:
    app = RubiconApp(hostile_model("x" * 100_000))
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.press("p")
        live = app.live
        document = live.selection()
        assert len(document.lead) >= 100_000
        assert live.query_one("#details Static", Static).size.height < 2_000


@given(hostile)
def test_documents_are_made_of_any_text(text: str) -> None:
    story = hostile_story(text)
    model = hostile_model(text)
    snapshot = model.snapshot()
    for event in story.events:
        assert details.of_event(event, None).sections
    for row in snapshot.processes:
        assert details.of_process(row, snapshot).sections
    for group in snapshot.violations:
        assert details.of_violation(group).sections
