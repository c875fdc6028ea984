"""The command palette: everything that can be done, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

if TYPE_CHECKING:
    from tui.app import RubiconApp

from tui.themes import THEMES

# Name, what it does, and the action (of the screen in front, or of the app).
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("Live", "processes, violations and events as they come (1)", "screen.show('live')"),
    ("Network", "whom the session talked to (2)", "screen.show('network')"),
    ("Files", "what was written (3)", "screen.show('files')"),
    ("Rules", "what is judged by (4)", "screen.show('rules')"),
    ("Timeline", "when it happened, and the way to any moment (5)", "screen.show('timeline')"),
    ("Sessions", "live and finished ones (6)", "screen.show('sessions')"),
    ("Filter", "show only what passes (/)", "screen.filter"),
    ("Only this", "filter by a value of what is selected (f)", "screen.filter_by(False)"),
    ("Not this", "leave out a value of what is selected (x)", "screen.filter_by(True)"),
    ("Next marked line", "violation, or what broke a rule (n)", "screen.jump(1)"),
    ("Previous marked line", "violation, or what broke a rule (N)", "screen.jump(-1)"),
    ("Its moment", "what happened around what is selected (m)", "screen.moment"),
    ("Copy", "the selected line (y)", "screen.copy"),
    ("Zoom", "one pane on the whole screen, and back (z)", "screen.zoom"),
    ("Back", "to the filter or the screen before (backspace)", "screen.go_back"),
    ("Acknowledge", "the selected violation is seen (a)", "screen.acknowledge"),
    ("Acknowledge all", "all violations that are shown (A)", "screen.acknowledge_all"),
    ("Pause or follow", "the stream of events, or the replay (space)", "screen.pause"),
    ("Freeze", "hold all that is watched still (F)", "screen.act('freeze')"),
    ("Thaw", "let it go on (T)", "screen.act('thaw')"),
    ("Kill process", "the selected one (K)", "screen.act('kill_process')"),
    ("Kill all", "everything that is watched (X)", "screen.act('kill')"),
    ("Deny this peer", "refuse new connections there (D)", "screen.act('deny')"),
    ("Add to policy", "allow what broke it from now on (P)", "screen.act('allow')"),
    ("Export selection", "what passes the filter, as JSON lines (E)", "screen.act('export')"),
    ("Write report", "of the session, as a page (W)", "screen.act('report')"),
    ("Replay", "a finished trace from its beginning, and back (R)", "screen.replay"),
    ("Replay: step", "one event (.)", "screen.step"),
    ("Replay: next violation", "as fast as it can (>)", "screen.next_violation"),
    ("Replay: faster", "up to 64 times (])", "screen.faster(1)"),
    ("Replay: slower", "down to half ([)", "screen.faster(-1)"),
    ("Help", "all keys (?)", "screen.help"),
    ("Quit", "what is watched goes on (q)", "app.quit"),
    *((f"Theme {theme.name}", "colours", f"app.theme('{theme.name}')") for theme in THEMES),
)


class RubiconCommands(Provider):
    @property
    def _app(self) -> RubiconApp:
        return cast("RubiconApp", self.app)

    async def discover(self) -> Hits:
        for name, about, action in self._possible():
            yield DiscoveryHit(name, self._doing(action), help=about)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, action in self._possible():
            score = matcher.match(f"{name} {about}")
            if score > 0:
                yield Hit(score, matcher.highlight(name), self._doing(action), help=about)

    def _possible(self) -> Iterator[tuple[str, str, str]]:
        """Without what only another screen can do."""
        screen: Screen[object] = self.screen
        for name, about, action in COMMANDS:
            target, _dot, called = action.partition(".")
            method = f"action_{called.partition('(')[0]}"
            if hasattr(screen if target == "screen" else self._app, method):
                yield name, about, action

    def _doing(self, action: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            await self._app.run_action(action, default_namespace=self._app.screen)

        return do
