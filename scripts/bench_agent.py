"""scripts/bench's realistic workload: an hour of an agent's work in a second.

Prints the nanoseconds that elapsed, and those of CPU.

python3 bench_agent.py FOLDER PYTHON    FOLDER must not exist; PYTHON has pip and pytest

Of the other tools those that are not there are left out.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

MODULES, SOURCES, TESTS = 200, 30, 20
MODULE = "".join(
    f"def f{n}(a, b):\n    return [a * {n} + each for each in b if each != {n}]\n\n" for n in range(30)
)
SOURCE = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + "".join(
    f'int f{n}(int a) {{ char b[64]; snprintf(b, sizeof(b), "%d", a + {n}); return strlen(b); }}\n'
    for n in range(100)
)
TEST = "from package0.module0 import f3\n\n" + "".join(
    f"def test_{n}(tmp_path):\n    (tmp_path / 'made').touch()\n    assert f3({n}, [1]) == [{n * 3 + 1}]\n\n"
    for n in range(10)
)
TEST_FILES = [f"test_package{number}.py" for number in range(TESTS)]
WHEEL = "benched-1.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: benched\nVersion: 1.0\n"
ABOUT_WHEEL = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org")


def write_tree(folder: Path) -> None:
    folder.mkdir()
    for number in range(MODULES):
        package = folder / f"package{number % 10}"
        package.mkdir(exist_ok=True)
        (package / f"module{number}.py").write_text(MODULE)
    for number in range(SOURCES):
        (folder / f"source{number}.c").write_text(SOURCE)
    for name in TEST_FILES:
        (folder / name).write_text(TEST)
    node = folder / "node"
    node.mkdir()
    (node / "package.json").write_text('{"name": "benched", "version": "1.0.0"}')
    for number in range(50):
        (node / f"part{number}.js").write_text(f"module.exports = {number};\n")
    write_wheel(folder / WHEEL)


def write_wheel(path: Path) -> None:
    """Of the binary distribution format, specification "Binary distribution format" of PyPA."""
    about = "benched-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for number in range(50):
            wheel.writestr(f"benched/module{number}.py", MODULE)
        wheel.writestr(f"{about}/METADATA", METADATA)
        wheel.writestr(f"{about}/WHEEL", ABOUT_WHEEL)
        wheel.writestr(f"{about}/RECORD", "")


def commands(python: str) -> list[tuple[str, ...]]:
    """`python` has pip and pytest."""
    chosen: list[tuple[str, ...]] = [
        (*GIT, "init", "--quiet"),
        (*GIT, "add", "."),
        (*GIT, "commit", "--quiet", "--message", "All of it"),
        (*GIT, "log", "--stat"),
        (*GIT, "clone", "--quiet", ".", "clone"),
        (
            python,
            "-m",
            "pip",
            "--quiet",
            "install",
            "--no-index",
            "--no-deps",
            "--target",
            "installed",
            WHEEL,
        ),
        (python, "-m", "compileall", "-q", "."),
        *(("gcc", "-O1", "-c", f"source{number}.c") for number in range(SOURCES)),
        (
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            "--rootdir",
            ".",
            *TEST_FILES,
        ),
        ("npm", "install", "--offline", "--silent", "--no-audit", "--no-fund", "--prefix", "npm", "./node"),
        ("tar", "--create", "--file", "all.tar", "--exclude", "all.tar", "."),
    ]
    return [command for command in chosen if shutil.which(command[0])]


def main() -> None:
    folder, python = Path(sys.argv[1]), sys.argv[2]
    write_tree(folder)
    os.chdir(folder)
    begin, cpu_ns = time.monotonic_ns(), children_cpu_ns()
    for command in commands(python):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    print(time.monotonic_ns() - begin, children_cpu_ns() - cpu_ns)


def children_cpu_ns() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


if __name__ == "__main__":
    main()
