"""What the probes cost the calls of a process that nobody watches, tier by tier. For scripts/bench --calls.

One process makes each call thousands of times, again and again: with nothing loaded, and with the probes of
each tier that this kernel takes, in turn. Quoted is the lowest CPU time of a call in ns, as whatever else the
machine does only adds to it. It needs no more than root and gcc, so it runs in a guest of scripts/matrix too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tracer.capture.core import KERNEL_BTF, CoreSource, best_tier

ROUNDS = 7
BARE = "no probes"
SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

#define MEASURE(name, times, call)					\
	do {								\
		double begin = cpu_ns();				\
		for (int i = 0; i < (times); i++)			\
			call;						\
		printf(name " %.0f\n", (cpu_ns() - begin) / (times));	\
	} while (0)

static void written(void)
{
	int fd = open("/dev/null", O_WRONLY);

	write(fd, "x", 1);
	close(fd);
}

int main(void)
{
	int zero = open("/dev/zero", O_RDONLY);
	char byte;

	for (int round = 0; round < 5; round++) {
		MEASURE("getppid", 20000, syscall(SYS_getppid));
		MEASURE("read", 20000, syscall(SYS_read, zero, &byte, 1));
		MEASURE("open+close", 4000, close(open("/dev/null", O_RDONLY)));
		MEASURE("open+write+close", 4000, written());
	}
	return 0;
}
"""


def main() -> int:
    if os.geteuid() != 0:
        print("bench: needs root, for the probes: sudo scripts/bench --calls", file=sys.stderr)
        return 1
    tiers = ["B", "A"] if best_tier(KERNEL_BTF.read_bytes()) == "A" else ["B"]
    with built() as program:
        lowest: dict[str, dict[str, int]] = {}
        for _ in range(ROUNDS):
            for state in (BARE, *tiers):
                with probes(state):
                    take(lowest.setdefault(state, {}), program)
    print(f"ns of CPU a call that nobody watches; Linux {os.uname().release}, {os.cpu_count()} CPUs")
    calls = list(lowest[BARE])
    print(f"| call | {BARE} | " + " | ".join(f"tier {each}" for each in tiers) + " |")
    print("|---" * (2 + len(tiers)) + "|")
    for call in calls:
        print(f"| `{call}` | " + " | ".join(str(lowest[state][call]) for state in (BARE, *tiers)) + " |")
    return 0


@contextmanager
def built() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="rubicon-bench-") as folder:
        program = Path(folder) / "calls"
        command = ["gcc", "-O2", "-w", "-x", "c", "-o", str(program), "-"]
        subprocess.run(command, input=SOURCE, text=True, check=True)
        yield str(program)


@contextmanager
def probes(state: str) -> Iterator[None]:
    """Loaded and attached, with nobody in scope."""
    if state == BARE:
        yield
        return
    source = CoreSource(tier=state)
    try:
        yield
    finally:
        source.close()


def take(lowest: dict[str, int], program: str) -> None:
    said = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in said.splitlines():
        call, ns = line.split()
        lowest[call] = min(int(ns), lowest.get(call, int(ns)))


if __name__ == "__main__":
    sys.exit(main())
