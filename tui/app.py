"""The application: one session at a time, and a screen for each way to look at it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, work
from textual.app import App
from textual.events import Event
from textual.message import Message
from textual.widgets import Input

from tracer.config import Config, read_config
from tracer.control import control_path
from tracer.errors import RubiconError
from tracer.events import Violation
from tracer.trace import default_folder
from tui.acting import Acting
from tui.commands import RubiconCommands
from tui.desk import Desk
from tui.feed import Source, TraceSource
from tui.indexed import IndexedSource
from tui.known import KnownPeers
from tui.model import Model
from tui.notify import Notifier
from tui.screens.base import SessionScreen
from tui.screens.command import CommandScreen
from tui.screens.files import FilesScreen
from tui.screens.live import LiveScreen
from tui.screens.network import NetworkScreen
from tui.screens.rules import RulesScreen
from tui.screens.sessions import SessionsScreen
from tui.screens.timeline import TimelineScreen
from tui.snapshot import State
from tui.themes import DARK, LIGHT, THEMES
from tui.vitals import Sampler
from tui.widgets.terminal import TerminalPane

if TYPE_CHECKING:
    from tui.terminal import CommandTerminal

VITALS_SECONDS = 1.0
HANGUP_SECONDS = 2.0  # in which it may end in good order


class RubiconApp(App[None]):
    """Shows `model`; with a `source`, feeds it from there as long as the screen is open.

    `starts_empty`: it begins with the sessions there are. `terminal` is the command's own, when the screen
    has it in a pane.
    """

    TITLE = "rubicon"
    CSS_PATH = ["styles/live.tcss", "styles/overlay.tcss"]  # noqa: RUF012  Textual declares it so
    COMMANDS = {RubiconCommands}  # noqa: RUF012  likewise

    class Violated(Message):
        """Posted by the feed's thread; there is one in the queue at most."""

    def __init__(
        self,
        model: Model,
        source: Source | None = None,
        trace: Path | None = None,
        *,
        light: bool = False,
        terminal: CommandTerminal | None = None,
        config: Config | None = None,
        starts_empty: bool = False,
    ) -> None:
        # Without colours what the terminal has for text and background is left as it is.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.filters: list[str] = []
        self._config = config or Config()
        self._notifier = Notifier(self._config.notify, self._write_to_terminal)
        self.desk = Desk(
            model,
            open_source=lambda trace, model: IndexedSource(trace, model.kept),
            open_recorded=TraceSource,
            on_violations=self._violated,
        )
        self.acting = Acting(self)
        self._source, self._trace = source, trace
        self._starts_empty = starts_empty
        self._sampler = Sampler()
        self._said = False
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = LIGHT.name if light else DARK.name
        self.live = LiveScreen(self.desk)
        others = (NetworkScreen, FilesScreen, RulesScreen, TimelineScreen, SessionsScreen)
        self._screens: dict[str, SessionScreen] = {
            "live": self.live,
            **{screen.mode: screen(self.desk) for screen in others},
        }
        self._terminal = terminal
        if terminal is not None:
            self._screens["command"] = CommandScreen(self.desk, terminal)

    async def on_mount(self) -> None:
        for mode, screen in self._screens.items():
            self.add_mode(mode, partial(_same, screen))
        await self.switch_mode("live")  # always there: the others lead to it
        if (first := self._first_mode()) != "live":
            await self.switch_mode(first)
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
            signal.signal(signal.SIGHUP, self._hung_up)
            self.set_interval(VITALS_SECONDS, self._sample)
        if self._source:
            self.desk.feed(self._source, self._trace)

    def _hung_up(self, _number: int, _frame: object) -> None:
        """The terminal is gone. Who writes to it may wait for ever, the loop among them: end all the same."""
        last = threading.Timer(HANGUP_SECONDS, os._exit, (128 + signal.SIGHUP,))
        last.daemon = True
        last.start()
        self.call_later(self.exit)

    def _first_mode(self) -> str:
        if self._terminal is not None:
            return "command"
        return "sessions" if self._starts_empty else "live"

    @property
    def has_command(self) -> bool:
        return self._terminal is not None

    def on_unmount(self) -> None:
        self.desk.close()
        if self._terminal is not None:
            self._terminal.close()

    async def on_event(self, event: Event) -> None:
        """Keys that are typed ahead of a slow screen keep their order.

        Textual hands a key to what has the focus when it arrives, and looks for its meaning later: after one
        that moves the focus, those that came at once with it would be lost.
        """
        if not isinstance(event, events.Key) or event.is_forwarded or isinstance(self.focused, TerminalPane):
            await super().on_event(event)
            return
        line = self.focused if isinstance(self.focused, Input) and event.is_printable else None
        if line is None and (
            await self._check_bindings(event.key, priority=True) or await self._check_bindings(event.key)
        ):
            return
        await super().on_event(event)
        if line is not None:
            taken = asyncio.Event()
            if line.call_later(taken.set):
                await taken.wait()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While somebody types into the command's terminal, every key is the command's."""
        if isinstance(self.focused, TerminalPane) and self.focused.typing:
            return False
        return super().check_action(action, parameters)

    # Screens and sessions

    def show_screen(self, mode: str) -> None:
        if mode in self._screens and mode != self.current_mode:
            self.switch_mode(mode)

    @property
    def in_front(self) -> SessionScreen:
        return self._screens[self.current_mode]

    def open_session(self, trace: Path) -> None:
        """Another session, live or finished, in place of this one."""
        try:
            self.desk.open(trace)
        except (RubiconError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._begin_anew()

    def start_replay(self, start_ns: int = 0) -> None:
        """Play a finished trace from its beginning; from a replay, back to the whole."""
        summary = self.in_front.snapshot.summary
        if self.desk.player is not None and not start_ns:
            if self.desk.trace:
                self.open_session(self.desk.trace)
        elif summary.state is State.LIVE and self.desk.player is None:
            self.notify("the session still runs: there is no replay of it yet", timeout=3)
        elif self.desk.replay(start_ns):
            self._begin_anew()

    def _begin_anew(self) -> None:
        for screen in self._screens.values():
            if screen.is_mounted:
                screen.forget()
        self.show_screen("live")
        self.in_front.tick()

    def show_filtered(self, text: str) -> None:
        """The events that pass, on the live screen."""
        self.in_front.set_filter(text)
        self.show_screen("live")
        self.live.action_focus_pane("events")

    def go_to(self, time_ns: int) -> None:
        """What happened at a moment, on the live screen; a replay goes there."""
        self.desk.leave(self.current_mode, self.desk.filter_text)
        if self.desk.player is not None and not self.desk.seek(time_ns):
            self.start_replay(time_ns)
            return
        self.show_screen("live")
        self.live.show_time(time_ns)

    def action_theme(self, name: str) -> None:
        self.theme = name

    def act(self, name: str, screen: SessionScreen) -> None:
        self.acting.start(name, screen)

    # What threads bring

    def _violated(self, violations: Sequence[Violation]) -> None:
        """Called by the feed's thread."""
        if self.desk.player is None:
            self._notifier.heed(violations, self.desk.model.session)
        if not self._said:
            self._said = True
            self.post_message(self.Violated())

    def _write_to_terminal(self, text: str) -> None:
        """A sequence that draws nothing."""
        if self._driver is not None:
            self._driver.write(text)

    def on_rubicon_app_violated(self) -> None:
        self._said = False
        self.in_front.tick_soon()

    @work(thread=True, exclusive=True, group="vitals")
    def _sample(self) -> None:
        """What the processes take that run, and the engine; of a trace that nobody writes there are none."""
        snapshot = self.in_front.snapshot
        session, running = snapshot.summary.session, []
        if snapshot.summary.state is State.LIVE and self.desk.player is None:
            running = [(row.process.pid, row.process.start_ns) for row in snapshot.processes if not row.exit]
            if session.engine:
                running.insert(0, (session.engine.pid, session.engine.start_ns))
        self.desk.model.set_vitals(self._sampler.sample(running))
        if self.desk.trace is not None:
            asked = os.access(control_path(self.desk.trace), os.W_OK)
            self.desk.model.set_read_only("" if asked else "its control socket is not for you")


def _terminal(descriptor: int) -> CommandTerminal:
    """Its emulator takes a while to load; most screens have no use for it."""
    from tui.terminal import CommandTerminal

    return CommandTerminal(descriptor)


def _same(screen: SessionScreen) -> SessionScreen:
    return screen


def watch(trace: Path | None, terminal_descriptor: int | None = None) -> int:
    """The screen on a trace that grows or is finished, until the user quits. Returns an exit status.

    Without a trace it shows which sessions there are. `terminal_descriptor` is the other end of the command's
    terminal, for `rubicon run --tui`. Raises TraceError when the file is not a trace, UsageError for mistakes
    in the user's settings.
    """
    config = read_config()
    terminal = None if terminal_descriptor is None else _terminal(terminal_descriptor)
    model = Model(known=KnownPeers(default_folder()).read())
    source = IndexedSource(trace, model.kept) if trace else None
    app = RubiconApp(model, source, trace, terminal=terminal, config=config, starts_empty=trace is None)
    # While the feed catches up it never sleeps; with Python's 5 ms a key took more than 0.3 s.
    sys.setswitchinterval(0.001)
    app.run()
    return app.return_code or 0
