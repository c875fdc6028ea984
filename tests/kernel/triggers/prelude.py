"""Put before every Python trigger: what a snippet needs to make a system call of its own."""

import ctypes
import errno
import os
import socket
import struct
import sys

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


def write(path, data=b"", flags=os.O_WRONLY | os.O_CREAT, mode=0o644):
    """Open, write in one call, close."""
    fd = os.open(path, flags, mode)
    if data:
        os.write(fd, data)
    os.close(fd)
