"""A session may last for days: what the screen keeps of it is bounded."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import longtrace
from tracer.events import Event, Process
from tui.feed import TraceSource
from tui.logs import ViolationGroup
from tui.model import Model

EVENTS = 5_000_000
CEILING_MIB = 220
WATCHED = (Event, Process, ViolationGroup, dict, list, tuple)

# Its own process, so that the peak is that of a screen and of nothing else.
READ_ALL = """
import resource, sys
from pathlib import Path
from tui.feed import TraceSource
from tui.model import Model
model = Model()
for batch in TraceSource(Path(sys.argv[1])):
    model.add(batch)
    if batch.missing is not None:  # after each block, as often as a screen would look
        model.snapshot(), model.peers(), model.files(), model.timeline()
print(model.snapshot().summary.events, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def kept_after(trace: Path) -> Counter[str]:
    """How many things of each kind there are when a trace was read."""
    model = Model(max_events=500, max_groups=50)
    before = alive()
    for batch in TraceSource(trace):
        model.add(batch)
    snapshot, peers, files, timeline = model.snapshot(), model.peers(), model.files(), model.timeline()
    assert snapshot.events
    assert peers
    assert files
    assert timeline.bins
    return alive() - before


def alive() -> Counter[str]:
    gc.collect()
    return Counter(kind.__name__ for each in gc.get_objects() for kind in WATCHED if type(each) is kind)


def test_half_as_many_events_more_take_no_more_room(tmp_path: Path) -> None:
    """Both are long enough to fill what is kept of the newest."""
    half, whole = (tmp_path / name for name in ("half", "whole"))
    longtrace.write_long_trace(half, 22_000)
    longtrace.write_long_trace(whole, 33_000)
    first, second = kept_after(half), kept_after(whole)
    assert first["Event"] > 1_000
    for kind in WATCHED:
        assert second[kind.__name__] <= first[kind.__name__] * 1.2 + 200, (kind, first, second)


@pytest.mark.skipif("RUBICON_TEST_SOAK" not in os.environ, reason="minutes: RUBICON_TEST_SOAK=1")
@pytest.mark.timeout(3_600)
def test_five_million_events_in_bounded_memory(tmp_path: Path) -> None:
    longtrace.write_long_trace(tmp_path / "t", EVENTS)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, tmp_path / "t"], capture_output=True, text=True, check=True
    )
    events, peak_mib = map(int, done.stdout.split())
    assert events == EVENTS + 1
    assert peak_mib < CEILING_MIB
