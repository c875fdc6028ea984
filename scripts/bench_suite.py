"""What watching costs. For scripts/bench: a Markdown table on stdout, progress on stderr.

Every workload runs bare, watched and under each peer that is here (bench_peers.py) in turn, round after
round, so that what else the machine does meets all alike. A ratio is taken within a round; quoted are the
median of the rounds and, in brackets, the lowest and the highest. Workloads time themselves, most of them
five times in a row, of which the median counts: the start of a tracer is not in it, and is measured by
itself. Before each turn the machine is given some time to come to rest, but for --quick.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from bench_peers import Peer, found, lost
from bench_report import report
from bench_results import Recorded, Results, Row, Run

from tracer.trace import verify

HERE = Path(__file__).resolve().parent
RUBICON = str(HERE / "rubicon")
REST_SECONDS, REST_BUSY_SHARE, PATIENCE_SECONDS = 0.5, 0.1, 30.0


@dataclass(frozen=True, slots=True)
class Workload:
    """`size` is what the program is told; `quick` a tenth of it or so."""

    name: str
    title: str
    size: int
    quick: int


WORKLOADS = (
    Workload("agent", "agent's work: git, pip, compileall, gcc, pytest, npm, tar", 1, 1),
    Workload("exec", "fork and exec", 500, 50),
    Workload("write", "open, write, close", 20_000, 2_000),
    Workload("small", "writes of a byte to one file", 200_000, 20_000),
    Workload("connect", "connect", 5_000, 500),
    Workload("dns", "DNS question and answer", 2_000, 200),
    Workload("uring", "open, write, close by io_uring", 5_000, 500),
    Workload("crowd", "open, write, close beside 1,000 children", 20_000, 2_000),
    Workload("read", "read (nothing recorded)", 1_000_000, 100_000),
)
UNSEEN_BY_PEERS = {"uring"}  # requests of io_uring are no system calls
BESIDE = (
    Workload("write", "open, write, close by an unwatched process", 20_000, 2_000),
    Workload("read", "read by an unwatched process", 1_000_000, 100_000),
)
SCOPES = (1, 4, 16)
IN_A_SCOPE = Workload("write", "open, write, close", 20_000, 2_000)
FLOOD = Workload("flood", "two writers as fast as they can", 50_000, 5_000)


def main() -> int:
    args = parse_args()
    if os.geteuid() != 0:
        print("bench: needs root, for the probes: sudo scripts/bench", file=sys.stderr)
        return 1
    rounds = args.rounds or (2 if args.quick else 11)
    with tempfile.TemporaryDirectory(prefix="rubicon-bench-") as folder:
        results = Bench(Path(folder), quick=args.quick, only=args.only).measure(rounds)
    print("\n".join(report(results, rounds)))
    if args.json is not None:
        args.json.write_text(json.dumps(asdict(results), indent=1) + "\n")
    return 0


def parse_args() -> argparse.Namespace:
    names = [each.name for each in WORKLOADS]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="small workloads, two rounds: does it work at all"
    )
    parser.add_argument("--rounds", metavar="N", type=int, help="default 11, with --quick 2")
    parser.add_argument("--only", metavar="NAME", choices=names, help=f"one workload: {', '.join(names)}")
    parser.add_argument("--json", metavar="FILE", type=Path, help="every single run")
    return parser.parse_args()


# ---- measuring


class Bench:
    def __init__(self, folder: Path, *, quick: bool, only: str | None) -> None:
        self._folder = folder
        self._quick = quick
        self._only = only
        self._program = folder / "bench_workloads"
        self._peers = found()
        self._runs = 0
        compiler = shutil.which("gcc") or "clang"
        subprocess.run([compiler, "-O2", "-o", self._program, HERE / "bench_workloads.c"], check=True)

    def measure(self, rounds: int) -> Results:
        results = Results()
        for number in range(1, rounds + 1):
            self._startup(results)
            for workload in WORKLOADS:
                if self._only in {None, workload.name}:
                    say(f"round {number} of {rounds}: {workload.title}")
                    self._compare(row_of(results.rows, workload, self._quick), workload)
            if self._only is None:
                say(f"round {number} of {rounds}: beside and flood")
                for workload in BESIDE:
                    self._beside(row_of(results.beside, workload, self._quick), workload)
                for number_of_scopes in SCOPES:
                    self._scopes(results, number_of_scopes)
                results.flood.append(self._watched(FLOOD))
        return results

    def _compare(self, row: Row, workload: Workload) -> None:
        come_to_rest(0 if self._quick else PATIENCE_SECONDS)
        with self._command(workload) as command:
            row.bare.append(timed(command))
        run, recorded = self._watched(workload)
        row.watched.append(run)
        row.recorded.append(recorded)
        for peer in self._peers if workload.name not in UNSEEN_BY_PEERS else ():
            row.peers.setdefault(peer.name, []).append(self._by_peer(peer, workload))

    def _by_peer(self, peer: Peer, workload: Workload) -> Run:
        log = self._folder / "peer.log"
        with self._command(workload) as command:
            made = timed(peer.command(command, log, self._folder))
        with log.open("rb") as file:
            events = sum(1 for _line in file)
        log.unlink()
        return replace(made, events=events)

    def _watched(self, workload: Workload) -> tuple[Run, Recorded]:
        trace = self._folder / "bench.trace"
        with self._command(workload) as command:
            run = timed([RUBICON, "run", "--trace", str(trace), "--", *command])
        recorded = read(trace)
        trace.unlink()
        return run, recorded

    def _beside(self, row: Row, workload: Workload) -> None:
        come_to_rest(0 if self._quick else PATIENCE_SECONDS)
        with self._command(workload) as command:
            row.bare.append(timed(command))
        with watched_idler(self._folder / "bench.trace"), self._command(workload) as command:
            row.watched.append(timed(command))

    def _scopes(self, results: Results, number: int) -> None:
        """The same work in one scope of several that a session watches."""
        title = f"open, write, close in one of {number} scope{'s' if number > 1 else ''}"
        row = row_of(results.scopes, replace(IN_A_SCOPE, name=str(number), title=title), self._quick)
        come_to_rest(0 if self._quick else PATIENCE_SECONDS)
        with self._command(IN_A_SCOPE) as command:
            row.bare.append(timed(command))
        with (
            self._command(IN_A_SCOPE) as command,
            waiting(command, number) as processes,
            attached([process.pid for process in processes], self._folder / "bench.trace"),
        ):
            row.watched.append(told_to_work(processes[0]))

    def _startup(self, results: Results) -> None:
        """`rubicon run -- true` from start to end."""
        trace = self._folder / "bench.trace"
        bare_seconds, _cpu = wall(["/bin/true"])
        seconds, cpu = wall([RUBICON, "run", "--trace", str(trace), "--", "/bin/true"])
        trace.unlink()
        results.startup_seconds.append(seconds - bare_seconds)
        results.startup_cpu_seconds.append(cpu)

    @contextmanager
    def _command(self, workload: Workload) -> Iterator[list[str]]:
        """The command, with an empty folder of its own; files in memory, where a disk hides nothing."""
        self._runs += 1
        if workload.name == "agent":
            folder = self._folder / f"agent{self._runs}"
            python = os.path.realpath(sys.executable)
            yield [python, "-I", str(HERE / "bench_agent.py"), str(folder), sys.executable]
            shutil.rmtree(folder)
            return
        size = str(workload.quick if self._quick else workload.size)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="rubicon-bench-", dir=memory) as scratch:
            yield [str(self._program), workload.name, size, scratch]


def row_of(rows: dict[str, Row], workload: Workload, quick: bool) -> Row:
    return rows.setdefault(workload.name, Row(workload.title, workload.quick if quick else workload.size))


def timed(command: Sequence[str]) -> Run:
    """Run a workload, which prints lines of its own elapsed and CPU nanoseconds."""
    _seconds, usage, said, complaints = run(command)
    elapsed_ns, own_cpu_ns, times = medians(said)
    cpu_seconds, peak_bytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    return Run(elapsed_ns, own_cpu_ns, cpu_seconds, peak_bytes, times, lost=lost(complaints))


def medians(said: bytes) -> tuple[int, int, int]:
    """Elapsed and CPU nanoseconds, and of how many times: a line for each, among what a peer may say."""
    times = [[int(word) for word in line.split()] for line in said.splitlines() if line[:1].isdigit()]
    elapsed_ns, own_cpu_ns = (statistics.median_low(column) for column in zip(*times, strict=True))
    return elapsed_ns, own_cpu_ns, len(times)


def wall(command: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    seconds, usage, _said, _complaints = run(command)
    return seconds, usage.ru_utime + usage.ru_stime


def run(command: Sequence[str]) -> tuple[float, resource.struct_rusage, bytes, bytes]:
    """Wall seconds, what all of it used, its stdout and stderr. Raises RuntimeError when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=complaints)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, complaints):
            file.seek(0)
        said, complained = out.read(), complaints.read()
        if status:
            raise RuntimeError(f"{list(command)} failed: {complained.decode(errors='replace')}")
        return seconds, usage, said, complained


