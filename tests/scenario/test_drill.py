"""The demo, for somebody who has to find out who opened the tunnel, why that is wrong, what it wrote; and has
to stop it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tmux import Tmux

DEMO = Path(__file__).parents[2] / "scripts/demo"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path.resolve(), (160, 48))
    yield terminal
    terminal.close()


@pytest.mark.timeout(300)
def test_the_keys_of_the_readme(terminal: Tmux, tmp_path: Path) -> None:
    """As in README.md, "The screen": 13 keys, the letters of the filter among them."""
    trace = tmp_path / "demo.trace"
    environment = {**os.environ, "RUBICON_TRACES": str(tmp_path / "traces")}
    terminal.run([str(DEMO), "--trace", str(trace)], tmp_path, environment)
    terminal.shows("● live", "kworker", "Shell with a network connection")
    terminal.press("/", *"tunnel", "Enter")
    terminal.shows("violations · filtered", "Reverse SSH tunnel by a program")
    terminal.press("Down")
    # Who and why: one sentence, the rule, the lineage.
    terminal.shows("opened a reverse tunnel: ssh", "Lineage", "why", "T1572")
    terminal.press("p", "n")
    # What it wrote, and whom it talked to.
    terminal.shows("ssh[", "0 file", "203.0.113.66:22")
    terminal.press("F")
    terminal.shows("freeze all that is watched")
    terminal.press("y")
    terminal.shows("! froze all that is watched")
    terminal.press("q")
    terminal.shows("All that was expected and nothing else; nothing lost, and the trace is intact.")
    assert terminal.status() == 0
