"""Who keeps processors busy: real processes and threads, looked at without waiting for the clock."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tracer.session.processors import Processors

BURNS = """
import hashlib, sys, threading
data = bytes(1 << 20)
def burn():
    while True:
        hashlib.sha256(data).digest()
for _ in range(int(sys.argv[1])):
    threading.Thread(target=burn, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def burning(threads: int) -> Iterator[int]:
    command = [sys.executable, "-c", BURNS, str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.kill()


def taken_ns(pid: int) -> int:
    from tracer.targets.processes import cpu_times

    found = cpu_times(pid)
    assert found is not None
    return found[1]


def until_taken(pid: int, more_ns: int) -> None:
    """However busy the machine is."""
    before, waiting = taken_ns(pid), threading.Event()
    while taken_ns(pid) < before + more_ns:
        waiting.wait(0.05)


class Clock:
    """A clock that goes as fast as the process that is looked at computes."""

    now_ns = 1 << 62  # all began before

    def __call__(self) -> int:
        return self.now_ns


def test_who_is_busy_is_told_with_its_threads() -> None:
    told: list[Any] = []
    with burning(3) as busy, burning(0) as idle:
        clock = Clock()
        processors = Processors(lambda: {busy: 1, idle: 2, 999_999_999: 3}, told.append, clock_ns=clock)
        processors.look()
        assert told == [], "what they took before the watch is not known to be now"
        for _ in range(3):  # its threads are looked at from the second on
            until_taken(busy, 600_000_000)
            clock.now_ns += 500_000_000
            processors.look()
    assert [[row["pid"] for row in record["busy"]] for record in told] == [[busy], [busy]]
    (row,) = told[1]["busy"]
    assert row["percent"] >= 120
    assert row["threads"] == 3
    assert (row["scope"], told[1]["span_ns"]) == (1, 500_000_000)


def test_one_that_began_since_the_last_look_is_told_of_at_once() -> None:
    told: list[Any] = []
    clock = Clock()
    clock.now_ns = 0
    processors = Processors(lambda: members, told.append, clock_ns=clock)
    with burning(1) as busy:
        members = {busy: 1}
        until_taken(busy, 200_000_000)
        clock.now_ns = 200_000_000
        processors.look()
    assert [row["pid"] for row in told[0]["busy"]] == [busy]


def test_who_computes_now_and_then_is_not_busy() -> None:
    told: list[Any] = []
    with burning(1) as busy:
        clock = Clock()
        processors = Processors(lambda: {busy: 1}, told.append, clock_ns=clock)
        processors.look()
        until_taken(busy, 100_000_000)
        clock.now_ns += 60_000_000_000
        processors.look()
    assert told == []