@contextmanager
def watched_idler(trace: Path) -> Iterator[None]:
    """A session on a process that does nothing."""
    command = [RUBICON, "run", "--trace", str(trace), "--", "sh", "-c", "echo ready; read line"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes, text=True) as idler:  # type: ignore[call-overload]
        idler.stdout.readline()
        yield
        idler.stdin.write("\n")
    trace.unlink()


@contextmanager
def waiting(command: Sequence[str], number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many of that workload, each of which begins when it is told to."""
    with ExitStack() as stack:
        processes = []
        for _ in range(number):
            process = subprocess.Popen(
                [command[0], "wait", *command[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            stack.enter_context(process)  # closes its stdin, at which it ends, and waits
            processes.append(process)
        yield processes


def told_to_work(process: subprocess.Popen[bytes]) -> Run:
    said, _ = process.communicate(b"\n")
    return Run(*medians(said)[:2], cpu_seconds=0, peak_bytes=0, times=medians(said)[2])


@contextmanager
def attached(pids: Sequence[int], trace: Path) -> Iterator[None]:
    """A session that watches those processes, each a scope of its own."""
    command = [RUBICON, "attach", "--no-tui", "--trace", str(trace), *(f"pid:{pid}" for pid in pids)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as session:
        assert session.stderr is not None
        while "watching" not in (line := session.stderr.readline()):
            if not line:
                raise RuntimeError(f"{command} ended")
        yield
        session.send_signal(signal.SIGINT)
        session.stderr.read()
    trace.unlink()


def read(trace: Path) -> Recorded:
    verdict = verify(trace)
    if not verdict.trustworthy:
        raise RuntimeError(f"the trace is not intact: {verdict.message}")
    return Recorded(verdict.events, verdict.lost_critical + verdict.lost_bulk, verdict.size_bytes)


def come_to_rest(patience_seconds: float) -> None:
    """Wait until the CPUs have been idle, nearly, for a moment; not for ever."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline and busy_share(REST_SECONDS) > REST_BUSY_SHARE:
        pass


def busy_share(seconds: float) -> float:
    """What part of all CPU time went to work (proc_stat(5))."""
    before = cpu_times()
    time.sleep(seconds)
    spent = [after - earlier for after, earlier in zip(cpu_times(), before, strict=True)]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


def cpu_times() -> list[int]:
    with open("/proc/stat", encoding="ascii") as file:
        return [int(word) for word in file.readline().split()[1:9]]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
