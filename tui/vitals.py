"""What processes of this machine take of it: /proc, which anybody may read.

A process is asked for by pid and start, so that a trace of another machine, or of before a reboot, shows
nothing instead of somebody else's numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from tracer.context.images import TICK_NS, entity_id
from tui.snapshot import Vitals

MAX_PROCESSES = 500  # asked for at once

Who = tuple[int, int]  # pid, start in nanoseconds since boot

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# proc_pid_stat(5), counted from the state, which follows the name in brackets
_UTIME, _STIME, _STARTED, _RSS = 11, 12, 19, 21


class Sampler:
    """Ask it about once a second: CPU is what was used since it was asked before. One thread at a time."""

    def __init__(self, proc: Path = Path("/proc"), clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._clock = clock
        self._before: dict[str, tuple[float, int]] = {}

    def sample(self, processes: Iterable[Who]) -> Mapping[str, Vitals]:
        """By entity; who is gone or cannot be seen is not in it."""
        found: dict[str, Vitals] = {}
        used: dict[str, tuple[float, int]] = {}
        for (pid, start_ns), _ in zip(processes, range(MAX_PROCESSES), strict=False):
            fields = self._stat(pid)
            if fields is None or fields[_STARTED] != start_ns // TICK_NS:
                continue
            entity, now = entity_id(pid, start_ns), self._clock()
            used[entity] = now, fields[_UTIME] + fields[_STIME]
            found[entity] = Vitals(self._cpu_percent(entity, *used[entity]), fields[_RSS] * _PAGE_BYTES)
        self._before = used
        return MappingProxyType(found)

    def _cpu_percent(self, entity: str, now: float, ticks: int) -> float:
        then, before = self._before.get(entity, (now, ticks))
        return 100 * (ticks - before) / _TICKS_PER_S / (now - then) if now > then else 0.0

    def _stat(self, pid: int) -> list[int] | None:
        try:
            line = (self._proc / str(pid) / "stat").read_bytes()
            return [0, *map(int, line.rpartition(b")")[2].split()[1:])]
        except (OSError, ValueError):
            return None
