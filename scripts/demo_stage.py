"""Plays the demo: sets the stage, runs the agent watched, shows it, and checks what was seen.

Exit status 0 when exactly the violations below were seen, nothing was lost and the trace is intact; else 1.
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
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import demo_world

HERE = Path(__file__).resolve().parent
RUBICON = str(HERE / "rubicon")
PACE_SECONDS = 1.5
PICTURE_PACE_SECONDS = 0.3
PATIENCE_SECONDS = 10.0
FROZEN_SECONDS = 5.0  # an agent that does not end by then stands still

EXPECTED = {
    "Program not allowed": 3,  # ssh, its copy, the miner
    "Connection not allowed": 12,  # two tunnels, seven probes, the download, the pool, the shell
    "File change not allowed": 6,  # .cache, the miner and its mode, .bashrc, .ssh, authorized_keys
    "Reverse SSH tunnel": 1,
    "Reverse SSH tunnel by a program with another name": 1,
    "Cryptocurrency miner": 1,
    "Connection to a port of mining pools": 1,
    "Startup file of a shell or of the system changed": 1,
    "SSH authorized keys changed": 1,
    "Shell with a network connection as its input": 1,
    "First contact with an address outside that no name led to": 9,
    "Program with the name of a daemon in the wrong place": 1,  # the copy of ssh
}


def main() -> int:
    args = parse_args()
    if os.geteuid() != 0:
        return fail("the demo needs root, for its namespaces and for the probes: sudo scripts/demo")
    shown = not args.no_tui and args.picture is None and has_terminal()
    trace = args.trace.absolute() if args.trace else new_trace()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        demo_world.enter()
        play(trace, pace_seconds(args, shown=shown), shown=shown, silent=args.picture is not None)
        if args.picture is not None:
            rubicon("watch", trace, "--picture", args.picture)
        return judge(trace)
    except (OSError, subprocess.CalledProcessError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("ended before the agent was done: nothing was checked", 130)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Play an agent that goes astray, in a network and a home of its own, and show Rubicon on "
        "it. On a terminal the screen opens and stays until q; elsewhere violations are lines of text. Exit "
        "status 0 when exactly the violations that must be were seen, otherwise 1.",
    )
    parser.add_argument("--no-tui", action="store_true", help="lines of text on a terminal, too")
    parser.add_argument("--pace", metavar="SECONDS", type=float, help="between two acts")
    parser.add_argument("--fast", dest="pace", action="store_const", const=0.0, help="the same as --pace 0")
    parser.add_argument("--trace", metavar="FILE", type=Path, help="where the trace goes; must not exist yet")
    parser.add_argument("--picture", metavar="SVG", type=Path, help="write the screen to a file instead")
    return parser.parse_args()


def has_terminal() -> bool:
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def pace_seconds(args: argparse.Namespace, *, shown: bool) -> float:
    if args.pace is not None:
        return float(args.pace)
    if args.picture is not None:
        return PICTURE_PACE_SECONDS
    return PACE_SECONDS if shown or sys.stdout.isatty() else 0.0


def new_trace() -> Path:
    """In the folder where `rubicon sessions` looks."""
    sys.path.append(str(HERE.parent))
    from tracer.trace import new_session_id, new_trace_path

    return new_trace_path(f"demo-{new_session_id()}")


def interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


# ---- the play


def play(trace: Path, pace: float, *, shown: bool, silent: bool) -> None:
    """Until the agent has ended and, when it is shown, the user has quit. Raises CalledProcessError."""
    with (
        demo_world.Outside(demo_world.install_tool(HERE / "demo_tool.c")),
        tempfile.TemporaryFile() as log,
        watched_agent(trace, pace, log if shown or silent else None, stays=shown) as agent,
    ):
        if shown and await_file(trace, agent):
            subprocess.run([RUBICON, "watch", trace], check=False)
        if agent.stdin and shown:
            agent.stdin.close()  # nobody watches any more: no more pauses
            thaw_if_frozen(trace, agent)
        if agent.wait() != 0:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise subprocess.CalledProcessError(agent.returncode, "rubicon run")


@contextmanager
def watched_agent(
    trace: Path, pace: float, log: IO[bytes] | None, *, stays: bool
) -> Iterator[subprocess.Popen[bytes]]:
    """`rubicon run` on the agent, in a process group of its own, which is empty afterwards."""
    agent = demo_world.install_agent(HERE / "demo_agent.py")
    run = subprocess.Popen(
        [RUBICON, "run", "--policy", HERE / "demo-policy.yaml", "--trace", trace, "--", agent],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env={**os.environ, "DEMO_PACE": str(pace)} | ({"DEMO_STAYS": "1"} if stays else {}),
        start_new_session=True,
    )
    try:
        yield run
    finally:
        end(run)
        if run.stdin:
            run.stdin.close()


def thaw_if_frozen(trace: Path, agent: subprocess.Popen[bytes]) -> None:
    """What somebody froze and left so would never end."""
    try:
        agent.wait(FROZEN_SECONDS)
    except subprocess.TimeoutExpired:
        subprocess.run([RUBICON, "thaw", trace], capture_output=True, check=False)


def end(run: subprocess.Popen[bytes]) -> None:
    """First politely, so that the trace gets its end."""
    if run.poll() is None:
        run.terminate()
        with suppress(subprocess.TimeoutExpired):
            run.wait(PATIENCE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def await_file(path: Path, run: subprocess.Popen[bytes]) -> bool:
    while run.poll() is None and not path.exists():
        time.sleep(0.05)
    return path.exists()


# ---- what was seen


def judge(trace: Path) -> int:
    seen, summary = read(trace)
    verified = subprocess.run([RUBICON, "verify", trace], capture_output=True, text=True, check=False)
    faults = [
        f"{name}: seen {seen[name]} times instead of {EXPECTED.get(name, 0)}"
        for name in sorted(EXPECTED.keys() | seen.keys())
        if seen[name] != EXPECTED.get(name, 0)
    ]
    if any(summary["losses"].values()):
        faults.append(f"events were lost: {summary['losses']}")
    if verified.returncode != 0:
        faults.append(f"the trace is not intact: {verified.stdout}{verified.stderr}")
    report(trace, seen, faults)
    return 1 if faults else 0


def read(trace: Path) -> tuple[Counter[str], dict[str, Any]]:
    """Violations by the name of their rule, and the summary. What somebody did by hand broke none."""
    lines = rubicon("export", trace, "--format", "jsonl", "--only", "violations").splitlines()
    *alerts, last = (json.loads(line) for line in lines)
    broken = (alert["rule"]["name"] for alert in alerts if "rule" in alert)
    return Counter(broken), last["rubicon"]["summary"]


def report(trace: Path, seen: Counter[str], faults: list[str]) -> None:
    print(f"\n{sum(seen.values())} violations:")
    for name, count in seen.most_common():
        print(f"  {count:3} {name}")
    for fault in faults:
        print(f"NOT AS EXPECTED  {fault}")
    if not faults:
        print("All that was expected and nothing else; nothing lost, and the trace is intact.")
    print(f"\nThe trace is {trace}. To look further:")
    print(f"  {RUBICON} watch {trace}")
    print(f"  {RUBICON} export {trace} --format jsonl --only violations", flush=True)


def rubicon(*args: str | Path) -> str:
    return subprocess.run([RUBICON, *args], stdout=subprocess.PIPE, check=True, text=True).stdout


def fail(message: str, status: int = 1) -> int:
    print(f"demo: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
