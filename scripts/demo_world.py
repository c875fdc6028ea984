"""Where the demo plays: a network and a home folder that only it sees, and everyone outside the sandbox.

`enter` moves this process, and all it starts from then on, into a network namespace and a mount namespace.
The kernel takes both away with the last of these processes, however they end: there is nothing to clean up.
All of 203.0.113.0/24 and 198.51.100.0/24 (kept for documentation by RFC 5737) is on the loopback device in
there: connections to what listens are real, the others are refused, and no packet leaves the machine.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import Self

HOME = Path("/home/rome")
WORK = HOME / "work"

MIRROR = ("198.51.100.10", 8080)  # the one place the policy allows
OPERATOR = ("203.0.113.66", 22)
OPERATOR_SHELL = ("203.0.113.66", 4444)
DOWNLOADS = ("203.0.113.80", 80)
POOL = ("203.0.113.99", 3333)
INSIDE_OPEN = (("198.51.100.20", 22), ("198.51.100.21", 443), ("198.51.100.24", 6379))
NETWORKS = ("203.0.113.1", "198.51.100.1")

SHELL_COMMANDS = b"pwd\nexit\n"
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n"

# linux/sched.h, linux/mount.h, linux/sockios.h, linux/if.h
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
IFF_UP, IFF_RUNNING = 1 << 0, 1 << 6

_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> None:
    """To be called before there are threads. Raises OSError when the kernel will not (CAP_SYS_ADMIN)."""
    _call("unshare", CLONE_NEWNS | CLONE_NEWNET)
    _bring_up_network()
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    _put_home_on_top()
    for folder in (WORK, HOME / "bin"):
        folder.mkdir(parents=True)


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _bring_up_network() -> None:
    """An address on the loopback device makes its whole network local (fib_add_ifaddr, net/ipv4)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP | IFF_RUNNING))
        for number, address in enumerate(NETWORKS, 1):
            label = f"lo:{number}".encode()
            ioctl(control, SIOCSIFADDR, _address_request(label, address))
            ioctl(control, SIOCSIFNETMASK, _address_request(label, "255.255.255.0"))


def _address_request(label: bytes, address: str) -> bytes:
    """struct ifreq with a struct sockaddr_in."""
    return struct.pack("16sHH4s16x", label, socket.AF_INET, 0, socket.inet_aton(address))


def _put_home_on_top() -> None:
    """A /home in memory; what was there shows through, as the checkout or the trace may be in it."""
    below = os.open("/home", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _call("mount", b"tmpfs", b"/home", b"tmpfs", 0, b"mode=755,size=64m")
        for name in os.listdir(below):
            entry, here = f"/proc/self/fd/{below}/{name}", f"/home/{name}"
            if os.path.islink(entry):
                os.symlink(os.readlink(entry), here)
            elif os.path.isdir(entry):
                os.mkdir(here)
                _call("mount", os.fsencode(entry), os.fsencode(here), None, MS_BIND | MS_REC, None)
    finally:
        os.close(below)


def install_tool(source: Path) -> bytes:
    """Build the stand-in as the agent's `ssh`; its bytes, for those who download it under another name."""
    ssh = HOME / "bin/ssh"
    subprocess.run(["clang", "-O1", "-o", ssh, source], check=True)
    return ssh.read_bytes()


def install_agent(program: Path) -> Path:
    """The agent as a program of its own, with this module, which it imports, beside it."""
    agent = HOME / "bin/agent"
    agent.write_text(f"#!{os.path.realpath(sys.executable)} -BEs\n{program.read_text()}")
    agent.chmod(0o755)
    shutil.copy(__file__, agent.parent)
    return agent


class Outside:
    """Everyone at the other end of a connection: threads that accept and answer. A context manager."""

    def __init__(self, download: bytes) -> None:
        self._download = download
        self._open: list[socket.socket] = []
        answers: Mapping[tuple[str, int], Callable[[socket.socket], None]] = {
            MIRROR: self._serve_file,
            DOWNLOADS: self._serve_file,
            OPERATOR_SHELL: self._command_shell,
            OPERATOR: self._stay,
            POOL: self._stay,
            **dict.fromkeys(INSIDE_OPEN, self._stay),
        }
        for address, answer in answers.items():
            listener = self._keep(socket.create_server(address))
            threading.Thread(target=self._accept, args=(listener, answer), daemon=True).start()

    def _keep(self, opened: socket.socket) -> socket.socket:
        self._open.append(opened)
        return opened

    def _accept(self, listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        with suppress(OSError):  # closed by __exit__
            while True:
                connection = self._keep(listener.accept()[0])
                threading.Thread(target=self._answer, args=(connection, answer), daemon=True).start()

    def _answer(self, connection: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        with connection, suppress(OSError):
            answer(connection)

    def _serve_file(self, connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(ANSWER % len(self._download) + self._download)

    def _command_shell(self, connection: socket.socket) -> None:
        connection.sendall(SHELL_COMMANDS)
        self._stay(connection)

    def _stay(self, connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
