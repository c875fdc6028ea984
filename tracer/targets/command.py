"""The command that `run` starts: it is there, stopped before its first instruction, until it is let go."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from tracer.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, CommandError
from tracer.text import printable

_SHELL = "/bin/sh"
# Python ignores these from its start; all others are still as they were given to us, ignored ones included.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)


def find_program(name: str, environment: Mapping[str, str]) -> str:
    """The path that a shell would run. Raises CommandError with a shell's exit status when there is none."""
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found and os.path.isfile(found):
        return found
    if os.sep in name and os.path.isdir(name):
        raise CommandError(f"{printable(name)}: is a directory", EXIT_NOT_EXECUTABLE)
    folders = [""] if os.sep in name else environment.get("PATH", os.defpath).split(os.pathsep)
    if any(os.path.isfile(os.path.join(folder, name)) for folder in folders):
        raise CommandError(f"{printable(name)}: cannot be executed", EXIT_NOT_EXECUTABLE)
    raise CommandError(f"{printable(name)}: command not found", EXIT_NOT_FOUND)


class Command:
    """A child process that waits, and then becomes the command. To be made before there are threads.

    It gets what we were given: descriptors, signals that are ignored or blocked, process group and terminal.
    With a `terminal` of its own, a descriptor, it is in a session of its own there instead.
    Raises CommandError when the program cannot be found, or no process can be made.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, terminal: int | None = None
    ) -> None:
        self._program = find_program(arguments[0], environment)
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._terminal = terminal
        self.ended = False
        self._gate, self._report = os.pipe(), os.pipe()  # closed on exec, as all that Python opens
        try:
            self.pid = os.fork()
        except OSError as error:
            self._close(*self._gate, *self._report)
            raise CommandError(f"cannot start a process: {error.strerror}", EXIT_NOT_EXECUTABLE) from None
        if self.pid == 0:
            self._become()
        self._close(self._gate[0], self._report[1])
        # Had our parent ignored it, the kernel would not keep the status of a child for us.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _become(self) -> NoReturn:
        """In the child: wait, then exec; or tell why not, and end."""
        try:
            self._close(self._gate[1], self._report[0])
            if self._terminal is not None:
                _move_to(self._terminal)
            if os.read(self._gate[0], 1):
                self._exec()
        except OSError as error:
            os.write(self._report[1], str(error.errno).encode())
        finally:
            os._exit(EXIT_NOT_EXECUTABLE)

    def _exec(self) -> None:
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execve(self._program, self._arguments, self._environment)  # noqa: S606  this is the command
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            script = [_SHELL, self._program, *self._arguments[1:]]
            os.execve(_SHELL, script, self._environment)  # noqa: S606  as a shell does with a text file

    def let_go(self) -> None:
        """Let it run. Raises CommandError when the kernel will not run it."""
        with suppress(BrokenPipeError):  # somebody ended it while it waited: `poll` tells its status
            os.write(self._gate[1], b"x")
        os.close(self._gate[1])
        with open(self._report[0], "rb") as report:
            said = report.read()
        if said:
            self._reap()
            reason = os.strerror(int(said))
            raise CommandError(f"{printable(self._program)}: {reason}", EXIT_NOT_EXECUTABLE)

    def give_up(self) -> None:
        """End it before it ran; for when the watch cannot be set up."""
        self._close(self._gate[1], self._report[0])
        self._reap()

    def signal(self, number: int) -> None:
        """Nothing once it has ended: its pid may be another's by then."""
        if not self.ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Its exit status once it has ended, 128 + n for a signal; None before. Not to be asked again."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        return self._reap()

    def _reap(self) -> int:
        _pid, status = os.waitpid(self.pid, 0)
        self.ended = True
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    @staticmethod
    def _close(*descriptors: int) -> None:
        for descriptor in descriptors:
            os.close(descriptor)


def _move_to(terminal: int) -> None:
    """A new session, whose controlling terminal it is (tty_ioctl(4)); all three streams are there."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
