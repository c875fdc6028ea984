"""Screens are compared as drawn in UTC, whatever the machine's time zone is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from textual import active_app


async def quiet(*_seconds: float) -> None:
    """Until nothing is left to run but timers, and what was changed is laid out.

    Textual's own way is to wait until the process takes no CPU for a while: slow, and the slower the busier
    the machine is.
    """
    for _ in range(2):
        await _nothing_ready()
        with suppress(LookupError):
            active_app.get().screen._on_timer_update()
    await _nothing_ready()


async def _nothing_ready() -> None:
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    while ready:  # noqa: ASYNC110  the loop itself is what is waited for
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def pressed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.base.TICK_SECONDS", 1.0)  # a key draws at once
    monkeypatch.setattr("textual.app.wait_for_idle", quiet)
    monkeypatch.setattr("textual.pilot.wait_for_idle", quiet)


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its sessions nor its wish for no colours."""
    monkeypatch.setenv("RUBICON_TRACES", "/nonexistent/traces")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()
