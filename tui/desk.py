"""What all screens have in common: one session, its model, where it comes from, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracer.errors import TraceError
from tracer.events import Violation
from tracer.trace import default_folder
from tracer.where import Where, WhereError
from tui.feed import Feed, Source
from tui.indexed import Moments
from tui.known import KnownPeers
from tui.logs import Elsewhere
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

    `open_source` makes the source of a trace for a model, `open_recorded` one that has every event from the
    first, to be played; `on_violations` is called by the feed's thread.
    """

    def __init__(
        self,
        model: Model,
        *,
        open_source: Callable[[Path, Model], Source] | None = None,
        open_recorded: Callable[[Path], Source] | None = None,
        on_violations: Callable[[Sequence[Violation]], object] = lambda _: None,
    ) -> None:
        self.model = model
        self.trace: Path | None = None
        self.player: Player | None = None
        self.moments: Moments | None = None
        self.mistake = ""  # in the filter that is being typed
        self._known = KnownPeers(default_folder())
        self._open_source = open_source
        self._open_recorded = open_recorded
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
        if self._open_source is not None:
            model = Model(known=self._known.read())
            self._begin(trace, model, self._open_source(trace, model))

    def replay(self, start_ns: int = 0) -> bool:
        """Play this trace from its beginning, or from a moment; false when there is no trace to play."""
        if self.trace is None or self._open_recorded is None:
            return False
        player = Player(self._open_recorded(self.trace), start_ns=start_ns)
        self._begin(self.trace, Model(known=self._known.read()), player)
        self.player = player
        return True

    def seek(self, time_ns: int) -> bool:
        """Forward in the replay; false when that moment is behind, or nothing is played."""
        if self.player is None or time_ns < self.player.state.now_ns:
            return False
        self.player.seek(time_ns)
        return True

    def _begin(self, trace: Path, model: Model, source: Source) -> None:
        self.close()
        model.set_filter(self.model.filter)  # as the filter line says
        self.model, self.player, self.moments = model, None, None
        self.feed(source, trace)

    # Any moment of it

    def fetch(self, time_ns: int) -> Elsewhere:
        """The events around a moment of a finished trace; takes up to a second or two. Raises TraceError."""
        return self._all_moments().around(time_ns)

    def next_broken(self, sequence: int, direction: int) -> int | None:
        """When the next rule was broken after that event, or before it. Raises TraceError."""
        found = self._all_moments().next_broken(sequence, direction)
        return None if found is None else found[1]

    def _all_moments(self) -> Moments:
        if self.trace is None or self.player is not None:
            raise TraceError("there is no trace to look into")
        if self.moments is None:
            self.moments = Moments(self.trace)
        return self.moments

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
