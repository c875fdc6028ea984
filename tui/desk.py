"""What all screens have in common: one session, its model, where it comes from, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracer.events import Violation
from tracer.trace import default_folder
from tracer.where import Where, WhereError
from tui.feed import Feed, Source
from tui.known import KnownPeers
from tui.model import Model
from tui.replay import Player

MAX_TRAIL = 50


@dataclass(frozen=True, slots=True)
class Step:
    """Where somebody was: a screen, and the filter."""

    mode: str
    filter: str


class Desk:
    """`trace` is None for a model that is filled by hand, in tests.

    `open_source` makes the source of a trace; `on_violations` is called by the feed's thread.
    """

    def __init__(
        self,
        model: Model,
        *,
        open_source: Callable[[Path], Source] | None = None,
        on_violations: Callable[[Sequence[Violation]], object] = lambda _: None,
    ) -> None:
        self.model = model
        self.trace: Path | None = None
        self.player: Player | None = None
        self.mistake = ""  # in the filter that is being typed
        self._known = KnownPeers(default_folder())
        self._open_source = open_source
        self._on_violations = on_violations
        self._feed: Feed | None = None
        self._trail: list[Step] = []

    # The session

    def feed(self, source: Source, trace: Path | None = None) -> None:
        """Fill the model from `source`."""
        self.trace = trace
        self._feed = Feed(source, self.model.add, self._on_violations)
        self._feed.start()

    def open(self, trace: Path) -> None:
        """Another session in place of this one. Raises TraceError when it is none."""
        self._begin(trace, None)

    def replay(self, start_ns: int = 0) -> bool:
        """Play this trace from its beginning, or from a moment; false when there is no trace to play."""
        if self.trace is None:
            return False
        self._begin(self.trace, start_ns)
        return True

    def seek(self, time_ns: int) -> bool:
        """Forward in the replay; false when that moment is behind, or nothing is played."""
        if self.player is None or time_ns < self.player.state.now_ns:
            return False
        self.player.seek(time_ns)
        return True

    def _begin(self, trace: Path, replay_from_ns: int | None) -> None:
        if self._open_source is None:
            return
        source = self._open_source(trace)
        self.close()
        chosen = self.model.filter
        self.model = Model(known=self._known.read())
        self.model.set_filter(chosen)  # as the filter line says
        self.player = None
        if replay_from_ns is not None:
            self.player = Player(source, start_ns=replay_from_ns)
        self.feed(self.player or source, trace)

    def close(self) -> None:
        if self._feed:
            self._feed.stop()
            self._feed = None
            self._known.remember(self.model.session.id, self.model.peer_names())

    # The filter, and the way back

    @property
    def filter_text(self) -> str:
        return self.model.filter.text

    def preview(self, text: str) -> bool:
        """Filter while it is typed: a mistake leaves what was shown before, and is told in `mistake`."""
        try:
            where = Where(text)
        except WhereError as error:
            self.mistake = str(error)
            return False
        self.mistake = ""
        self.model.set_filter(where)
        return True

    def leave(self, mode: str, filter_text: str) -> None:
        """Remember where somebody was, before they go elsewhere or filter otherwise."""
        step = Step(mode, filter_text)
        if not self._trail or self._trail[-1] != step:
            self._trail.append(step)
            del self._trail[:-MAX_TRAIL]

    def back(self, mode: str) -> Step | None:
        """Where they were before, None at the beginning."""
        here = Step(mode, self.filter_text)
        while self._trail:
            step = self._trail.pop()
            if step != here:
                return step
        return None
