"""The running app with the story of ROME in it, its parts at hand, and a session that says yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from textual.pilot import Pilot
from textual.widget import Widget

from tests.tui import scene
from tracer.control import Reply
from tracer.events import Event
from tui.acting import Acting
from tui.acts import Session
from tui.app import RubiconApp
from tui.model import Model
from tui.screens.live import LiveScreen
from tui.snapshot import State
from tui.terminal import CommandTerminal
from tui.widgets.events import EventList
from tui.widgets.process_tree import ProcessTree
from tui.widgets.violations import ViolationList

NARROW, WIDE = (80, 24), (200, 50)

W = TypeVar("W", bound=Widget)


class Driver:
    """`asked` is what the session was asked for."""

    def __init__(self, app: RubiconApp, pilot: Pilot[None], story: scene.Story) -> None:
        self.app, self.press, self.pilot, self.story = app, pilot.press, pilot, story
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._notes: list[str] = []
        notify = app.notify

        def heard(message: str, **how: Any) -> None:
            self._notes.append(message)
            notify(message, **how)

        app.notify = heard  # type: ignore[method-assign,assignment]
        app.acting = Acting(app, lambda trace: Session(trace, self._ask))

    def _ask(self, _trace: Path, command: str, **arguments: Any) -> Reply:
        self.asked.append((command, arguments))
        data = {"path": "/p.yaml", "diff": ["+ line"]} if command == "allow" else {}
        return Reply(ok=True, message=f"did {command}", data=data)

    @property
    def model(self) -> Model:
        return self.app.desk.model

    @property
    def live(self) -> LiveScreen:
        return self.app.live

    @property
    def events(self) -> EventList:
        return self.live.query_one(EventList)

    @property
    def tree(self) -> ProcessTree:
        return self.live.query_one(ProcessTree)

    @property
    def violations(self) -> ViolationList:
        return self.live.query_one(ViolationList)

    def part(self, kind: type[W]) -> W:
        """Of the screen in front."""
        return self.app.screen.query_one(kind)

    @property
    def rows(self) -> list[Event]:
        """The events of the stream."""
        return [row for row in self.events.rows if isinstance(row, Event)]

    @property
    def filter(self) -> str:
        return self.app.desk.filter_text

    @property
    def focused(self) -> str | None:
        return self.app.focused.id if self.app.focused else None

    def said(self) -> str:
        """All notes so far: on the screen they stay for seconds only."""
        return "\n".join(self._notes)

    async def tick(self) -> None:
        self.app.in_front.tick()
        await self.pilot.pause()

    async def settle(self) -> None:
        """Until all that threads were asked to do is done."""
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()


@asynccontextmanager
async def driven(
    size: tuple[int, int] = NARROW, *, state: State = State.LIVE, terminal: CommandTerminal | None = None
) -> AsyncIterator[Driver]:
    story = scene.rome()
    app = RubiconApp(scene.model_of(story, state=state), terminal=terminal)
    app.desk.trace = Path("/nonexistent/x.trace")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Driver(app, pilot, story)


async def until(done: Callable[[], object]) -> None:
    """What a thread brings, or a timer of the app."""
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110  it is the screen's own ticks that are waited for
            await asyncio.sleep(0.01)
