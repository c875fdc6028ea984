"""Rubicon as a user has it: started as a program, and looked at through what it leaves and says."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

ROOT = Path(__file__).parents[2]
MAIN = [sys.executable, "-I", str(ROOT / "tracer/cli/__main__.py")]
PYTHON = os.path.realpath(sys.executable)
PROGRAMS = Path(__file__).parent / "programs"
SECONDS_MAX = 60  # for what hangs; nothing here takes more than a few seconds on a quiet machine

Document = dict[str, Any]
T = TypeVar("T")


def until(ask: Callable[[], T], what: str) -> T:
    """Ask until the answer is one; what it was. Fails when that takes too long."""
    deadline = time.monotonic() + SECONDS_MAX
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.01)
    return answer


class Started:
    """A program that runs, with its output in files that can be read meanwhile."""

    def __init__(self, argv: list[str | bytes | Path], folder: Path, name: str, **options: Any) -> None:
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err} | options
            self.process = subprocess.Popen(argv, **options)
        self.pid = self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8", "surrogateescape")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8", "surrogateescape")

    def says(self, text: str) -> str:
        """Wait until stderr holds it; all of stderr."""

        def said() -> str:
            assert self.process.poll() is None or text in self.err, f"it ended and had said {self.err!r}"
            return self.err if text in self.err else ""

        return until(said, f"{text!r} in {self._err}")

    def end(self) -> int:
        """Wait for its end; its exit status."""
        return self.process.wait(SECONDS_MAX)

    def kill(self) -> None:
        """It and all that it started. Nothing when it has ended."""
        if self.process.poll() is None:
            end_with_descendants(self.process)


def end_with_descendants(process: subprocess.Popen[bytes]) -> None:
    below = descendants(process.pid)
    process.kill()
    process.wait()
    for pid in below:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """All below a process that runs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in (child, *descendants(child))]


