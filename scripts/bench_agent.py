"""scripts/bench's realistic workload: an hour of an agent's work in a second.

Prints the nanoseconds that elapsed, and those of CPU.

python3 bench_agent.py FOLDER    which must not exist; tools that are not there are left out
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

MODULES, SOURCES = 200, 10
MODULE = "".join(
    f"def f{n}(a, b):\n    return [a * {n} + each for each in b if each != {n}]\n\n" for n in range(30)
)
SOURCE = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + "".join(
    f'int f{n}(int a) {{ char b[64]; snprintf(b, sizeof(b), "%d", a + {n}); return strlen(b); }}\n'
    for n in range(100)
)
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org")


def write_tree(folder: Path) -> None:
    folder.mkdir()
    for number in range(MODULES):
        package = folder / f"package{number % 10}"
        package.mkdir(exist_ok=True)
        (package / f"module{number}.py").write_text(MODULE)
    for number in range(SOURCES):
        (folder / f"source{number}.c").write_text(SOURCE)


def commands() -> list[tuple[str, ...]]:
    chosen: list[tuple[str, ...]] = [
        (*GIT, "init", "--quiet"),
        (*GIT, "add", "."),
        (*GIT, "commit", "--quiet", "--message", "All of it"),
        (*GIT, "log", "--stat"),
        (sys.executable, "-m", "compileall", "-q", "."),
        ("tar", "--create", "--file", "all.tar", "--exclude", "all.tar", "."),
        *(("gcc", "-O1", "-c", f"source{number}.c") for number in range(SOURCES)),
    ]
    return [command for command in chosen if shutil.which(command[0])]


def main() -> None:
    folder = Path(sys.argv[1])
    write_tree(folder)
    os.chdir(folder)
    begin, cpu_ns = time.monotonic_ns(), children_cpu_ns()
    for command in commands():
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    print(time.monotonic_ns() - begin, children_cpu_ns() - cpu_ns)


def children_cpu_ns() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


if __name__ == "__main__":
    main()
