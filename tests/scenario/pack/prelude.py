"""What the little programs of the cases have at hand; each is this file and then its own text."""

import os
import socket
import struct  # noqa: F401 - for the cases, as all of this
import sys

OUT, IN, HOME, HERE = "198.51.100.7", "10.77.3.4", "/root", os.getcwd()
PYTHON = sys.executable


def dial(ip, port):
    """A connection; a port where nobody is gives one that is not connected."""
    connection = socket.socket(socket.AF_INET)
    connection.settimeout(5)
    connection.connect_ex((ip, port))
    return connection


def say(ip, port, data):
    connection = dial(ip, port)
    connection.sendall(data)
    return connection


def echo(ip, size):
    """Bytes to the echo port and back."""
    connection = say(ip, 7, b"x" * size)
    got = 0
    while got < size:
        got += len(connection.recv(65536))
    return connection


def ask(name, wait=False):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    resolver = socket.socket(type=socket.SOCK_DGRAM)
    resolver.settimeout(5)
    resolver.connect((OUT, 53))
    resolver.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")
    if wait:
        resolver.recv(2048)


def write(path, data="x", mode="w"):
    if os.path.dirname(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode) as file:
        file.write(data)
    return path


def read(path):
    """Of a file that is made when it is not there."""
    if not os.path.exists(path):
        write(path)
    with open(path, "rb") as file:
        file.read(1)


def program(path, original="/usr/bin/true"):
    """A copy of a program under another name."""
    with open(original, "rb") as file:
        write(path, file.read(), "wb")
    os.chmod(path, 0o755)
    return os.path.abspath(path)


def run(name, *args, stdin=None, executable=None, user=None):
    """A program, found along the PATH, without a word of its own; `name` is what it is told it is called."""
    pid = os.fork()
    if not pid:
        nothing = os.open("/dev/null", os.O_RDWR)
        for number, target in enumerate((stdin or nothing, nothing, nothing)):
            os.dup2(target if isinstance(target, int) else target.fileno(), number)
        if user is not None:
            os.chdir("/")
            os.setresuid(user, user, user)
        try:
            os.execvp(executable or name, (name, *args))
        finally:
            os._exit(127)
    os.waitpid(pid, 0)


def called(name, *args):
    """A program of that name in this folder, which does nothing, with these arguments."""
    run(program(name), *args)


def fork(do, *args):
    """In a child of its own; its exit is awaited."""
    pid = os.fork()
    if not pid:
        do(*args)
        os._exit(0)
    os.waitpid(pid, 0)