def state(pid: int) -> str:
    """One letter, as proc_pid_stat(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@dataclass
class Rubicon:
    """Runs commands of Rubicon in an environment and a folder of the test's own."""

    folder: Path
    started: list[Started] = field(default_factory=list)
    path: str = "/usr/sbin:/usr/bin:/sbin:/bin"
    adopted: list[int] = field(default_factory=list)  # pidfds of what an engine that is killed leaves
    exported: dict[Any, str] = field(default_factory=dict)

    @property
    def traces(self) -> Path:
        return self.folder / "traces"

    @property
    def trace(self) -> Path:
        """Where `run` and `attach` put theirs, if the test does not say otherwise."""
        return self.folder / "the.trace"

    @property
    def work(self) -> Path:
        """Where the watched programs work."""
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": self.path,
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RUBICON_TRACES": str(self.traces),
        }

    def policy(self, text: str) -> Path:
        """A file that says it."""
        path = self.folder / "policy.yaml"
        path.write_text(text)
        return path

    def do(self, *argv: str | bytes | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        settings: dict[str, Any] = {
            "cwd": self.work,
            "env": self.environment,
            "stdin": None if "input" in options else subprocess.DEVNULL,
            "capture_output": True,
            "text": True,
            "errors": "surrogateescape",
            "timeout": SECONDS_MAX,
        }
        if "stdout" in options or "stderr" in options:
            settings["capture_output"] = False
        return subprocess.run([*MAIN, *argv], check=False, **(settings | options))

    def run(self, *command: str | bytes | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """`rubicon run` with the trace at `trace`."""
        return self.do("run", "--trace", self.trace, "--", *command, **options)

    def start(self, *argv: str | bytes | Path, **options: Any) -> Started:
        """Start a command; it is killed at the end of the test if it still runs."""
        options = {"cwd": self.work, "env": self.environment} | options
        started = Started([*MAIN, *argv], self.folder, f"rubicon{len(self.started)}", **options)
        self.started.append(started)
        return started

    def export(self, trace: Path | None = None, *options: str) -> list[Document]:
        """All objects of a trace, the summary last. Asked again of the same files, what was said is taken."""
        path = trace or self.trace
        files = [(each, each.stat()) for each in sorted(path.parent.glob(f"{path.name}*"))]
        key = options, tuple((each, facts.st_size, facts.st_mtime_ns, facts.st_ino) for each, facts in files)
        if key not in self.exported:
            done = self.do("export", path, "--format", "jsonl", *options)
            assert done.returncode == 0, done.stderr
            self.exported[key] = done.stdout
        return [json.loads(line) for line in self.exported[key].splitlines()]

    def events(self, trace: Path | None = None) -> Events:
        """The events of a session that is over and whole."""
        *documents, summary = self.export(trace)
        assert summary["rubicon"]["summary"]["losses"] == {"critical": 0, "bulk": 0}
        assert "damage" not in summary["rubicon"]["summary"]
        return Events([each for each in documents if each["event"]["kind"] != "alert"])

    def verify(self, trace: Path | None = None) -> tuple[int, str]:
        """Exit status, and the state in one word."""
        done = self.do("verify", "--json", trace or self.trace)
        return done.returncode, json.loads(done.stdout)["state"]

    def adopt(self, started: Started) -> None:
        """Before its engine is killed: the command is ended with the test."""
        self.adopted += [os.pidfd_open(pid) for pid in descendants(started.pid)]

    def close(self) -> None:
        for each in self.started:
            each.kill()
        for pidfd in self.adopted:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)


class Events(list[Document]):
    """Exported events, and ways to pick from them."""

    def of(self, action: str, outcome: str = "") -> Events:
        return Events(
            each
            for each in self
            if each["event"]["action"] == action and outcome in ("", each["event"]["outcome"])
        )

    def by(self, pid: int) -> Events:
        return Events(each for each in self if each["process"]["pid"] == pid)

    @property
    def actions(self) -> Counter[str]:
        return Counter(each["event"]["action"] for each in self)

    @property
    def paths(self) -> list[str]:
        return [each["file"]["path"] for each in self]

    @property
    def args(self) -> list[list[str]]:
        return [each["process"]["args"] for each in self]


def acts(documents: Iterable[Document]) -> list[Document]:
    """What Rubicon itself did, or would have done."""
    return [each for each in documents if each["event"].get("category") == ["intrusion_detection"]]


def has_no_controls(data: bytes) -> bool:
    """Nothing but line ends that could do something to a terminal; C1 controls as UTF-8 count, too."""
    text = data.decode("utf-8")  # and it is valid
    return all(character == "\n" or character.isprintable() for character in text)


def compile_c(name: str, folder: Path) -> Path:
    program = folder / name
    command = ["gcc", "-O1", "-Wall", "-Werror", "-o", program, PROGRAMS / f"{name}.c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def counted(items: Iterable[T]) -> Counter[T]:
    """For comparing without regard to order."""
    return Counter(items)


class Terminal:
    """A command of Rubicon on a terminal of its own, as its controlling one."""

    def __init__(self, rubicon: Rubicon, *argv: str | bytes | Path) -> None:
        self.seen = ""
        self._master, slave = pty.openpty()
        try:
            self.process = subprocess.Popen(
                ["setsid", "--ctty", *MAIN, *argv],
                cwd=rubicon.work,
                env=rubicon.environment | {"TERM": "xterm"},
                stdin=slave,
                stdout=slave,
                stderr=slave,
            )
        finally:
            os.close(slave)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def shows(self, text: str) -> None:
        """Wait until it was written."""
        while text not in self.seen:
            assert self._read(), f"it ended and had shown {self.seen!r}"

    def end(self) -> int:
        while self._read():
            pass
        return self.process.wait(SECONDS_MAX)

    def _read(self) -> bool:
        """More of what is shown; false when nobody will write any more."""
        assert select.select([self._master], [], [], SECONDS_MAX)[0], f"nothing more came after {self.seen!r}"
        try:
            more = os.read(self._master, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self.seen += more.decode("utf-8", "replace")
        return bool(more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            end_with_descendants(self.process)
        os.close(self._master)
