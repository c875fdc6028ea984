"""The screen as an SVG picture: for the README and for reports, made by the program itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tui.app import RubiconApp
from tui.feed import Source, TraceSource
from tui.model import Model

DEFAULT_SIZE = (140, 40)


def save_picture(
    trace: Path, svg_path: Path, size: tuple[int, int] = DEFAULT_SIZE, screen: str = "live"
) -> None:
    """What `rubicon watch` shows of the trace as it is now, `size` in columns and lines.

    Raises TraceError when the file is not a trace.
    """
    svg_path.write_text(draw(TraceSource(trace, follow=False), size, screen), encoding="utf-8")


def draw(source: Source, size: tuple[int, int] = DEFAULT_SIZE, screen: str = "live") -> str:
    """The SVG of a screen after all that `source` has."""
    model = Model()
    for batch in source:
        model.add(batch)
    return asyncio.run(_screenshot(model, size, screen))


async def _screenshot(model: Model, size: tuple[int, int], screen: str) -> str:
    app = RubiconApp(model)
    async with app.run_test(size=size) as pilot:
        app.show_screen(screen)
        await pilot.pause()
        await app.workers.wait_for_complete()  # the sessions are read by a thread
        app.in_front.tick()
        await pilot.pause()
        svg = app.export_screenshot(title="rubicon watch", simplify=True)
    return svg.replace("<text ", '<text xml:space="preserve" ')  # some viewers drop blanks without it
