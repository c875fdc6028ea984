"""What watching costs. For scripts/bench: a Markdown table on stdout, progress on stderr.

Every workload runs bare, watched and under `strace -f --seccomp-bpf` in turn, round after round, so that what
else the machine does meets all three alike. A ratio is taken within a round; quoted are the median of the
rounds and, in brackets, the lowest and the highest. Workloads time themselves, most of them five times in a
row, of which the median counts: the start of a tracer is not in it, and is measured by itself. Before each
turn the machine is given some time to come to rest, but for --quick.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from bench_report import report
from bench_results import Recorded, Results, Row, Run

from tracer.trace import verify

HERE = Path(__file__).resolve().parent
RUBICON = str(HERE / "rubicon")
SAME_EVENTS = (
    "execve,execveat,connect,open,openat,openat2,creat,close,rename,renameat,renameat2,unlink,unlinkat,link,"
    "linkat,symlink,symlinkat,mkdir,mkdirat,rmdir,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,lchown,"
    "fchownat"
)
STRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={SAME_EVENTS}")
REST_SECONDS, REST_BUSY_SHARE, PATIENCE_SECONDS = 0.5, 0.1, 30.0


@dataclass(frozen=True, slots=True)
class Workload:
    """`size` is what the program is told; `quick` a tenth of it or so."""

    name: str
    title: str
    size: int
    quick: int


WORKLOADS = (
    Workload("agent", "agent's work: git, compileall, tar, gcc", 1, 1),
    Workload("exec", "fork and exec", 500, 50),
    Workload("write", "open, write, close", 20_000, 2_000),
    Workload("connect", "connect", 5_000, 500),
    Workload("read", "read (nothing recorded)", 1_000_000, 100_000),
)
BESIDE = (
    Workload("write", "open, write, close by an unwatched process", 20_000, 2_000),
    Workload("read", "read by an unwatched process", 1_000_000, 100_000),
)
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
                results.flood.append(self._watched(FLOOD))
        return results

    def _compare(self, row: Row, workload: Workload) -> None:
        come_to_rest(0 if self._quick else PATIENCE_SECONDS)
        with self._command(workload) as command:
            row.bare.append(timed(command))
        run, recorded = self._watched(workload)
        row.watched.append(run)
        row.recorded.append(recorded)
        log = self._folder / "strace.log"
        with self._command(workload) as command:
            row.strace.append(timed([*STRACE, "-o", str(log), *command]))
        log.unlink()

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
            yield [os.path.realpath(sys.executable), "-I", str(HERE / "bench_agent.py"), str(folder)]
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
    _seconds, usage, said = run(command)
    times = [[int(word) for word in line.split()] for line in said.splitlines()]
    elapsed_ns, own_cpu_ns = (statistics.median_low(column) for column in zip(*times, strict=True))
    return Run(elapsed_ns, own_cpu_ns, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, len(times))


def wall(command: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    seconds, usage, _said = run(command)
    return seconds, usage.ru_utime + usage.ru_stime


def run(command: Sequence[str]) -> tuple[float, resource.struct_rusage, bytes]:
    """Wall seconds, what it and all its children used, its stdout. Raises RuntimeError when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=complaints)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, complaints):
            file.seek(0)
        if status:
            raise RuntimeError(f"{list(command)} failed: {complaints.read().decode(errors='replace')}")
        return seconds, usage, out.read()


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
