"""How fast events are judged. For scripts/bench rules: a Markdown table on stdout, progress on stderr.

The events are those of a real trace: of the agent's work of scripts/bench, recorded here, or one that is
given. They are decoded first and held in memory; what is measured is the judging alone, in CPU time of one
thread, all of them again and again with rules loaded afresh, so that nothing is known of the round before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tracer.events import Event
from tracer.pipeline import open_trace
from tracer.rules import Given, RuleSet, load_any, of_this_machine
from tracer.trace import find_trace

HERE = Path(__file__).resolve().parent
MEASURED_SECONDS = 2.0


def main() -> int:
    args = parse_args()
    with tempfile.TemporaryDirectory(prefix="rubicon-bench-") as folder:
        path = find_trace(args.trace) if args.trace else recorded(Path(folder))
        events = events_of(path)
    counts = Counter(event.action.value for event in events)
    mix = ", ".join(f"{count:,} {action}" for action, count in counts.most_common(8))
    print(
        f"{len(events):,} events ({mix} …), {args.rounds} rounds; median, lowest and highest in brackets.\n"
    )
    print("| rules | of them | events a second | ns an event | violations |")
    print("|---|---|---|---|---|")
    given = Given(of_this_machine() | {"workspace": (str(HERE),)})
    cases: list[tuple[str, list[str], bool]] = [
        ("the pack", [], True),
        ("the pack and the policy coding-agent", ["coding-agent"], True),
    ]
    if args.paths:
        cases += [
            ("what was given", args.paths, False),
            ("the pack, the policy and what was given", ["coding-agent", *args.paths], True),
        ]
    for title, paths, packs in cases:
        measure(title, partial(load_any, paths, packs=packs, given=given), events, args.rounds)
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench rules", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("paths", metavar="PATH", nargs="*", help="rule files and folders, measured as well")
    parser.add_argument("--trace", help="whose events are judged; otherwise one is recorded (as root)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5)
    return parser.parse_args()


def recorded(folder: Path) -> Path:
    """The trace of an agent's work."""
    if os.geteuid() != 0:
        raise SystemExit("bench: needs root to record a trace: sudo scripts/bench rules, or --trace FILE")
    path = folder / "work.trace"
    command = [sys.executable, HERE / "bench_agent.py", folder / "work", sys.executable]
    print("bench: recording an agent's work", file=sys.stderr)
    subprocess.run(
        [HERE / "rubicon", "run", "--trace", path, "--", *command], check=True, capture_output=True
    )
    return path


def events_of(path: Path) -> list[Event]:
    with open_trace(path, lambda _event: ()) as trace:
        return [event for event, _ in trace.items()]


def measure(title: str, load: Callable[[], RuleSet], events: Sequence[Event], rounds: int) -> None:
    print(f"bench: {title}", file=sys.stderr)
    rates = []
    for _ in range(rounds):
        rate, rules, found = one_round(load, events)
        rates.append(rate)
    rate = statistics.median(rates)
    spread = f"{rate:,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"
    print(f"| {title} | {len(rules.entries)} | {spread} | {1e9 / rate:,.0f} | {found} |", flush=True)


def one_round(load: Callable[[], RuleSet], events: Sequence[Event]) -> tuple[float, RuleSet, int]:
    """Events a second, and the violations of one pass."""
    judged = spent_ns = 0
    while spent_ns < MEASURED_SECONDS * 1e9:
        rules = load()
        judge, found = rules.judge, 0
        begin_ns = time.thread_time_ns()
        for event in events:
            found += len(judge(event))
        spent_ns += time.thread_time_ns() - begin_ns
        judged += len(events)
    return judged * 1e9 / spent_ns, rules, found


if __name__ == "__main__":
    sys.exit(main())
