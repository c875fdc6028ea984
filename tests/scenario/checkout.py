"""A copy of the checkout for tests of set-up, and tools that stand in for apt-get, pip, make and clang.

Nothing here needs the network. The stand-ins write what they were asked to `calls`, one line each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("scripts", "tracer", "tui", "pyproject.toml", "probes")

# The venv's Python: the real one, except for the calls by which set-up makes a venv and installs into it.
PYTHON = """#!/bin/bash -p
echo "python $*" >>"{calls}"
case "$*" in
"-I -m venv "*) {fail_venv}mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-I -m pip "*) {fail_pip}true ;;
*) exec "{python}" "$@" ;;
esac
"""
MAKE = """#!/bin/bash -p
echo "make $*" >>"{calls}"
{fail_make}sleep 0.3
mkdir -p "$2/build" && touch "$2/build/rubicon.bpf.o"
"""
APT = """#!/bin/bash -p
echo "apt-get $*" >>"{calls}"
case "$*" in *install*) {fail_apt}ln -s /bin/true "{tools}/clang" ;; esac
"""
# What the scripts call, other than the stand-ins.
BORROWED = (
    *("bash", "cat", "cp", "env", "flock", "grep", "id", "ldconfig", "ln", "mkdir", "printf", "readlink"),
    *("rm", "sed", "sha256sum", "sleep", "tail", "tee", "test", "touch", "tput"),
)


@dataclass(frozen=True, slots=True)
class Checkout:
    root: Path
    tools: Path
    calls: Path

    @property
    def rubicon(self) -> str:
        return str(self.root / "scripts/rubicon")

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.tools), "HOME": "", "RUBICON_PYTHON": str(self.tools / "python3")}

    def run(
        self, *argv: str, cwd: Path = Path("/"), env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=cwd,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            argv, cwd="/", env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def set_up(self) -> None:
        done = self.run(str(self.root / "scripts/setup"), "runtime")
        assert done.returncode == 0, done.stderr
        self.forget_calls()

    def called(self, tool: str) -> list[str]:
        """What the stand-in `tool` was asked to do, but for Python's running of programs."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith((f"{tool} -I -m", f"{tool} -C", f"{tool} -o"))]

    def forget_calls(self) -> None:
        self.calls.unlink(missing_ok=True)


def make_checkout(folder: Path, *, failing: str = "", without: str = "") -> Checkout:
    """A copy that was never set up.

    `failing`: what has no luck, one of venv, pip, make, apt; `without`: a tool that is missing.
    """
    checkout = Checkout(folder / "a checkout", folder / "tools", folder / "calls")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, checkout.root / name, ignore=shutil.ignore_patterns("build", "__pycache__")
            )
        else:
            shutil.copy(source, checkout.root / name)
    _make_tools(checkout, failing)
    if without:
        (checkout.tools / without).unlink()
    return checkout


def _make_tools(checkout: Checkout, failing: str) -> None:
    checkout.tools.mkdir()
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    for name in BORROWED:
        found = shutil.which(name, path=search)
        assert found, name
        (checkout.tools / name).symlink_to(found)
    (checkout.tools / "clang").symlink_to("/bin/true")
    facts = {"calls": checkout.calls, "tools": checkout.tools, "python": sys.executable}
    fails = {
        f"fail_{name}": f'echo "{name} has no luck"; exit 3; ' if name == failing else ""
        for name in ("venv", "pip", "make", "apt")
    }
    for name, program in (("python3", PYTHON), ("make", MAKE), ("apt-get", APT)):
        path = checkout.tools / name
        path.write_text(program.format(**facts, **fails))
        path.chmod(0o755)
