"""How the screen bears many events. For scripts/bench screen: a Markdown table on stdout.

A made-up trace (`tests.longtrace`) is decoded and shown as a live one is, at a given rate, by the real
application without a terminal, while keys are pressed. All is in CPU time, but how long a key takes.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tests import longtrace
from tui.app import RubiconApp
from tui.feed import Batch, TraceSource
from tui.model import Model

SIZE = (160, 48)
KEY_EACH_SECONDS = 0.25


class Paced:
    """A trace handed out at a rate, and the CPU time that this takes its thread."""

    def __init__(self, path: Path, events_per_s: int) -> None:
        self.events, self.cpu_seconds, self.late_seconds = 0, 0.0, 0.0
        self.done = threading.Event()
        self._source, self._rate = TraceSource(path), events_per_s

    def stop(self) -> None:
        self._source.stop()

    def __iter__(self) -> Iterator[Batch]:
        begun, cpu = time.monotonic(), time.thread_time()
        for batch in self._source:
            yield batch
            self.events += len(batch.events)
            ahead = self.events / self._rate - (time.monotonic() - begun)
            self.late_seconds = max(self.late_seconds, -ahead)
            self.cpu_seconds = time.thread_time() - cpu
            if ahead > 0:
                time.sleep(ahead)
        self.done.set()


def main() -> int:
    args = parse_args()
    with tempfile.TemporaryDirectory(prefix="rubicon-bench-") as folder:
        path = Path(folder) / "t.trace"
        longtrace.write_long_trace(path, args.rate * args.seconds)
        asyncio.run(show(path, args.rate))
    return 0


async def show(path: Path, rate: int) -> None:
    source = Paced(path, rate)
    app = RubiconApp(Model(), source)
    draws: list[float] = []
    keys: list[float] = []
    draw_now = app.live.tick

    def tick() -> None:
        cpu = time.thread_time()
        draw_now()
        draws.append(time.thread_time() - cpu)

    app.live.tick = tick  # type: ignore[method-assign]
    sys.setswitchinterval(0.001)
    begun = time.monotonic()
    async with app.run_test(size=SIZE) as pilot:
        main_cpu = time.thread_time()
        await pilot.press("e", "space")
        while not source.done.is_set():
            pressed = time.monotonic()
            before = app.live.query_one("#events").cursor  # type: ignore[attr-defined]
            app.simulate_key("up")
            while app.live.query_one("#events").cursor == before and before:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            keys.append(time.monotonic() - pressed)
            await asyncio.sleep(KEY_EACH_SECONDS)
        main_cpu = time.thread_time() - main_cpu
    tell(source, draws, keys, main_cpu, time.monotonic() - begun)


def tell(source: Paced, draws: list[float], keys: list[float], main_cpu: float, seconds: float) -> None:
    rows = (
        ("events, decoded and aggregated", f"{source.events:,}"),
        ("a second of CPU time", f"{source.events / source.cpu_seconds:,.0f} events"),
        ("behind the rate, at most", f"{source.late_seconds:.2f} s"),
        ("snapshots drawn a second", f"{len(draws) / seconds:.1f}"),
        ("CPU time of one, median", f"{statistics.median(draws) * 1e3:.1f} ms"),
        ("CPU time of the screen's thread", f"{main_cpu / seconds:.0%} of a core"),
        ("from a key to the selection moved, median", f"{statistics.median(keys) * 1e3:.0f} ms"),
        ("the same, the longest", f"{max(keys) * 1e3:.0f} ms"),
        ("peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"),
    )
    print(f"| the screen at {source._rate:,} events a second, {SIZE[0]}x{SIZE[1]} | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench screen", description=__doc__)
    parser.add_argument("--rate", metavar="EVENTS", type=int, default=20_000, help="a second")
    parser.add_argument("--seconds", metavar="N", type=int, default=20, help="of events")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
