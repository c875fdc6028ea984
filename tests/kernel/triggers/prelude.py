"""Put before every Python trigger: what a snippet needs to make a system call of its own."""

import ctypes
import errno
import os
import socket
import struct
import sys

__all__ = ["args", "call", "ctypes", "errno", "fails", "os", "socket", "struct", "when_in_call", "write"]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
args = sys.argv[1:]


def call(number, *arguments):
    """A raw system call; -errno on failure. Integers, bytes and ctypes buffers are taken as they are."""
    values = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = _libc.syscall(ctypes.c_long(number), *values)
    return -ctypes.get_errno() if result == -1 else result


def fails(function, *arguments, **options):
    """The errno that `function` fails with; it has to fail."""
    try:
        function(*arguments, **options)
    except OSError as error:
        return error.errno
    raise SystemExit(f"{function} did not fail")


def when_in_call(number, action, thread=None):
    """A child that does `action(pid)` once this process (or that thread of it) is in the system call."""
    pid = os.getpid()
    status = f"/proc/{pid}/task/{thread or pid}/syscall"

    def wait():
        with open(status) as file:
            while file.read().split()[0] != str(number):
                os.sched_yield()
                file.seek(0)

    if os.fork() == 0:
        action(pid, wait)
        os._exit(0)


def write(path, data=b"", flags=os.O_WRONLY | os.O_CREAT, mode=0o644):
    """Open, write in one call, close."""
    fd = os.open(path, flags, mode)
    if data:
        os.write(fd, data)
    os.close(fd)
