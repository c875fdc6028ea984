"""emit.h: what cannot be handed over is counted, exactly; and one ring cannot push out the other."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Triggers, new_source
from tests.kernel.watching import SECONDS_MAX, Gated, Watch
from tracer.capture import Wanted
from tracer.capture.probes import ProbeSource
from tracer.records import Kind

PAGE = mmap.PAGESIZE
MANY = 1 << 20

WRITE_ALL = "for i in range(499): write(f'f{i}', b'x')"


@pytest.fixture
def tiny(triggers: Triggers) -> Iterator[Callable[[int, int], Watch]]:
    """A watch with rings of those sizes."""
    made: list[ProbeSource] = []

    def make(critical: int, bulk: int) -> Watch:
        made.append(new_source(ring_bytes=(critical, bulk)))
        return Watch(made[-1], triggers)

    try:
        yield make
    finally:
        for each in made:
            each.close()


def test_a_full_bulk_ring_loses_files_only(tiny: Callable[[int, int], Watch], here: Path) -> None:
    watch = tiny(MANY, PAGE)
    run = watch.python(WRITE_ALL, cwd=here, lossy=True)
    losses = watch.source.losses()
    assert set(losses) == {"RB_OPEN", "RB_CLOSE"}
    assert len(run.opens) + losses["RB_OPEN"] == 499
    assert len(run.closes) + losses["RB_CLOSE"] == 499
    assert [each.kind for each in run.acts if each.kind not in (Kind.OPEN, Kind.CLOSE)] == []
    assert 0 < len(run.acts) < 2 * 499
    drained = watch.source.drain()
    assert (drained.lost_critical, drained.lost_bulk) == (0, sum(losses.values()))


def test_a_full_critical_ring_loses_no_file(tiny: Callable[[int, int], Watch], here: Path) -> None:
    watch = tiny(PAGE, 1 << 20)
    run = watch.python(
        WRITE_ALL + "\nfor i in range(97): os.spawnv(os.P_WAIT, '/bin/true', ['true'])", cwd=here, lossy=True
    )
    losses = watch.source.losses()
    assert (len(run.opens), len(run.closes)) == (499, 499)
    assert len(run.forks) + losses["RB_FORK"] == 97
    assert len(run.execs) + 1 + losses["RB_EXEC"] == 98
    assert len(run.exits) + losses["RB_EXIT"] == 98
    drained = watch.source.drain()
    assert (drained.lost_critical, drained.lost_bulk) == (sum(losses.values()), 0)


def test_a_record_that_fits_no_ring(tiny: Callable[[int, int], Watch]) -> None:
    """Arguments of 100 KiB do not fit into a page, however empty the ring is."""
    watch = tiny(PAGE, PAGE)
    run = watch.run("/bin/true", "x" * 102_400, lossy=True)
    assert [each.kind for each in run.records] == [Kind.EXIT]
    assert watch.source.losses() == {"RB_EXEC": 1}


def test_counts_go_on_after_a_loss(tiny: Callable[[int, int], Watch], here: Path) -> None:
    """What fits after the ring was emptied is recorded again."""
    watch = tiny(MANY, PAGE)
    watch.python(WRITE_ALL, cwd=here, lossy=True)
    before = watch.source.losses()
    run = watch.python("write('last', b'12345')", cwd=here, lossy=True)
    assert [(each.path, each.bytes) for each in run.closes] == [(f"{here}/last", 5)]
    assert watch.source.losses() == before


def test_no_losses_without_pressure(watch: Watch, here: Path) -> None:
    before = watch.source.losses()
    run = watch.python(WRITE_ALL, cwd=here)
    assert len(run.acts) == 2 * 499
    assert watch.source.losses() == before


def test_the_reader_is_woken(watch: Watch, triggers: Triggers) -> None:
    assert not watch.source.wait(0)
    gated = Gated(triggers("gate"), [triggers("leaf"), "3"])
    try:
        watch.source.add_process(Wanted(gated.pid, silent=True), watch.scope)
        gated.go()
    finally:
        gated.end()
    assert watch.source.wait(SECONDS_MAX)
    assert [each.kind for each in watch.records()] == [Kind.EXEC, Kind.EXIT]
    assert not watch.source.wait(0)


def test_nothing_is_recorded_after_detach(tiny: Callable[[int, int], Watch], triggers: Triggers) -> None:
    """What was recorded before can still be drained."""
    watch = tiny(MANY, MANY)
    gated = Gated(triggers("gate"), [triggers("leaf"), "3"])
    try:
        watch.source.add_process(Wanted(gated.pid), watch.scope)
        watch.source.detach()
        gated.go()
    finally:
        gated.end()
    assert [each.kind for each in watch.records()] == [Kind.PROCESS]
