"""Mining that hides what it speaks: threads that compute for long, connected with somebody new."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.scenario.driver import MAIN, PYTHON, Rubicon

RULE = "Processors kept busy while connected with somebody new"
SECONDS = 85
# A network of its own, in which all of 198.51.100.0/24 is this machine.
WORLD = 'ip link set lo up && ip address add 198.51.100.1/24 dev lo && exec "$@"'
WORK = """
import hashlib, socket, sys, threading, time
kind, ip, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
if ip:
    server = socket.create_server((ip, 4000))
    peer = socket.create_connection((ip, 4000))
if kind == "closes":  # what a download does before a build
    peer.close()
until = time.monotonic() + SECONDS
def burn():
    data = bytes(1 << 20)
    while time.monotonic() < until:
        hashlib.sha256(data).digest()
threads = [threading.Thread(target=burn) for _ in range(count)]
for each in threads: each.start()
for each in threads: each.join()
"""


@pytest.mark.timeout(SECONDS + 120)
def test_who_computes_for_a_minute_connected_with_somebody_new(tmp_path: Path) -> None:
    rubicon = Rubicon(tmp_path)
    rubicon.work.mkdir()
    program = tmp_path / "work.py"
    program.write_text(WORK.replace("SECONDS", str(SECONDS)))
    kinds = ("keeps 198.51.100.1 4", "closes 198.51.100.2 2", "compiles '' 2")
    work = " & ".join(f"{PYTHON} -IS {program} {kind}" for kind in kinds)
    outer = ["unshare", "--net", "sh", "-c", WORLD, "sh", *MAIN, "run", "--trace", rubicon.trace, "--"]
    done = subprocess.run(
        [*outer, "sh", "-c", f"{work} & wait"],
        env=rubicon.environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    documents = [each for each in rubicon.export() if each["event"].get("action") == "cpu"]
    contacts = {each["process"]["args"][3]: each["rubicon"]["cpu"].get("contact") for each in documents}
    assert contacts["keeps"] == "198.51.100.1"
    assert contacts.get("closes") is None
    assert contacts.get("compiles") is None
    found = [each for each in documents if each["event"]["kind"] == "alert"]
    assert {each["rule"]["name"] for each in found} == {RULE}
    assert {each["process"]["args"][3] for each in found} == {"keeps"}
    assert RULE in done.stderr
    rubicon.close()
