"""The command that `run` starts: it is there, stopped before its first instruction, until it is let go."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from tracer.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, CommandError
from tracer.text import printable

_SHELL = "/bin/sh"
# Python ignores these from its start; a command must find them as a shell would hand them on.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def find_program(name: str, environment: Mapping[str, str]) -> str:
    """The path that a shell would run. Raises CommandError, with a shell's exit status, when there is none."""
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found and os.path.isfile(found):
        return found
    if os.sep in name and os.path.exists(name):
        reason = "is a directory" if os.path.isdir(name) else "cannot be executed"
        raise CommandError(f"{printable(name)}: {reason}", EXIT_NOT_EXECUTABLE)
    raise CommandError(f"{printable(name)}: command not found", EXIT_NOT_FOUND)


class Command:
    """A child process that waits, and then becomes the command. To be made before there are threads.

    Raises CommandError when the program cannot be found.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._program = find_program(arguments[0], environment)
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self.ended = False
        self._gate, self._report = os.pipe(), os.pipe()  # closed on exec, as all that Python opens
        self.pid = os.fork()
        if self.pid == 0:
            self._become()
        os.close(self._gate[0])
        os.close(self._report[1])

    def _become(self) -> NoReturn:
        """In the child: wait, then exec; or tell why not, and end."""
        try:
            os.close(self._gate[1])
            os.close(self._report[0])
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
            os.execve(self._program, self._arguments, self._environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            os.execve(_SHELL, [_SHELL, self._program, *self._arguments[1:]], self._environment)

    def let_go(self) -> None:
        """Let it run. Raises CommandError when the kernel will not run it."""
        os.write(self._gate[1], b"x")
        os.close(self._gate[1])
        with open(self._report[0], "rb") as report:
            said = report.read()
        if said:
            self.wait()
            reason = os.strerror(int(said))
            raise CommandError(f"{printable(self._program)}: {reason}", EXIT_NOT_EXECUTABLE)

    def give_up(self) -> None:
        """End it before it ran; for when the watch cannot be set up."""
        os.close(self._gate[1])
        os.close(self._report[0])
        self.wait()

    def signal(self, number: int) -> None:
        """Nothing once it has ended: its pid may be another's by then."""
        if not self.ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end; its exit status, 128 + n for a signal."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self.ended = True
        _pid, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code
