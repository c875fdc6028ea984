"""Who keeps processors busy: looked at now and then, and put into the trace.

No call tells of computing, so this is asked of /proc: only of who is watched, and only what is busy is
recorded. Busy is who computes or waits for a processor to do so: on a machine with much else to do it is the
same. What it means is for the rules, which a replay asks again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tracer.targets.processes import cpu_times, thread_demands

PERIOD_SECONDS = 10.0
ASKED_SHARE = 0.01  # of a processor, from which on the threads of a process are looked at
BUSY_SHARE = 0.5  # that these took or waited for, from which on it is told of
THREAD_SHARE = 0.1  # from which on a thread counts

_Key = tuple[int, int]  # pid, start in nanoseconds


class Processors:
    """The thread. `members` are those watched, by pid, each with its scope; `add` puts a record into the
    trace. `look` may be called instead of starting it.
    """

    def __init__(
        self,
        members: Callable[[], Mapping[int, int]],
        add: Callable[[Mapping[str, Any]], object],
        *,
        clock_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._members = members
        self._add = add
        self._clock_ns = clock_ns
        self._before: dict[_Key, int] = {}
        self._threads: dict[_Key, dict[int, int]] = {}
        self._looked_ns = clock_ns()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="processors", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            try:
                self.look()
            except OSError:  # the probes are gone, or nearly so: the end of the session
                return

    def look(self) -> None:
        """What has been taken since the last look; a process that was not looked at before has taken nothing,
        unless it has begun since."""
        now_ns = self._clock_ns()
        span_ns = max(1, now_ns - self._looked_ns)
        before, self._before = self._before, {}
        threads, self._threads = self._threads, {}
        busy = []
        for pid, scope in self._members().items():
            if (times := cpu_times(pid)) is None:
                continue
            start_ns, taken_ns = times
            key = pid, start_ns
            self._before[key] = taken_ns
            is_new = start_ns >= self._looked_ns
            spent_ns = taken_ns - before.get(key, 0 if is_new else taken_ns)
            if spent_ns < ASKED_SHARE * span_ns:
                continue
            now = self._threads[key] = thread_demands(pid)
            known = threads.get(key, {} if is_new else now)
            wanted = [demand_ns - known.get(thread, 0) for thread, demand_ns in now.items()]
            if sum(wanted) >= BUSY_SHARE * span_ns:
                busy.append(
                    {
                        "pid": pid,
                        "start_ns": start_ns,
                        "scope": scope,
                        "percent": round(100 * spent_ns / span_ns),
                        "threads": sum(each >= THREAD_SHARE * span_ns for each in wanted),
                    }
                )
        self._looked_ns = now_ns
        if busy:
            self._add({"type": "cpu", "time_ns": now_ns, "span_ns": span_ns, "busy": busy})
