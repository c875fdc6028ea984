"""A terminal for tests: tmux, with a server of the test's own."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .driver import MAIN, Rubicon, until


class Tmux:
    """A terminal of a given size in which one command runs. `shown` is what a person sees."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self._socket = folder / "tmux"
        self._folder, self.size = folder, size
        self.status_file = folder / "status"

    def start(self, rubicon: Rubicon, *argv: str | Path) -> None:
        """What it says on stderr goes to the terminal; its exit status into a file."""
        self.run([*MAIN, *map(str, argv)], rubicon.work, rubicon.environment)

    def run(self, argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        command = shlex.join(argv)
        columns, rows = self.size
        self._do(
            *("new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(folder)),
            f"{command}; echo $? >{shlex.quote(str(self.status_file))}; echo the rest; exec cat",
            env={**environment, "TERM": "screen-256color"},
        )

    def shown(self) -> list[str]:
        return self._do("capture-pane", "-p").splitlines()

    def shows(self, *words: str) -> list[str]:
        def all_there() -> list[str]:
            lines = self.shown()
            return lines if all(any(word in line for line in lines) for word in words) else []

        try:
            return until(all_there, f"{words} on the screen")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.shown()])) from None

    def press(self, *keys: str) -> None:
        self._do("send-keys", *keys)

    def status(self) -> int:
        text = until(lambda: self.status_file.exists() and self.status_file.read_text(), "it to end")
        return int(text)

    def _do(self, *words: str, env: dict[str, str] | None = None) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", self._socket, *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """The pane's own programs end with it (SIGHUP)."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)
