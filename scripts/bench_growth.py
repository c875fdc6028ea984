"""How what it costs grows. For scripts/bench growth: a Markdown table on stdout, and a picture.

Each figure is taken with one thing growing and the rest as it was: rules that are loaded, processes that are
watched, sessions that run at once, minutes that pass.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import psutil
from bench_rules import events_of, recorded

from tracer.rules import Given, load_any, of_this_machine

HERE = Path(__file__).resolve().parent
RUBICON = str(HERE / "rubicon")
RULES = (10, 100, 1_000, 10_000)
PROCESSES = (1, 10, 100, 1_000)
SESSIONS = (1, 2, 4, 8)
EVENTS_A_SECOND = 10_000
MEBIBYTE = 2**20


@dataclass(slots=True)
class Curve:
    """`points` are of how many, and what it cost."""

    title: str
    grows: str
    costs: str
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, number: float, cost: float) -> None:
        self.points.append((number, cost))
        print(f"bench: {self.title}: {number:g} {self.grows}, {cost:,.4g} {self.costs}", file=sys.stderr)


def main() -> int:
    args = parse_args()
    if os.geteuid() != 0:
        print("bench: needs root, for the probes: sudo scripts/bench growth", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="rubicon-bench-") as folder:
        curves = [
            *rules(Path(folder)),
            *processes(Path(folder)),
            *sessions(Path(folder)),
            minutes(Path(folder), args.minutes),
        ]
    if args.plot:
        plot(curves, args.plot)
    print("| what | grows to | costs |\n|---|---|---|")
    for curve in curves:
        for number, cost in curve.points:
            print(f"| {curve.title} | {number:,.4g} {curve.grows} | {cost:,.4g} {curve.costs} |")
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench growth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--plot", metavar="FILE", type=Path, help="a picture (PNG), a curve a panel")
    parser.add_argument("--minutes", metavar="N", type=float, default=2, help="of a steady load; default 2")
    return parser.parse_args()


# ---- what grows


def rules(folder: Path) -> list[Curve]:
    """Rules of the usual kind, of which none is broken, on the events of an agent's work."""
    events = events_of(recorded(folder))
    judging = Curve("judging an event", "rules", "us of CPU")
    loading = Curve("loading rules", "rules", "s of CPU")
    for number in RULES:
        made = folder / f"rules{number}"
        made.mkdir()
        for each in range(number):
            (made / f"{each}.yml").write_text(rule(each))
        begin = time.process_time()
        judge = load_any([str(made)], packs=False, given=Given(of_this_machine())).judge
        loading.add(number, time.process_time() - begin)
        begin = time.process_time()
        for event in events:
            judge(event)
        judging.add(number, (time.process_time() - begin) * 1e6 / len(events))
    return [judging, loading]


def rule(number: int) -> str:
    category, field_name = (("process_creation", "CommandLine"), ("file_event", "TargetFilename"))[number % 2]
    return json.dumps(
        {
            "title": f"Made rule {number}",
            "id": f"00000000-0000-4000-8000-{number:012}",
            "logsource": {"product": "linux", "category": category},
            "detection": {
                "one": {f"{field_name}|contains": [f"unlikely{number}", f"--never-{number}"]},
                "two": {"Image|endswith": f"/program{number}"},
                "condition": "one or two",
            },
            "level": "low",
        }
    )


def processes(folder: Path) -> list[Curve]:
    attaching = Curve("attaching to a tree", "processes", "s until it watches")
    memory = Curve("memory of the engine", "processes", "MiB")
    for number in PROCESSES:
        with crowd(number) as pid, session(folder, [f"pid:{pid}"]) as (engine, seconds):
            attaching.add(number, seconds)
            memory.add(number, engine.memory_info().rss / MEBIBYTE)
    return [attaching, memory]


def sessions(folder: Path) -> list[Curve]:
    """Each on an idle process of its own, beside a process that nobody watches."""
    tax = Curve("a read by an unwatched process", "sessions", "ns of CPU")
    memory = Curve("memory of all engines", "sessions", "MiB")
    program = folder / "workloads"
    subprocess.run(["gcc", "-O2", "-o", program, HERE / "bench_workloads.c"], check=True)
    for number in (0, *SESSIONS):
        with ExitStack() as stack:
            pids = [stack.enter_context(crowd(1)) for _ in range(number)]
            engines = [stack.enter_context(session(folder, [f"pid:{pid}"]))[0] for pid in pids]
            said = subprocess.run(
                [program, "read", "200000"], capture_output=True, text=True, check=True
            ).stdout
            tax.add(number, min(int(line.split()[1]) for line in said.splitlines()) / 200_000)
            if number:
                memory.add(number, sum(engine.memory_info().rss for engine in engines) / MEBIBYTE)
    return [tax, memory]


def minutes(folder: Path, total: float) -> Curve:
    """A load of so many events a second: a process that opens, writes and closes a file at that rate."""
    curve = Curve(f"memory of the engine at {EVENTS_A_SECOND:,} events a second", "minutes", "MiB")
    code = (
        "import os, sys, time\nnext_at = time.monotonic()\nprint(flush=True)\nwhile True:\n"
        "    for _ in range(100):\n        os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT))\n"
        f"    next_at += 200 / {EVENTS_A_SECOND}\n    time.sleep(max(0, next_at - time.monotonic()))\n"
    )
    command = [sys.executable, "-I", "-c", code, str(folder / "written")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
        try:
            with session(folder, [f"pid:{load.pid}"]) as (engine, _seconds):
                begin = time.monotonic()
                while (passed := (time.monotonic() - begin) / 60) < total:
                    curve.add(round(passed, 2), engine.memory_info().rss / MEBIBYTE)
                    time.sleep(total * 60 / 20)
        finally:
            load.kill()
    return curve


# ---- what is started


@contextmanager
def crowd(number: int) -> Iterator[int]:
    """So many idle processes: one, and its children."""
    code = (
        "import os, signal, sys\n"
        "for _ in range(int(sys.argv[1]) - 1):\n    if not os.fork():\n        signal.pause()\n"
        "print(flush=True)\nsys.stdin.read()\nos.killpg(0, signal.SIGKILL)\n"
    )
    command = [sys.executable, "-I", "-c", code, str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield process.pid


@contextmanager
def session(folder: Path, targets: Sequence[str]) -> Iterator[tuple[psutil.Process, float]]:
    """The engine of a session on them, and how long it took to watch."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [RUBICON, "attach", "--no-tui", "--trace", f"{place}/trace", *targets]
        begin = time.monotonic()
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            while "watching" not in (line := process.stderr.readline()):
                if not line:
                    raise RuntimeError(f"{command} ended")
            yield psutil.Process(process.pid), time.monotonic() - begin
            process.send_signal(signal.SIGINT)
            process.stderr.read()


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Every curve from 0, so that what is flat looks flat."""
    import matplotlib.pyplot as plt  # type: ignore[import-not-found]

    plt.switch_backend("Agg")
    columns = 2
    rows = -(-len(curves) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(10, 2.6 * rows), layout="constrained")
    for panel, curve in zip(panels.flat, curves, strict=False):
        numbers, costs = zip(*curve.points, strict=True)
        panel.plot(numbers, costs, marker="o")
        panel.set_ylim(0, max(costs) * 1.15)
        if max(numbers) >= 100:
            panel.set_xscale("log")
        panel.set(title=curve.title, xlabel=curve.grows, ylabel=curve.costs)
        panel.grid(alpha=0.3)
    for panel in panels.flat[len(curves) :]:
        panel.set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
