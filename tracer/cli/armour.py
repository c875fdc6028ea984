"""What the engine does so that those it watches cannot stop it, or look into it, as far as that can be.

Against root, SIGKILL and SIGSTOP nothing helps: that is told as a violation, and the trace shows the gap.
"""

from __future__ import annotations

import ctypes
import signal
from contextlib import suppress

# include/uapi/linux/prctl.h
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

_OOM_SCORE_ADJ = "/proc/self/oom_score_adj"
_LAST_TO_GO = "-999"  # -1000 would be never: a leak of ours must not take the machine with it

# With a meaning here, or a default that does no harm; the rest end a process.
_KEPT = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGCHLD,
        signal.SIGCONT,
        signal.SIGTSTP,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGWINCH,
        signal.SIGURG,
        signal.SIGKILL,
        signal.SIGSTOP,
    }
)


def put_on() -> None:
    """For the whole process. To be called once its command was started: that is to have none of it."""
    _ignore_signals()
    _set(_PR_SET_DUMPABLE, 0)
    _set(_PR_SET_NO_NEW_PRIVS, 1)
    with suppress(OSError):  # CAP_SYS_RESOURCE, which not every root has
        _write(_OOM_SCORE_ADJ, _LAST_TO_GO)


def take_off() -> None:
    """In a child that is no engine."""
    with suppress(OSError, ValueError):
        with open(_OOM_SCORE_ADJ, encoding="ascii") as file:
            score = int(file.read())
        if score < 0:
            _write(_OOM_SCORE_ADJ, "0")


def _ignore_signals() -> None:
    """Those that nobody has a reason to send. A fault of our own ends us all the same."""
    for number in signal.valid_signals() - _KEPT:
        with suppress(OSError, ValueError):  # libc keeps two for itself
            signal.signal(number, signal.SIG_IGN)


def _set(option: int, value: int) -> None:
    """prctl(2). Does nothing where the kernel does not know it.

    PR_SET_DUMPABLE 0 keeps other processes of our user from ptrace(2), process_vm_writev(2), pidfd_getfd(2),
    /proc/PID/mem and /proc/PID/fd (ptrace(2), "Ptrace access mode checking"); no core is dumped either.
    """
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
